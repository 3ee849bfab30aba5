"""Runs a per-device step on every device: one mesh of one axis, whatever the number of devices."""

from collections.abc import Callable, Sequence

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from dac.errors import UserError
from dac.networks.layers import STDDEV_GROUP
from dac.training.schedule import Phase

DATA_AXIS = "data"


def make_mesh(devices: Sequence[jax.Device], run: tuple[Phase, ...]) -> Mesh:
    """Returns the mesh over `devices`.

    Raises:
      UserError: a batch of the run can't be split evenly over them.
    """
    for phase in run:
        # Whole minibatch-stddev groups on each device, so that their number changes nothing.
        size = phase.batch_size
        unit = len(devices) * min(STDDEV_GROUP, size)
        if size % unit:
            raise UserError(
                f"config.batch_sizes has {size} at {phase.resolution}x{phase.resolution}, which "
                f"{len(devices)} device(s) can't share in groups of {min(STDDEV_GROUP, size)}: "
                f"take a multiple of {unit}, such as {max(round(size / unit), 1) * unit}"
            )
    return Mesh(np.asarray(devices), (DATA_AXIS,))


def replicate(mesh: Mesh, tree):
    """Puts a tree on every device of the mesh, whole."""
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))


def split(mesh: Mesh, tree):
    """Puts a tree on the devices of the mesh, each with its part of the first axis."""
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec(DATA_AXIS)))


def compile_step(step: Callable, mesh: Mesh, state, batch) -> jax.stages.Compiled:
    """Compiles a per-device step, ahead of time, so that it cannot be compiled again unnoticed.

    Args:
      step: (state, part of the batch) to (state, metrics); reduces over the axis `data` itself.
      mesh: to run on.
      state: replicated over the mesh; its buffers are donated.
      batch: split over the mesh.
    """
    everywhere, parts = PartitionSpec(), PartitionSpec(DATA_AXIS)
    # check_vma=False: the step reduces its gradients by itself, under shard_map as under pmap.
    sharded = jax.shard_map(
        step,
        mesh=mesh,
        in_specs=(everywhere, parts),
        out_specs=everywhere,
        check_vma=False,
    )
    return jax.jit(sharded, donate_argnums=0).lower(state, batch).compile()
