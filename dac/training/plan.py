"""Compiles the step of every resolution before the first one runs, and checks its memory.

A resolution that does not fit the memory is refused in the first minutes of a run, not days later
when the run has grown to it.
"""

import dataclasses
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import ml_collections
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec, SingleDeviceSharding

from dac import sampling
from dac.covers.conditions import Album, encode
from dac.errors import UserError
from dac.jax_errors import out_of_memory
from dac.run.checkpoint import copies_state
from dac.run.players import gan_of
from dac.run.schedule import Phase
from dac.training import parallel
from dac.training.flops import count_flops
from dac.training.state import GanState, init_state
from dac.training.step import make_train_step

CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


@dataclasses.dataclass(frozen=True)
class Program:
    """The compiled step of a phase.

    The memories are bytes on each device. They count the state, its copy while a checkpoint is
    written (see `copies_state`), a batch, and what XLA allocates. The convolutions of a CPU
    allocate more on their own: half as much again was measured.

    Attributes:
      phase: the phase.
      step_with_penalty: the compiled function of (state, batch).
      step_without_penalty: the same without the critic's penalty, which may be lazy.
      penalty_interval: every so many steps have the penalty.
      parameters: number of parameters that it trains, of both players.
      flops: operations of a step in convolutions and matrix products, on all devices together; the
        mean if the penalty is lazy.
      step_memory: while a step runs.
      grid_memory: while a sample grid is drawn.
    """

    phase: Phase
    step_with_penalty: jax.stages.Compiled
    step_without_penalty: jax.stages.Compiled
    penalty_interval: int
    parameters: int
    flops: float
    step_memory: int
    grid_memory: int

    def step(self, number: int) -> jax.stages.Compiled:
        """Returns the compiled function of (state, batch) of the step of this number."""
        due = number % self.penalty_interval == 0
        return self.step_with_penalty if due else self.step_without_penalty

    @property
    def memory(self) -> int:
        """Bytes that the phase needs on each device."""
        return max(self.step_memory, self.grid_memory)

    @property
    def flops_per_image(self) -> float:
        """Operations for each real cover."""
        return self.flops / self.phase.images_per_step


