"""The TFDS builder for the demo covers, the dataset to start with."""

import io
import pathlib
from collections.abc import Iterator
from typing import Any, ClassVar

import tensorflow_datasets as tfds

from dac.covers.dataset import HELD_OUT, TRAINING, VERSION, cover_features, finish_dataset
from data_pipeline.demo_covers import discography, drawing
from data_pipeline.folder import CoverRecord
from data_pipeline.held_out import choose_held_out

_DESCRIPTION = """
Album covers drawn by a program. Each genre has its own motifs, several layouts, and palettes that
change over the decades; the print style follows the release year. Many covers show the artist and
the title, and some albums blend two genres. All albums are fictional. The dataset needs no network
and is built in seconds, so training, sampling and evaluation can be tried at once and judged by
eye. Both sizes show the same covers.
"""


class DemoCovers(tfds.core.GeneratorBasedBuilder):
    """Draws `num_covers` covers with complete metadata; the default config is the smallest."""

    VERSION = tfds.core.Version(VERSION)
    RELEASE_NOTES: ClassVar[dict[str, str]] = {
        "1.0.0": "First release.",
        "2.0.0": "The albums as arrays beside the records.",
        "3.0.0": "Some artists are held out of training.",
        "4.0.0": "Sixteen genres, more layouts and palettes, and two sizes.",
    }
    BUILDER_CONFIGS = [  # noqa: RUF012
        tfds.core.BuilderConfig(name=str(size), description=f"{size}x{size} pixels")
        for size in drawing.SIZES
    ]

    # TFDS would look this up with importlib_resources, which it does not install.
    code_path = pathlib.Path(__file__)

    num_covers = 4000

    def __init__(self, *, file_format: Any = None, **kwargs: Any):
        # Array records are written and read without TensorFlow.
        super().__init__(file_format=file_format or "array_record", **kwargs)

    @property
    def _size(self) -> int:
        """Side of the covers in pixels."""
        return int(self.builder_config.name)

    def _info(self) -> tfds.core.DatasetInfo:
        features = cover_features(self._size)
        features["genres"].feature.names = list(discography.GENRES)
        return self.dataset_info_from_configs(features=features, description=_DESCRIPTION)

    def _download_and_prepare(self, dl_manager: Any, download_config: Any) -> None:
        super()._download_and_prepare(dl_manager, download_config)
        finish_dataset(self)

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[tuple[int, dict[str, Any]]]]:
        del dl_manager  # Nothing to download.
        albums = [discography.album_of(index) for index in range(self.num_covers)]
        records = [_record(album) for album in albums]
        held_out = choose_held_out(records, records)
        sides: dict[str, list[int]] = {}
        for index, record in enumerate(records):
            sides.setdefault(HELD_OUT if record in held_out else TRAINING, []).append(index)
        return {split: self._generate_examples(sides[split]) for split in sorted(sides)}

    def _generate_examples(self, indices: list[int]) -> Iterator[tuple[int, dict[str, Any]]]:
        for index in indices:
            album = discography.album_of(index)
            png = io.BytesIO()
            # Higher levels do not compress the grain any better.
            drawing.draw_cover(album, size=self._size).save(png, "PNG", compress_level=1)
            yield (
                index,
                {
                    # Encoded here, because TFDS would encode an array with TensorFlow.
                    "image": png.getvalue(),
                    "album_id": album.album_id,
                    "genres": album.genres,
                    "genres_known": True,
                    "release_year": album.release_year,
                    "artist": album.artist,
                    "title": album.title,
                },
            )


def _record(album: discography.Album) -> CoverRecord:
    return CoverRecord("", "", 0, album.album_id, artist=album.artist)
