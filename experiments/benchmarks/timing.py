"""Takes times, in blocks that alternate between what is compared, and sets rows as a table."""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

BLOCKS = 10  # of each contender, where there is time for that many
Row = dict[str, Any]  # a line of a table, as JSON values: numbers are in the unit of their name
Columns = dict[str, Callable[[Row], str]]  # the text of a row in each column, by heading


@dataclasses.dataclass(frozen=True)
class Spread:
    """The median and the quartiles of repeated measurements.

    Attributes:
      median: of all.
      low: the lower quartile.
      high: the upper quartile.
      count: how many there are.
    """

    median: float
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Returns the spread of some values, of which there is at least one."""
        low, median, high = np.quantile(values, [0.25, 0.5, 0.75]).tolist()
        return cls(median, low, high, len(values))

    def fields(self, name: str) -> Row:
        """Returns the fields of a row: `name` is the median, `name_quartiles` the other two."""
        return {name: self.median, f"{name}_quartiles": [self.low, self.high]}


def alternate(
    contenders: Mapping[str, Callable[[int], None]], seconds: float
) -> dict[str, list[float]]:
    """Times contenders in turn, a block each: A B A B, so that both see the same load.

    Args:
      contenders: by name; each is called with how often to work, and returns when that is done.
      seconds: for all of them together, warm-up aside. Each has one block at least.

    Returns:
      The seconds of one turn of work in each block, by contender: as many blocks for each.
    """
    for work in contenders.values():
        work(1)  # warm-up
    end = time.monotonic() + seconds
    first = {name: _seconds(work, 1) for name, work in contenders.items()}
    block = seconds / len(contenders) / BLOCKS
    turns = {name: max(1, round(block / first[name])) for name in contenders}
    whole = set(turns.values()) == {1}  # then the first turns were blocks, too
    times = {name: [first[name]] if whole else [] for name in contenders}
    while not any(times.values()) or time.monotonic() < end:
        for name, work in contenders.items():
            times[name].append(_seconds(work, turns[name]) / turns[name])
    return times


def _seconds(work: Callable[[int], None], turns: int) -> float:
    began = time.perf_counter()
    work(turns)
    return time.perf_counter() - began


def table(columns: Columns, rows: Sequence[Row]) -> str:
    """Returns rows as lines of text, aligned to the right, below their headings."""
    cells = [tuple(columns), *(tuple(show(row) for show in columns.values()) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(f"{cell:>{width}}" for cell, width in zip(line, widths, strict=True))
        for line in cells
    )


def with_quartiles(name: str, scale: float = 1.0) -> Callable[[Row], str]:
    """Returns what shows a field with its quartiles, times a scale: `9.53 (9.41-9.70)`."""

    def show(row):
        if row.get(name) is None:
            return "-"
        median, low, high = (scale * x for x in (row[name], *row[f"{name}_quartiles"]))
        return f"{number(median)} ({number(low)}-{number(high)})"

    return show


def number(value: float) -> str:
    """Returns a number with three digits that count, or all of those before the point."""
    digits = max(0, 2 - int(np.floor(np.log10(abs(value))))) if value else 0
    return f"{value:,.{min(digits, 6)}f}"