class Planner:
    """Compiles the steps of a run.

    Attributes:
      limit: bytes of memory of a device.
    """

    def __init__(
        self, config: ml_collections.ConfigDict, mesh: Mesh, num_genres: int, augment: bool
    ):
        """Prepares to compile for a mesh; see `make_train_step` for `augment`."""
        self._config, self._mesh = config, mesh
        self._num_genres, self._augment = num_genres, augment
        self.limit = device_memory(mesh.local_devices[0])

    def state_shapes(self) -> GanState:
        """Returns the shapes of the state, replicated over the mesh."""
        shapes = jax.eval_shape(lambda: init_state(self._config, self._num_genres))
        return _placed(shapes, NamedSharding(self._mesh, PartitionSpec()))

    def compile_all(
        self, schedule: Sequence[Phase], say: Callable[[str], None]
    ) -> dict[int, Program]:
        """Compiles the step of each phase, by resolution, and reports progress.

        Raises:
          UserError: a phase does not fit the memory of a device.
        """
        programs = {}
        for phase in schedule:
            began, size = time.monotonic(), phase.resolution
            say(f"{size}x{size}: compiling the step, for batches of {phase.batch_size} ...")
            program = programs[size] = self.compile(phase)
            say(
                f"{size}x{size}: compiled in {time.monotonic() - began:.0f} s; "
                f"needs {size_text(program.memory)} per device"
            )
        return programs

    def compile(self, phase: Phase) -> Program:
        """Compiles the step of a phase.

        Raises:
          UserError: it does not fit the memory of a device.
        """
        program = self._try(phase)
        if program and program.memory <= self.limit:
            return program
        side, what = phase.resolution, f"in batches of {phase.batch_size}"
        need = size_text(program.memory) if program else "more memory than there is"
        if program and program.step_memory <= self.limit:  # no batch is small enough
            what, way_out = "with its sample grid", "lower config.fmap_max or config.resolution"
        elif smaller := self.smaller_batch(phase, self.limit):
            way_out = f"a batch of {smaller} fits: change config.batch_sizes"
        else:
            unit = phase.batch_unit(self._mesh.size)
            way_out = f"not even a batch of {unit} fits: lower config.fmap_max or config.resolution"
        raise UserError(
            f"{side}x{side} {what} needs {need} on each device, which has "
            f"{size_text(self.limit)}; {way_out}"
        )

    def smaller_batch(self, phase: Phase, limit: float) -> int | None:
        """Returns the largest batch that fits some bytes, halving that of a phase, or None."""
        unit = phase.batch_unit(self._mesh.size)
        size = phase.batch_size // 2 // unit * unit
        while size:
            program = self._try(dataclasses.replace(phase, batch_size=size))
            if program and program.grid_memory > limit:
                return None
            if program and program.step_memory <= limit:
                return size
            size = size // 2 // unit * unit
        return None

    def _try(self, phase: Phase) -> Program | None:
        """Returns the program of a phase, or None if the compiler itself ran out of memory."""
        interval = self._config.penalty_interval
        state, batch = self.state_shapes(), self._batch_shapes(phase)
        one_device = _placed(state.ema_variables, SingleDeviceSharding(self._mesh.local_devices[0]))
        try:
            # Not one program with a conditional: XLA on a CPU runs a convolution in a branch much
            # slower (docs/experiments.md).
            steps = [
                parallel.compile_step(
                    make_train_step(self._config, phase, self._augment, scale),
                    *(self._mesh, self._config.parallelism, state, batch),
                )
                for scale in ((interval, 0) if interval > 1 else (1,))
            ]
            grid = sampling.lower_draw(
                self._config, one_device, self._num_genres, phase.resolution
            ).compile()
        except Exception as error:
            if not out_of_memory(error):
                raise
            return None
        part = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), batch)
        gan = gan_of(self._config)
        trained = [gan.active(p, phase.resolution) for p in (state.generator, state.critic)]
        copied = _bytes(state) if copies_state(self._mesh.local_devices[0]) else 0
        held = _bytes(state) + _bytes(part)
        (due, _), (idle, _) = steps[0], steps[-1]
        flops = [count_flops(jaxpr) * self._mesh.size for _, jaxpr in steps]
        return Program(
            phase=phase,
            step_with_penalty=due,
            step_without_penalty=idle,
            penalty_interval=interval,
            parameters=sum(x.size for x in jax.tree.leaves(trained)),
            flops=(flops[0] + (interval - 1) * flops[-1]) / interval,
            step_memory=copied + max(_memory(step) for step, _ in steps),
            grid_memory=copied + held + _memory(grid) - _bytes(one_device),
        )

    def _batch_shapes(self, phase: Phase) -> dict[str, jax.ShapeDtypeStruct]:
        devices, side = self._mesh.size, phase.resolution
        shape = (devices, phase.n_critic, phase.batch_size // devices)
        album = encode([Album()], self._config.conditions, self._num_genres)
        parts = {"image": np.empty((1, side, side, 3), np.uint8), **album}
        shapes = {k: jax.ShapeDtypeStruct(shape + v.shape[1:], v.dtype) for k, v in parts.items()}
        return _placed(shapes, NamedSharding(self._mesh, PartitionSpec(parallel.DATA_AXIS)))


def device_memory(device: jax.Device) -> int:
    """Returns the bytes of memory of a device; devices that are parts of this host share its."""
    stats = device.memory_stats() or {}
    if "bytes_limit" in stats:
        return stats["bytes_limit"]
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if CGROUP_LIMIT.exists() and (limit := CGROUP_LIMIT.read_text().strip()) != "max":
        memory = min(memory, int(limit))
    return memory // jax.local_device_count()


def size_text(size: float) -> str:
    """Returns a number of bytes as people read it."""
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.1f} MiB"


def _placed(shapes, sharding):
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), shapes)


def _bytes(tree) -> int:
    return sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(tree))


def _memory(compiled: jax.stages.Compiled) -> int:
    usage = compiled.memory_analysis()
    return (
        usage.argument_size_in_bytes
        + usage.output_size_in_bytes
        - usage.alias_size_in_bytes
        + usage.temp_size_in_bytes
        + usage.generated_code_size_in_bytes
    )
