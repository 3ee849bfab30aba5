"""Builds the dataset of a collection of covers on disk: `tfds build data_pipeline/album_covers`.

One size: `tfds build data_pipeline/album_covers --config=64 --manual_dir=FOLDER`. Without
`--config` all sizes are built. `data_pipeline.folder` says what the folder holds.
"""

import io
import itertools
import json
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds
from absl import logging

from dac.covers.dataset import cover_features
from data_pipeline.folder import CONVENTION, CoverRecord, Skipped, read_folder
from data_pipeline.pictures import PictureError, read_picture, square_rgb

SKIPPED_FILE = "skipped.jsonl"
SIZES = (64, 128, 256, 512)

# Covers in work at a time: what bounds the memory.
_CHUNK = 128


class AlbumCovers(tfds.core.GeneratorBasedBuilder):
    """Album covers as RGB squares, with genres, release year, artist and title where known.

    A cover that cannot be used is left out and listed in `skipped.jsonl` beside the records.
    `info.metadata` counts `covers`, those of them that were `upscaled`, and the lines `skipped` by
    reason.
    """

    VERSION = tfds.core.Version("1.0.0")
    MANUAL_DOWNLOAD_INSTRUCTIONS = f"--manual_dir must be {CONVENTION}."
    BUILDER_CONFIGS = [  # noqa: RUF012
        tfds.core.BuilderConfig(name=str(size), description=f"{size}x{size} pixels")
        for size in SIZES
    ]

    # Nothing is downloaded; and looking for checksums makes TFDS import importlib_resources, which
    # it does not install.
    url_infos: Mapping[str, Any] = {}

    def __init__(self, *, file_format: str | None = None, **kwargs: Any):
        # Only array_record can be read, at random and without TensorFlow, by `tfds.data_source`.
        super().__init__(file_format=file_format or "array_record", **kwargs)

    @property
    def _size(self) -> int:
        """Side of the covers in pixels."""
        return int(self.builder_config.name)

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=(
                f"Album covers of {self._size}x{self._size} pixels. Covers that are smaller in the "
                "collection are upscaled: metadata.json counts them."
            ),
            features=cover_features(self._size),
            metadata=tfds.core.MetadataDict(),
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[str, dict[str, Any]]]]:
        try:
            folder = dl_manager.manual_dir
        except AssertionError as error:  # Missing, or empty.
            raise FileNotFoundError(
                f"No collection of covers: pass --manual_dir=FOLDER, {CONVENTION}."
            ) from error
        lines = list(read_folder(folder))
        records = [line for line in lines if isinstance(line, CoverRecord)]
        skipped = [line for line in lines if isinstance(line, Skipped)]
        names = sorted({genre for record in records for genre in record.genres})
        self.info.features["genres"].feature.names = names
        return {"train": self._generate_examples(folder, records, skipped)}

    def _generate_examples(
        self, folder: Path, records: list[CoverRecord], skipped: list[Skipped]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yields each usable cover under its album's id; keeps count and lists the others."""
        reasons: dict[str, int] = {}
        counts = self.info.metadata
        counts.update(covers=0, upscaled=0, skipped=reasons)
        with Path(self.data_path, SKIPPED_FILE).open("w", encoding="utf-8") as skipped_file:

            def skip(line: Skipped) -> None:
                reasons[line.reason] = reasons.get(line.reason, 0) + 1
                entry = {"file_name": line.file_name, "line": line.line, "reason": line.reason}
                skipped_file.write(json.dumps(entry) + "\n")

            for line in skipped:
                skip(line)
            for record, made in _make_examples(records, self._size):
                if isinstance(made, Skipped):
                    skip(made)
                    continue
                example, upscaled = made
                counts["covers"] += 1
                counts["upscaled"] += upscaled
                yield record.album_id, example

        if not counts["covers"]:
            found = ", ".join(f"{count} {reason}" for reason, count in reasons.items())
            raise ValueError(
                f"No usable cover in {folder} (skipped: {found or 'nothing'}). "
                f"Expected {CONVENTION}."
            )
        logging.info(
            "%d covers of %d px (%d upscaled); skipped: %s",
            counts["covers"],
            self._size,
            counts["upscaled"],
            reasons or "none",
        )


def make_example(record: CoverRecord, size: int) -> tuple[dict[str, Any], bool] | Skipped:
    """Makes a cover's example; depends on nothing but the arguments and the picture's file.

    Args:
      record: the album and its picture.
      size: side of the square picture in pixels.

    Returns:
      An example of `cover_features(size)`, its picture encoded as PNG, and whether that was
      upscaled; or why there is none.
    """
    try:
        picture = read_picture(record.path)
        upscaled = min(picture.size) < size
        square = square_rgb(picture, size)
    except PictureError as error:
        return Skipped(record.file_name, record.line, error.reason)
    png = io.BytesIO()
    # Level 1 makes files 5% larger than the default, in a third of the time.
    square.save(png, "PNG", compress_level=1)
    example = {
        # Encoded here, as TFDS would encode an array with TensorFlow.
        "image": png.getvalue(),
        "album_id": record.album_id,
        "genres": list(record.genres),
        "genres_known": bool(record.genres),
        "release_year": record.release_year,
        "artist": record.artist,
        "title": record.title,
    }
    return example, upscaled


def _make_examples(
    records: list[CoverRecord], size: int
) -> Iterator[tuple[CoverRecord, tuple[dict[str, Any], bool] | Skipped]]:
    """Yields `make_example` of each record, in order, working on all cores.

    Threads are enough: decoding, resizing and encoding hold no lock of the interpreter's.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(records), _CHUNK):
            chunk = records[start : start + _CHUNK]
            yield from zip(
                chunk, pool.map(make_example, chunk, itertools.repeat(size)), strict=True
            )
