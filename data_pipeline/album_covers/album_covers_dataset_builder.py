"""The TFDS builder for a collection of covers on disk.

`tfds build data_pipeline/album_covers --config=64 --manual_dir=FOLDER` builds one size; without
`--config` it builds all sizes. `data_pipeline.folder` describes the folder. With
`--beam_pipeline_options`, Beam builds the same dataset.
"""

import functools
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds
from absl import logging

from dac.covers.dataset import HELD_OUT, TRAINING, VERSION, cover_features, finish_dataset
from data_pipeline.examples import SKIPPED_FILE, make_example, make_examples
from data_pipeline.folder import CONVENTION, CoverRecord, Skipped, read_folder
from data_pipeline.held_out import choose_held_out

SIZES = (64, 128, 256, 512)


class AlbumCovers(tfds.core.GeneratorBasedBuilder):
    """Album covers as RGB squares, with genres, release year, artist and title if known.

    Unusable covers are skipped and listed in `skipped.jsonl` beside the records. `info.metadata`
    has the number of `covers` of all splits, how many were `held_out` of training, how many of all
    were `upscaled`, and the number of `skipped` lines by reason.
    """

    VERSION = tfds.core.Version(VERSION)
    MANUAL_DOWNLOAD_INSTRUCTIONS = f"--manual_dir must be {CONVENTION}."
    BUILDER_CONFIGS = [  # noqa: RUF012
        tfds.core.BuilderConfig(name=str(size), description=f"{size}x{size} pixels")
        for size in SIZES
    ]

    # Nothing is downloaded, and looking for checksums would make TFDS import importlib_resources,
    # which it does not install.
    url_infos: Mapping[str, Any] = {}

    def __init__(self, *, file_format: str | None = None, **kwargs: Any):
        # `tfds.data_source` reads array_record with random access and without TensorFlow.
        super().__init__(file_format=file_format or "array_record", **kwargs)

    @property
    def _size(self) -> int:
        """Side of the covers in pixels."""
        return int(self.builder_config.name)

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=(
                f"Album covers of {self._size}x{self._size} pixels. Smaller covers are upscaled; "
                "metadata.json has their number."
            ),
            features=cover_features(self._size),
            metadata=tfds.core.MetadataDict(),
        )

    def _download_and_prepare(
        self,
        dl_manager: tfds.download.DownloadManager,
        download_config: tfds.download.DownloadConfig,
    ) -> None:
        super()._download_and_prepare(dl_manager, download_config)
        finish_dataset(self)

    def _generate_splits(
        self,
        dl_manager: tfds.download.DownloadManager,
        download_config: tfds.download.DownloadConfig,
    ) -> Sequence[tfds.core.SplitInfo]:
        # `_split_generators` does not get this config.
        self._by_beam = bool(download_config.beam_options or download_config.beam_runner)
        self._upscaled = 0
        splits = super()._generate_splits(dl_manager, download_config)
        counts = {split.name: split.num_examples for split in splits}
        skipped = []
        for name in counts:
            part = self.data_path / f"{name}-{SKIPPED_FILE}"
            skipped += [json.loads(line) for line in part.read_text().splitlines()]
            part.unlink()
        skipped.sort(key=lambda line: line["line"])
        (self.data_path / SKIPPED_FILE).write_text("".join(map(_json_line, skipped)))
        self.info.metadata.update(
            covers=sum(counts.values()),
            held_out=counts.get(HELD_OUT, 0),
            upscaled=self._upscaled,
            skipped=dict(Counter(line["reason"] for line in skipped)),
        )
        logging.info("%d px: %s", self._size, dict(self.info.metadata))
        return splits

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
        try:
            folder = dl_manager.manual_dir
        except AssertionError as error:  # The folder is missing or empty.
            raise FileNotFoundError(
                f"No collection of covers. Pass --manual_dir=FOLDER, {CONVENTION}."
            ) from error
        _check_one_is_usable(folder, self._size)
        # The lines are read again for each purpose, instead of keeping them in memory.
        names = {genre for record in _records(folder) for genre in record.genres}
        self.info.features["genres"].feature.names = sorted(names)
        held_out = choose_held_out(_records(folder), _records(folder))
        splits = {TRAINING: functools.partial(held_out.is_of, held=False)}
        if held_out.share:
            splits[HELD_OUT] = functools.partial(held_out.is_of, held=True)
        if not self._by_beam:
            return {
                split: self._generate_examples(folder, split, is_of)
                for split, is_of in splits.items()
            }
        from data_pipeline.beam import MakeExamples  # Optional dependency.

        return {
            split: MakeExamples(folder, self._size, self.data_path, split, is_of)
            for split, is_of in splits.items()
        }

    def _generate_examples(
        self, folder: Path, split: str, is_of: Callable[[CoverRecord | Skipped], bool]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yields usable covers by album id; lists skipped ones and counts upscaled ones."""
        lines = filter(is_of, read_folder(folder))
        with (self.data_path / f"{split}-{SKIPPED_FILE}").open("w") as skipped:
            for made in make_examples(lines, self._size):
                if isinstance(made, Skipped):
                    skipped.write(made.as_json() + "\n")
                    continue
                example, upscaled = made
                self._upscaled += upscaled
                yield example["album_id"], example

    def _process_pipeline_result(self, pipeline_result: Any) -> None:
        from data_pipeline.beam import UPSCALED_FILE

        for path in self.data_path.glob(f"*-{UPSCALED_FILE}"):
            self._upscaled += int(path.read_text())
            path.unlink()


def _records(folder: Path) -> Iterator[CoverRecord]:
    return (line for line in read_folder(folder) if isinstance(line, CoverRecord))


def _json_line(fields: dict[str, Any]) -> str:
    return json.dumps(fields) + "\n"


def _check_one_is_usable(folder: Path, size: int) -> None:
    """Raises an error with the number of covers by reason if none can be used."""
    reasons: Counter[str] = Counter()
    for line in read_folder(folder):
        made = make_example(line, size)
        if not isinstance(made, Skipped):
            return
        reasons[made.reason] += 1
    found = ", ".join(f"{count} {reason}" for reason, count in reasons.items())
    raise ValueError(
        f"No usable cover in {folder} (skipped: {found or 'nothing'}). Expected {CONVENTION}."
    )
