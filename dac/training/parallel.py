"""Runs a per-device step on every device: one mesh of one axis, whatever the number of devices."""

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
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


def replicated(mesh: Mesh) -> NamedSharding:
    """Of a tree that is whole on every device, in every process."""
    return NamedSharding(mesh, PartitionSpec())


def local_parts(mesh: Mesh) -> list[int]:
    """Which devices of the mesh, and so which parts of a batch, are this process's."""
    return [i for i, d in enumerate(mesh.devices) if d.process_index == jax.process_index()]


def split(mesh: Mesh, tree):
    """Puts a batch on the devices of the mesh; its first axis is that of `local_parts`."""
    sharding = NamedSharding(mesh, PartitionSpec(DATA_AXIS))
    return jax.tree.map(lambda x: jax.make_array_from_process_local_data(sharding, x), tree)


def local_copy(tree):
    """What this process's first device holds of a replicated tree; other processes have no part."""
    return jax.tree.map(lambda x: x.addressable_data(0), tree)


def any_process(mesh: Mesh, value: bool) -> jax.Array:
    """Whether `value` holds in any process, as an array that is the same in all of them.

    Returns at once, like a step: reading the array is what waits.
    """
    return _any(split(mesh, np.full(len(local_parts(mesh)), value)), replicated(mesh))


def another_ended(error: BaseException) -> bool:
    """Whether an error is what JAX raises in a process that can't reach another one any more."""
    if jax.process_count() == 1:
        return False
    return isinstance(error, jax.errors.JaxRuntimeError) or "Gloo" in str(error)


@functools.partial(jax.jit, static_argnums=1)
def _any(votes, sharding):
    return jax.lax.with_sharding_constraint(jnp.any(votes), sharding)


def compile_step(step: Callable, mesh: Mesh, parallelism: str, state, batch) -> jax.stages.Compiled:
    """Compiles a per-device step, ahead of time, so that it cannot be compiled again unnoticed.

    Args:
      step: (state, part of the batch) to (state, metrics); reduces over the axis `data` itself.
      mesh: to run on.
      parallelism: `shard_map` or `pmap`: how the step is put on the devices.
      state: replicated over the mesh, or its shapes; its buffers are donated.
      batch: as from `split`, or its shapes: `[devices, ...]`, a part for each device.
    """
    if parallelism == "pmap":
        devices = list(mesh.devices)
        mapped = jax.pmap(
            step, DATA_AXIS, in_axes=(None, 0), out_axes=None, devices=devices, donate_argnums=0
        )
        return mapped.lower(state, batch).compile()

    def train_step(state, batch):  # the name is what profiles and logs show
        return step(state, jax.tree.map(lambda x: x[0], batch))

    everywhere, parts = PartitionSpec(), PartitionSpec(DATA_AXIS)
    # check_vma=False: the step reduces its gradients by itself, under shard_map as under pmap.
    sharded = jax.shard_map(
        train_step,
        mesh=mesh,
        in_specs=(everywhere, parts),
        out_specs=everywhere,
        check_vma=False,
    )
    return jax.jit(sharded, donate_argnums=0).lower(state, batch).compile()
