"""The dry run: compiles and tries the step of each resolution, and tells what the run will take."""

import sys
import time
from collections.abc import Callable, Sequence

import jax
import ml_collections

from dac.covers.dataset import CoverDataset
from dac.run.schedule import Phase
from dac.training.loop import describe_run, initial_state, make_batch, prepare
from dac.training.plan import Program, size_text
from dac.training.state import GanState

LONGEST_TRIAL = 30.0  # seconds; longer steps are estimated, not run


def dry_run(
    config: ml_collections.ConfigDict,
    dataset: CoverDataset,
    devices: Sequence[jax.Device] | None = None,
) -> str:
    """Returns what a run will take, as a table; writes nothing.

    Arguments and errors are those of `loop.train`.
    """
    asked = config.conditions
    config, schedule, mesh, planner = prepare(config, dataset, devices)

    def say(text):
        if jax.process_index() == 0:
            print(text, file=sys.stderr, flush=True)

    programs = list(planner.compile_all(schedule, say).values())

    def first_batch(phase):
        return make_batch(config, mesh, dataset, phase, 0)

    state = initial_state(config, mesh, dataset)
    about = describe_run(config, asked, dataset, mesh, state)
    times = time_steps(programs, state, first_batch)
    return f"{about}\n{describe(programs, times, planner.limit)}"


def time_steps(
    programs: Sequence[Program], state: GanState, make_batch: Callable[[Phase], dict]
) -> list[tuple[float, bool]]:
    """Returns the seconds of a step of each program, and whether they were measured.

    Two steps of each are run, and the second is timed; a lazy penalty counts by its share. Steps
    that would take too long are estimated from their operations and the best rate so far.

    Args:
      programs: by resolution.
      state: the state of the run; it is consumed.
      make_batch: makes the batch of a phase, split over the devices.
    """
    result, rate = [], 0.0
    for program in programs:
        if rate and program.flops / rate > LONGEST_TRIAL:
            result.append((program.flops / rate, False))
            continue
        batch, interval = make_batch(program.phase), program.penalty_interval
        seconds = 0.0
        for number, share in ((0, 1), (1, interval - 1)) if interval > 1 else ((0, 1),):
            for _ in range(2):
                began = time.monotonic()
                state, metrics = program.step(number)(state, batch)
                jax.block_until_ready(metrics)
                took = time.monotonic() - began
            seconds += took * share / interval
        result.append((seconds, True))
        rate = max(rate, program.flops / seconds)
    return result


def describe(programs: Sequence[Program], times: Sequence[tuple[float, bool]], limit: int) -> str:
    """Returns a table with a line for each resolution, and a line for the whole run.

    Args:
      programs: by resolution.
      times: as returned by `time_steps`.
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


def _duration(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.3g} ms"
