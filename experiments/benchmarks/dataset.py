"""How fast a dataset delivers covers."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import ml_collections

from dac.covers.dataset import CoverDataset
from dac.run.schedule import Phase, phases
from experiments.benchmarks.timing import Columns, Row, Spread, alternate, number, with_quartiles

COLUMNS: Columns = {
    "resolution": lambda row: f"{row['resolution']}x{row['resolution']}",
    "batch": lambda row: f"{row['batch_size']}",
    "covers": lambda row: f"{row['covers']:,} of {row['cover_size']}x{row['cover_size']}",
    "opening, s": lambda row: number(row["opening_seconds"]),
    "first batch, s": lambda row: number(row["first_batch_seconds"]),
    "then ms/batch (quartiles)": with_quartiles("batch_seconds", 1000),
    "covers/s": lambda row: number(row["covers_per_second"]),
}


def measure(
    config: ml_collections.ConfigDict,
    sizes: Sequence[int],
    seconds: float,
    path: Path,
    say: Callable[[str], None],
) -> list[Row]:
    """Measures what it takes to open a dataset, and its batches at each resolution.

    Args:
      config: the config, whose batches they are: those of a step, pictures and conditions.
      sizes: resolutions to measure; each is one of the config's.
      seconds: for each resolution, its first batch aside.
      path: folder of the dataset.
      say: receives a line about what is going on.

    Raises:
      UserError: the dataset can't be read.
    """
    say(f"opening {path} ...")
    began = time.perf_counter()
    dataset = CoverDataset(path, config.dataset_memory_gib)
    opening = time.perf_counter() - began
    rows = []
    for phase in phases(config):
        if phase.resolution in sizes:
            say(f"{phase.resolution}x{phase.resolution}: reading ...")
            row = {"covers": len(dataset), "cover_size": dataset.size, "opening_seconds": opening}
            rows.append(row | batches(config, dataset, phase, seconds))
    return rows


def batches(
    config: ml_collections.ConfigDict, dataset: CoverDataset, phase: Phase, seconds: float
) -> Row:
    """Returns how long the first batch of a phase takes, and those after it."""
    clock, count = 0, phase.images_per_step

    def work(turns):
        nonlocal clock
        for _ in range(turns):
            indices = dataset.indices(config.seed, clock, count)
            dataset.batch(indices, phase.resolution, config.conditions)
            clock += count

    began = time.perf_counter()
    work(1)  # decodes all covers, if they fit the memory
    first = time.perf_counter() - began
    spread = Spread.of(alternate({"batch": work}, seconds)["batch"])
    return {
        "resolution": phase.resolution,
        "batch_size": phase.batch_size,
        "first_batch_seconds": first,
        **spread.fields("batch_seconds"),
        "blocks": spread.count,
        "covers_per_second": count / spread.median,
    }
