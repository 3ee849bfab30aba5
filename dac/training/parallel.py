"""Runs a per-device step on every device: one mesh with one axis, for any number of devices."""

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Jaxpr
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from dac.errors import UserError
from dac.run.schedule import Phase

DATA_AXIS = "data"
# XLA's default on CPUs, YNNPACK, runs convolutions of up to 64 channels on one thread. Without it
# steps are 1.0 to 1.25 times as fast on two cores (docs/benchmarks.md).
CPU_OPTIONS = {"xla_cpu_experimental_ynn_fusion_type": ""}


def make_mesh(devices: Sequence[jax.Device], schedule: tuple[Phase, ...]) -> Mesh:
    """Returns the mesh over `devices`.

    Raises:
      UserError: a batch of the run can't be split evenly over them.
    """
    for phase in schedule:
        size, unit = phase.batch_size, phase.batch_unit(len(devices))
        if size % unit:
            groups = f" in groups of {unit // len(devices)}" if unit > len(devices) else ""
            raise UserError(
                f"config.batch_sizes has {size} at {phase.resolution}x{phase.resolution}, which "
                f"{len(devices)} device(s) can't share{groups}: "
                f"use a multiple of {unit}, such as {max(round(size / unit), 1) * unit}"
            )
    return Mesh(np.asarray(devices), (DATA_AXIS,))


def replicated(mesh: Mesh) -> NamedSharding:
    """Returns the sharding of a tree that every device of every process holds whole."""
    return NamedSharding(mesh, PartitionSpec())


def local_parts(mesh: Mesh) -> list[int]:
    """Returns the indices of this process's devices, and so of its parts of a batch."""
    return [i for i, d in enumerate(mesh.devices) if d.process_index == jax.process_index()]


def split(mesh: Mesh, tree):
    """Puts a batch on the devices of the mesh; its first axis is that of `local_parts`."""
    sharding = NamedSharding(mesh, PartitionSpec(DATA_AXIS))
    return jax.tree.map(lambda x: jax.make_array_from_process_local_data(sharding, x), tree)


def local_copy(tree):
    """Returns a replicated tree as the first device of this process holds it."""
    return jax.tree.map(lambda x: x.addressable_data(0), tree)


def any_process(mesh: Mesh, value: bool) -> jax.Array:
    """Returns whether `value` is true in any process, as an array that all processes hold.

    Returns at once, like a step; reading the array waits.
    """
    return _any(split(mesh, np.full(len(local_parts(mesh)), value)), replicated(mesh))


@functools.partial(jax.jit, static_argnums=1)
def _any(votes, sharding):
    return jax.lax.with_sharding_constraint(jnp.any(votes), sharding)


def compile_step(
    step: Callable, mesh: Mesh, parallelism: str, state, batch
) -> tuple[jax.stages.Compiled, Jaxpr]:
    """Compiles a per-device step ahead of time, so that it can't be recompiled unnoticed.

    Args:
      step: from (state, part of the batch) to (state, metrics); it reduces over the axis `data`.
      mesh: the devices.
      parallelism: how to run the step on the devices, `shard_map` or `pmap`.
      state: the state or its shapes, replicated over the mesh; its buffers are donated.
      batch: the batch or its shapes, `[devices, ...]`, as returned by `split`.

    Returns:
      The compiled function of (state, batch), and its jaxpr, which has the shapes of one device.
    """
    if parallelism == "pmap":
        devices = list(mesh.devices)
        mapped = jax.pmap(
            step, DATA_AXIS, in_axes=(None, 0), out_axes=None, devices=devices, donate_argnums=0
        )
        jaxpr = jax.make_jaxpr(mapped)(state, batch).jaxpr
        return _compile(mapped.lower(state, batch), mesh), jaxpr

    def train_step(state, batch):  # the name is what profiles and logs show
        return step(state, jax.tree.map(lambda x: x[0], batch))

    everywhere, parts = PartitionSpec(), PartitionSpec(DATA_AXIS)
    # check_vma=False: the step reduces its gradients itself, under shard_map as under pmap.
    sharded = jax.shard_map(
        train_step,
        mesh=mesh,
        in_specs=(everywhere, parts),
        out_specs=everywhere,
        check_vma=False,
    )
    traced = jax.jit(sharded, donate_argnums=0).trace(state, batch)
    return _compile(traced.lower(), mesh), traced.jaxpr.jaxpr


def _compile(lowered: jax.stages.Lowered, mesh: Mesh) -> jax.stages.Compiled:
    if mesh.devices.flat[0].platform != "cpu":
        return lowered.compile()
    try:
        return lowered.compile(CPU_OPTIONS)
    except jax.errors.JaxRuntimeError as error:
        if "No such compile option" not in str(error):  # it is experimental, and may go
            raise
        return lowered.compile()
