"""Makes the examples of a cover dataset in an Apache Beam pipeline, on one or many machines.

Only this module imports Beam. It is separate from the builder because workers import it by name,
and `tfds build` loads the builder under a name that they cannot import.
"""

import json
import os
from collections.abc import Callable
from typing import Any

import apache_beam as beam
from etils import epath

from data_pipeline.examples import SKIPPED_FILE, Made, Recipe, make_example
from data_pipeline.folder import CoverRecord, Skipped, read_folder

COUNTS_FILE = "counts.json"


class MakeExamples(beam.PTransform):
    """Makes the examples of a split of a collection, keyed by album id.

    Also writes `<split>-SKIPPED_FILE`, and what was counted of the covers to
    `<split>-COUNTS_FILE`.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        recipe: Recipe,
        out: epath.Path,
        split: str,
        is_of: Callable[[CoverRecord | Skipped], bool],
    ):
        """Prepares the transform.

        Args:
          folder: the collection, on a file system that all workers share.
          recipe: how to make them.
          out: the folder for the two files, also shared.
          split: name of the split.
          is_of: whether a line is of the split.
        """
        super().__init__()
        self._folder, self._recipe, self._out = os.fspath(folder), recipe, out
        self._split, self._is_of = split, is_of

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection[tuple[str, dict[str, Any]]]:
        """Adds the transform to a pipeline."""
        made = (
            begin
            | beam.Create([self._folder])
            | "Read" >> beam.FlatMap(read_folder)  # One worker, to drop duplicates.
            | beam.Filter(self._is_of)
            | beam.Reshuffle()
            | "Make" >> beam.Map(make_example, self._recipe)
        )
        _ = (
            made
            | "Skipped" >> beam.Filter(lambda made: isinstance(made, Skipped))
            | beam.combiners.ToList()
            | "WriteSkipped"
            >> beam.Map(_write_skipped, self._out / f"{self._split}-{SKIPPED_FILE}")
        )
        # Beam's own metrics may count retried work twice.
        _ = (
            made
            | "Counted" >> beam.FlatMap(_facts)
            | beam.combiners.Count.PerElement()
            | beam.combiners.ToDict()
            | "WriteCounts" >> beam.Map(_write_counts, self._out / f"{self._split}-{COUNTS_FILE}")
        )
        return made | "Keyed" >> beam.FlatMap(_keyed)


def _facts(made: Made) -> tuple[str, ...]:
    return () if isinstance(made, Skipped) else made[1]


def _keyed(made: Made) -> list[tuple[str, dict[str, Any]]]:
    return [] if isinstance(made, Skipped) else [(made[0]["album_id"], made[0])]


def _write_skipped(skipped: list[Skipped], path: epath.Path) -> None:
    lines = sorted(skipped, key=lambda skipped: skipped.line)
    path.write_text("".join(line.as_json() + "\n" for line in lines))


def _write_counts(counts: dict[str, int], path: epath.Path) -> None:
    path.write_text(json.dumps(counts))
