"""A run before its first step: each resolution's step, compiled, and what it will take.

Everything is compiled first, so that a resolution that does not fit the memory is told in the first
minutes of a run, not when the run has grown to it, days in.
"""

import dataclasses
import math
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import ml_collections
import numpy as np
from jax.extend.core import Jaxpr, jaxprs_in_params
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from dac.covers.conditions import Album, encode
from dac.errors import UserError
from dac.networks.layers import STDDEV_GROUP
from dac.networks.progan import active_modules
from dac.training import parallel
from dac.training.schedule import Phase
from dac.training.state import GanState, init_state
from dac.training.step import make_train_step

LONGEST_TRIAL = 30.0  # seconds: steps that would take longer are estimated, not run
CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


@dataclasses.dataclass(frozen=True)
class Program:
    """The compiled step of a phase.

    Attributes:
      phase: of the run.
      step: the compiled function of (state, batch).
      parameters: how many it trains, of both players.
      memory: bytes it needs on each device: state, batch, and room to work. A CPU's convolutions
        take more beside it; measured: half as much again.
      flops: floating-point operations of a step in convolutions and matrix products, of all
        devices together.
    """

    phase: Phase
    step: jax.stages.Compiled
    parameters: int
    memory: int
    flops: float

    @property
    def flops_per_image(self) -> float:
        """Operations for each cover seen."""
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
        return self._placed(shapes, PartitionSpec())

    def compile(self, phase: Phase) -> Program:
        """Compiles the step of a phase.

        Raises:
          UserError: it does not fit the memory of a device.
        """
        program = self._try(phase)
        if program and program.memory <= self.limit:
            return program
        unit = self._mesh.size * min(STDDEV_GROUP, phase.batch_size)
        fitting, size = None, phase.batch_size // 2 // unit * unit
        while size and not fitting:
            smaller = self._try(dataclasses.replace(phase, batch_size=size))
            if smaller and smaller.memory <= self.limit:
                fitting = size
            size = size // 2 // unit * unit
        side = phase.resolution
        need = size_text(program.memory) if program else "more memory than there is"
        way_out = (
            f"a batch of {fitting} fits: change config.batch_sizes"
            if fitting
            else f"not even a batch of {unit} fits: lower config.fmap_max or config.resolution"
        )
        raise UserError(
            f"{side}x{side} in batches of {phase.batch_size} needs {need} on each device, which "
            f"has {size_text(self.limit)}; {way_out}"
        )

    def _try(self, phase: Phase) -> Program | None:
        """The program of a phase; None where compiling ran out of memory by itself."""
        step = make_train_step(self._config, phase, self._augment)
        state, batch = self.state_shapes(), self._batch_shapes(phase)
        try:
            compiled = parallel.compile_step(
                step, self._mesh, self._config.parallelism, state, batch
            )
        except jax.errors.JaxRuntimeError as error:
            if "RESOURCE_EXHAUSTED" not in str(error):
                raise
            return None
        usage = compiled.memory_analysis()
        part = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), batch)
        axes = [(parallel.DATA_AXIS, self._mesh.size)]
        jaxpr = jax.make_jaxpr(step, axis_env=axes)(state, part).jaxpr
        grows, active = self._config.gan == "progan", active_modules(phase.resolution)
        trained = [
            module
            for player in (state.generator, state.critic)
            for name, module in player.items()
            if not grows or name in active
        ]
        return Program(
            phase=phase,
            step=compiled,
            parameters=sum(x.size for x in jax.tree.leaves(trained)),
            memory=usage.argument_size_in_bytes
            + usage.output_size_in_bytes
            - usage.alias_size_in_bytes
            + usage.temp_size_in_bytes
            + usage.generated_code_size_in_bytes,
            flops=count_flops(jaxpr) * self._mesh.size,
        )

    def _batch_shapes(self, phase: Phase) -> dict[str, jax.ShapeDtypeStruct]:
        devices, side = self._mesh.size, phase.resolution
        shape = (devices, phase.n_critic, phase.batch_size // devices)
        album = encode([Album()], self._config.conditions, self._num_genres)
        parts = {"image": np.empty((1, side, side, 3), np.uint8), **album}
        shapes = {k: jax.ShapeDtypeStruct(shape + v.shape[1:], v.dtype) for k, v in parts.items()}
        return self._placed(shapes, PartitionSpec(parallel.DATA_AXIS))

    def _placed(self, shapes, spec):
        sharding = NamedSharding(self._mesh, spec)
        return jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), shapes
        )


