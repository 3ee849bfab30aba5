"""The TFDS builder for a collection of covers on disk.

`tfds build data_pipeline/album_covers --config=64 --manual_dir=FOLDER` builds one size; without
`--config` it builds all sizes; `--config='{"name": "64", "encoding": "jpeg"}'` sets further fields
of `AlbumCoversConfig`. `data_pipeline.folder` describes the folder. With `--beam_pipeline_options`,
Beam builds the same dataset.
"""

import dataclasses
import functools
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds
from absl import logging

from dac.covers.dataset import HELD_OUT, TRAINING, cover_features, finish_dataset
from data_pipeline.examples import SKIPPED_FILE, Recipe, make_example, make_examples
from data_pipeline.folder import (
    ATTRIBUTION_FILE,
    CONVENTION,
    METADATA_FILE,
    CoverRecord,
    Skipped,
    read_folder,
)
from data_pipeline.held_out import choose_held_out

SIZES = (64, 128, 256, 512)
ENCODINGS = ("png", "jpeg")
_LICENSE = (
    "Covers belong to their owners; whether you may use them depends on where you are and what "
    "for. Of a collection from MusicBrainz, metadata is CC0 1.0 and genres are CC BY-NC-SA 3.0."
)
_CITATION = """@misc{musicbrainz,
  title = {MusicBrainz and the Cover Art Archive},
  author = {{MetaBrainz Foundation and Internet Archive}},
  howpublished = {https://musicbrainz.org, https://coverartarchive.org},
}"""


@dataclasses.dataclass
class AlbumCoversConfig(tfds.core.BuilderConfig):
    """How a dataset is built; the name is the side of the pictures in pixels.

    Attributes:
      encoding: "png", or "jpeg": a ninth of the space at 512 pixels.
      pad: whether to pad oblong pictures with white instead of cropping them.
      max_aspect: pictures whose longer side is more than this many times the shorter are skipped.
      drop_doubles: whether to skip covers that are marked as the same as another, or similar to it.
      min_covers_per_genre: genres with fewer covers are left out; the covers stay.
    """

    encoding: str = "png"
    pad: bool = False
    max_aspect: float = 3.0
    drop_doubles: bool = False
    min_covers_per_genre: int = 1

    def __post_init__(self):
        if not self.name.isdecimal() or not 4 <= int(self.name) <= 4096:
            raise ValueError(f"the config's name {self.name!r} must be a side in pixels, 4 to 4096")
        if self.encoding not in ENCODINGS:
            raise ValueError(f"encoding={self.encoding!r} must be one of {', '.join(ENCODINGS)}")

    def recipe(self, genres: frozenset[str]) -> Recipe:
        """Returns how examples are made that have some genres."""
        size = int(self.name)
        return Recipe(size, self.encoding, self.pad, self.max_aspect, self.drop_doubles, genres)


