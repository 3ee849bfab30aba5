"""What saving a checkpoint costs a run."""

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import ml_collections

from dac.run.checkpoint import Checkpoints, all_finite
from dac.training import parallel
from dac.training.plan import size_text
from dac.training.state import GanState
from experiments.benchmarks.step import Steps
from experiments.benchmarks.timing import Columns, Row, Spread, alternate, number, with_quartiles

SAVES = 5  # the first one aside

COLUMNS: Columns = {
    "resolution": lambda row: f"{row['resolution']}x{row['resolution']}",
    "state": lambda row: size_text(row["state_bytes"]),
    "blocks for, ms (quartiles)": with_quartiles("blocked_seconds", 1000),
    "on disk after, ms (quartiles)": with_quartiles("written_seconds", 1000),
    "every kimg": lambda row: f"{row['checkpoint_kimg']:g}",
    "training between, s": lambda row: number(row["training_seconds"]),
    "of the time": lambda row: f"{row['share_of_time']:.2%}",
}


def measure(
    config: ml_collections.ConfigDict,
    sizes: Sequence[int],
    seconds: float,
    say: Callable[[str], None],
) -> list[Row]:
    """Measures saving, and its share of the time at the pace of each resolution.

    Args:
      config: the config.
      sizes: resolutions to measure; each is one of the config's.
      seconds: to time the step of each resolution, compilation aside.
      say: receives a line about what is going on.

    Raises:
      UserError: a resolution does not fit the memory.
    """
    steps = Steps(config)
    say("saving checkpoints ...")
    state = steps.state(steps.run[-1])
    blocked, written = saves(state)
    rows = []
    for phase in steps.run:
        if phase.resolution not in sizes:
            continue
        say(f"{phase.resolution}x{phase.resolution}: compiling and timing the step ...")
        work = steps.work(steps.planner.compile(phase))
        step = Spread.of(alternate({"step": work}, seconds)["step"]).median
        training = config.checkpoint_kimg * 1000 / phase.images_per_step * step
        rows.append(
            {
                "resolution": phase.resolution,
                "state_bytes": sum(x.nbytes for x in jax.tree.leaves(state)),
                **blocked.fields("blocked_seconds"),
                **written.fields("written_seconds"),
                "saves": blocked.count,
                "checkpoint_kimg": config.checkpoint_kimg,
                "training_seconds": training,
                "share_of_time": blocked.median / (training + blocked.median),
            }
        )
    return rows


def saves(state: GanState) -> tuple[Spread, Spread]:
    """Saves a state as a run does.

    Returns:
      The seconds for which saving keeps the loop waiting, and those until the checkpoint is on
      disk; writing goes on beside the training.
    """
    blocked, written = [], []
    with (
        tempfile.TemporaryDirectory(prefix="benchmark") as folder,
        Checkpoints(Path(folder)) as checkpoints,
    ):
        for number_of_save in range(1 + SAVES):
            moment = state.replace(images_seen=jnp.int32(number_of_save))
            began = time.perf_counter()
            all_finite(parallel.local_copy(state))
            checkpoints.save(moment, number_of_save, {})
            blocked.append(time.perf_counter() - began)
            checkpoints.wait()
            written.append(time.perf_counter() - began)
    return Spread.of(blocked[1:]), Spread.of(written[1:])
