"""The time from typing the command to the end of the first training step."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from experiments.benchmarks import fresh
from experiments.benchmarks.timing import Columns, Row, number

# What training prints, in this order.
IMPORTED, COMPILING, FIRST_STEP = "dataset: ", "compiling the step", " images/s "

COLUMNS: Columns = {
    "compiled programs": lambda row: row["compiled_programs"],
    "to the imports' end, s": lambda row: number(row["import_seconds"]),
    "to the first compilation, s": lambda row: number(row["open_seconds"]),
    "to the first step's end, s": lambda row: number(row["first_step_seconds"]),
}


def measure(flags: Sequence[str], say: Callable[[str], None]) -> list[Row]:
    """Starts a training twice, without compiled programs in the cache and with them.

    Args:
      flags: of the training, its config and data.
      say: receives a line about what is going on.

    Raises:
      UserError: the training failed.
    """
    rows = []
    with tempfile.TemporaryDirectory(prefix="benchmark") as folder:
        for kind in ("none", "cached"):
            say(f"starting a training, compiled programs: {kind} ...")
            # A tick ends with the first step, so that it is reported.
            own = [f"--workdir={folder}/{kind}", "--config.tick_kimg=0.001"]
            seconds = fresh.run_to_lines(
                "train", [*flags, *own], Path(folder, "cache"), (IMPORTED, COMPILING, FIRST_STEP)
            )
            rows.append(
                {
                    "compiled_programs": kind,
                    "import_seconds": seconds[IMPORTED],
                    "open_seconds": seconds[COMPILING],
                    "first_step_seconds": seconds[FIRST_STEP],
                }
            )
    return rows