def device_memory(device: jax.Device) -> int:
    """Bytes of memory of a device; where devices are parts of this host, their share of it."""
    stats = device.memory_stats() or {}
    if "bytes_limit" in stats:
        return stats["bytes_limit"]
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if CGROUP_LIMIT.exists() and (limit := CGROUP_LIMIT.read_text().strip()) != "max":
        memory = min(memory, int(limit))
    return memory // jax.local_device_count()


def time_steps(
    programs: Sequence[Program], state: GanState, make_batch: Callable[[Phase], dict]
) -> list[tuple[float, bool]]:
    """Returns the seconds that a step of each program takes, and whether it was run to know.

    Runs two steps of each and takes the second, as long as they are quick; those of higher
    resolutions are taken to need their operations at the best rate that was seen.

    Args:
      programs: by resolution.
      state: of the run; it is consumed.
      make_batch: makes the batch of a phase, split over the devices.
    """
    result, rate = [], 0.0
    for program in programs:
        if rate and program.flops / rate > LONGEST_TRIAL:
            result.append((program.flops / rate, False))
            continue
        batch = make_batch(program.phase)
        for _ in range(2):
            began = time.monotonic()
            state, metrics = program.step(state, batch)
            jax.block_until_ready(metrics)
            seconds = time.monotonic() - began
        result.append((seconds, True))
        rate = max(rate, program.flops / seconds)
    return result


def describe(programs: Sequence[Program], times: Sequence[tuple[float, bool]], limit: int) -> str:
    """Returns the table that `--dry_run` prints: a line for each resolution, and the whole.

    Args:
      programs: by resolution.
      times: as from `time_steps`.
      limit: bytes of memory of a device.
    """
    schedule = ("batch", "n_critic", "learning rate", "fade kimg", "stable kimg")
    costs = ("parameters", "memory", "GFLOP/step", "time/step", "images/s", "time in all")
    rows, total = [("resolution", *schedule, *costs)], 0.0
    for program, (seconds, measured) in zip(programs, times, strict=True):
        phase, about = program.phase, "" if measured else "~"
        whole = (phase.end - phase.start) / phase.images_per_step * seconds
        total += whole
        rows.append(
            (
                f"{phase.resolution}x{phase.resolution}",
                f"{phase.batch_size}",
                f"{phase.n_critic}",
                f"{phase.learning_rate:g}",
                f"{(phase.fade_end - phase.start) / 1000:g}",
                f"{(phase.end - phase.fade_end) / 1000:g}",
                f"{program.parameters:,}",
                size_text(program.memory),
                f"{program.flops / 1e9:,.2f}",
                about + _duration(seconds),
                f"{about}{phase.images_per_step / seconds:,.1f}",
                about + _duration(whole),
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(f"{c:>{w}}" for c, w in zip(row, widths, strict=True)) for row in rows]
    end = f"each device has {size_text(limit)}; the whole run takes {_duration(total)}"
    estimated = "" if all(measured for _, measured in times) else "; ~ is from FLOPs, not measured"
    return "\n".join([*lines, end + estimated])


def size_text(size: float) -> str:
    """Returns a number of bytes as people read it."""
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.1f} MiB"


def _duration(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.3g} ms"


def count_flops(jaxpr: Jaxpr) -> float:
    """Counts 2 for each product of a convolution or matrix product; zeros of dilation don't count.

    The compiler's own count takes the body of a loop once, whatever the number of turns.
    """
    total = 0.0
    for equation in jaxpr.eqns:
        if equation.primitive.name == "conv_general_dilated":
            kernel = equation.invars[1].aval.shape
            out_axis = equation.params["dimension_numbers"].rhs_spec[0]
            products = math.prod(kernel) / kernel[out_axis]
            dilation = math.prod(equation.params["lhs_dilation"])
            total += 2 * math.prod(equation.outvars[0].aval.shape) * products / dilation
        elif equation.primitive.name == "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            left = equation.invars[0].aval.shape
            products = math.prod(left[axis] for axis in contracted)
            total += 2 * math.prod(equation.outvars[0].aval.shape) * products
        turns = equation.params.get("length", 1) if equation.primitive.name == "scan" else 1
        for inner in jaxprs_in_params(equation.params):
            total += turns * count_flops(inner)
    return total
