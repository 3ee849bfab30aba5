"""Makes the examples of a dataset of covers in an Apache Beam pipeline, on one machine or on many.

Only this module imports Beam. Workers import it by its name; the module of the builder, to which
`tfds build` gives a name of its own, they could not.
"""

import os
from typing import Any

import apache_beam as beam
from etils import epath

from data_pipeline.examples import SKIPPED_FILE, Made, make_example
from data_pipeline.folder import Skipped, read_folder

UPSCALED_FILE = "upscaled.txt"


class MakeExamples(beam.PTransform):
    """Gives a collection's examples under their albums' ids.

    It also writes `SKIPPED_FILE` and, with the number of covers that were upscaled,
    `UPSCALED_FILE`.
    """

    def __init__(self, folder: str | os.PathLike[str], size: int, out: epath.Path):
        """Names what is read and written.

        Args:
          folder: the collection; like `out` on a file system that all workers see.
          size: side of the square pictures in pixels.
          out: folder of the two files.
        """
        super().__init__()
        self._folder, self._size, self._out = os.fspath(folder), size, out

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection[tuple[str, dict[str, Any]]]:
        """Adds the transform to a pipeline."""
        made = (
            begin
            | beam.Create([self._folder])
            | "Read" >> beam.FlatMap(read_folder)  # By one worker: the first of duplicates counts.
            | beam.Reshuffle()
            | "Make" >> beam.Map(make_example, self._size)
        )
        _ = (
            made
            | "Skipped" >> beam.Filter(lambda made: isinstance(made, Skipped))
            | beam.combiners.ToList()
            | "WriteSkipped" >> beam.Map(_write_skipped, self._out / SKIPPED_FILE)
        )
        # Not one of Beam's metrics: they may count twice what is done again after a failure.
        _ = (
            made
            | "Upscaled" >> beam.Map(_is_upscaled)
            | beam.CombineGlobally(sum)
            | "WriteUpscaled" >> beam.Map(_write_count, self._out / UPSCALED_FILE)
        )
        return made | "Keyed" >> beam.FlatMap(_keyed)


def _is_upscaled(made: Made) -> bool:
    return not isinstance(made, Skipped) and made[1]


def _keyed(made: Made) -> list[tuple[str, dict[str, Any]]]:
    return [] if isinstance(made, Skipped) else [(made[0]["album_id"], made[0])]


def _write_skipped(skipped: list[Skipped], path: epath.Path) -> None:
    lines = sorted(skipped, key=lambda skipped: skipped.line)
    path.write_text("".join(line.as_json() + "\n" for line in lines))


def _write_count(count: int, path: epath.Path) -> None:
    path.write_text(str(count))