class AlbumCovers(tfds.core.GeneratorBasedBuilder):
    """Album covers as RGB squares, with genres, release year, artist and title if known.

    Unusable covers are skipped and listed in `skipped.jsonl` beside the records. `info.metadata`
    has the number of `covers` of all splits, how many were `held_out` of training, how many of all
    were `upscaled`, `oblong` (their longer side above 1.5 times the shorter) or `colour_managed`
    (converted to sRGB), the number of `skipped` lines by reason, the `options` of the config, and
    which `collection` it is of: the SHA-256 of its `metadata.jsonl` and its attribution.
    """

    VERSION = tfds.core.Version("4.1.0")
    RELEASE_NOTES = {  # noqa: RUF012
        "4.0.0": "Albums as arrays beside the records; a held-out split.",
        "4.1.0": (
            "Colour profiles are applied; pictures more oblong than 3 to 1 are skipped; similar "
            "covers are on one side of the split; options for encoding, padding, doubles and rare "
            "genres."
        ),
    }
    MANUAL_DOWNLOAD_INSTRUCTIONS = f"--manual_dir must be {CONVENTION}."
    BUILDER_CONFIGS = [  # noqa: RUF012
        AlbumCoversConfig(name=str(size), description=f"{size}x{size} pixels") for size in SIZES
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

    def _create_builder_config(self, builder_config: Any, version: Any) -> Any:
        # TFDS wants another name for other options, but datasets are found by their size.
        if isinstance(builder_config, AlbumCoversConfig):
            return builder_config
        return super()._create_builder_config(builder_config, version)

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=(
                f"Album covers of {self._size}x{self._size} pixels. Smaller covers are upscaled; "
                "metadata.json has their number."
            ),
            features=self._features(),
            homepage="https://musicbrainz.org/doc/Cover_Art_Archive",
            license=_LICENSE,
            citation=_CITATION,
            metadata=tfds.core.MetadataDict(),
        )

    def _features(self) -> tfds.features.FeaturesDict:
        features = cover_features(self._size)
        encoding = self.builder_config.encoding
        if encoding == "png":
            return features
        image = tfds.features.Image(shape=features["image"].shape, encoding_format=encoding)
        return tfds.features.FeaturesDict({**features, "image": image})

    @property
    def _options(self) -> dict[str, Any]:
        """How the dataset is built: the config's own fields."""
        fields = AlbumCoversConfig.__annotations__
        return {name: getattr(self.builder_config, name) for name in fields}

    def download_and_prepare(
        self, *, download_config: tfds.download.DownloadConfig | None = None, **kwargs: Any
    ) -> None:
        """Builds the dataset unless it is there.

        Raises:
          ValueError: it is there, but was built with other options.
        """
        renew = download_config is not None and download_config.download_mode.overwrite_dataset
        built = self.info.metadata.get("options")
        if self.data_path.exists() and built not in (None, self._options) and not renew:
            differing = (
                f"{name}={built.get(name)!r}, not {value!r}"
                for name, value in self._options.items()
                if built.get(name) != value
            )
            raise ValueError(
                f"The dataset in {self.data_path} was built with other options: "
                f"{'; '.join(differing)}. Build with --overwrite, into another --data_dir, or with "
                "its options."
            )
        super().download_and_prepare(download_config=download_config, **kwargs)

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
        self._counts: Counter[str] = Counter()
        splits = super()._generate_splits(dl_manager, download_config)
        counts = {split.name: split.num_examples for split in splits}
        skipped = []
        for name in counts:
            part = self.data_path / f"{name}-{SKIPPED_FILE}"
            skipped += [json.loads(line) for line in part.read_text().splitlines()]
            part.unlink()
        skipped.sort(key=lambda line: line["line"])
        (self.data_path / SKIPPED_FILE).write_text(
            "".join(json.dumps(line) + "\n" for line in skipped)
        )
        self.info.metadata.update(
            covers=sum(counts.values()),
            held_out=counts.get(HELD_OUT, 0),
            **{name: self._counts[name] for name in ("upscaled", "oblong", "colour_managed")},
            skipped=dict(Counter(line["reason"] for line in skipped)),
            options=self._options,
            collection=_describe_collection(Path(dl_manager.manual_dir)),
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
        _check_one_is_usable(folder, self.builder_config.recipe(frozenset()))
        # The lines are read again for each purpose, instead of keeping them in memory.
        counts = Counter(genre for record in _records(folder) for genre in record.genres)
        least = self.builder_config.min_covers_per_genre
        names = {genre for genre, count in counts.items() if count >= least}
        self.info.features["genres"].feature.names = sorted(names)
        recipe = self.builder_config.recipe(frozenset(names))
        held_out = choose_held_out(_records(folder), _records(folder))
        splits = {TRAINING: functools.partial(held_out.is_of, held=False)}
        if held_out.share:
            splits[HELD_OUT] = functools.partial(held_out.is_of, held=True)
        if not self._by_beam:
            return {
                split: self._generate_examples(folder, recipe, split, is_of)
                for split, is_of in splits.items()
            }
        from data_pipeline.beam import MakeExamples  # Optional dependency.

        return {
            split: MakeExamples(folder, recipe, self.data_path, split, is_of)
            for split, is_of in splits.items()
        }

    def _generate_examples(
        self,
        folder: Path,
        recipe: Recipe,
        split: str,
        is_of: Callable[[CoverRecord | Skipped], bool],
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yields usable covers by album id; lists skipped ones and counts facts of others."""
        lines = filter(is_of, read_folder(folder))
        with (self.data_path / f"{split}-{SKIPPED_FILE}").open("w") as skipped:
            for made in make_examples(lines, recipe):
                if isinstance(made, Skipped):
                    skipped.write(made.as_json() + "\n")
                    continue
                example, facts = made
                self._counts.update(facts)
                yield example["album_id"], example

    def _process_pipeline_result(self, pipeline_result: Any) -> None:
        from data_pipeline.beam import COUNTS_FILE

        for path in self.data_path.glob(f"*-{COUNTS_FILE}"):
            self._counts.update(json.loads(path.read_text()))
            path.unlink()


def _records(folder: Path) -> Iterator[CoverRecord]:
    return (line for line in read_folder(folder) if isinstance(line, CoverRecord))


def _describe_collection(folder: Path) -> dict[str, str]:
    """Returns the version of a collection, and its attribution if it has one."""
    with (folder / METADATA_FILE).open("rb") as file:
        version = hashlib.file_digest(file, "sha256").hexdigest()
    attribution = folder / ATTRIBUTION_FILE
    told = {"attribution": attribution.read_text("utf-8")} if attribution.is_file() else {}
    return {"metadata_sha256": version} | told


def _check_one_is_usable(folder: Path, recipe: Recipe) -> None:
    """Raises an error with the number of covers by reason if none can be used."""
    reasons: Counter[str] = Counter()
    for line in read_folder(folder):
        made = make_example(line, recipe)
        if not isinstance(made, Skipped):
            return
        reasons[made.reason] += 1
    found = ", ".join(f"{count} {reason}" for reason, count in reasons.items())
    raise ValueError(
        f"No usable cover in {folder} (skipped: {found or 'nothing'}). Expected {CONVENTION}."
    )
