"""Cover datasets: the format of a record, and the batch for each moment of the clock.

Both builders write the format of `cover_features`; `CoverDataset` reads it without TensorFlow.
"""

import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds
from absl import logging
from PIL import Image

from dac.covers.conditions import FIELDS, Album, encode, fold_name
from dac.covers.images import shrink
from dac.errors import UserError

SPLIT = "train"


def cover_features(size: int) -> tfds.features.FeaturesDict:
    """Returns the TFDS features of one cover, `[size, size, 3]` uint8 RGB with its metadata.

    All fields except `image` and `album_id` may be missing: `release_year`, `artist` and `title`
    are None then, and `genres_known` is False.

    Args:
      size: side of the square picture in pixels.
    """
    return tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=(size, size, 3), encoding_format="png"),
            "album_id": tfds.features.Text(),
            "genres": tfds.features.Sequence(tfds.features.ClassLabel()),
            "genres_known": np.bool_,
            "release_year": tfds.features.Scalar(np.int32, optional=True),
            "artist": tfds.features.Text(optional=True),
            "title": tfds.features.Text(optional=True),
        }
    )


def find_dataset(
    data_dir: Path, name: str, resolution: int, started_with: str | None = None
) -> Path | None:
    """Returns the folder of a built dataset, or None.

    A dataset may be built in several sizes; the smallest that suffices is used, in its newest
    version. A run keeps the dataset that it started with, even if another one is built later that
    suits as well.

    Args:
      data_dir: root of the TFDS datasets.
      name: name of the dataset.
      resolution: side in pixels that the covers must have at least.
      started_with: full name of the dataset that the run started with: its `identity["name"]`.
    """

    def built(folder):
        return (folder / "dataset_info.json").exists()

    def versions(folder):
        found = [version for version in folder.glob("[0-9]*.*.*") if built(version)]
        return sorted(found, key=lambda v: tuple(int(n) for n in v.name.split(".")))

    def suits(folder):
        size = folder.parent.name
        return built(folder) and (not size.isdecimal() or int(size) >= resolution)

    root = Path(data_dir) / name
    if started_with and suits(kept := Path(data_dir) / started_with) and root in kept.parents:
        return kept
    sizes = (d for d in root.glob("[0-9]*") if d.name.isdecimal() and int(d.name) >= resolution)
    for folder in (root, *sorted(sizes, key=lambda d: int(d.name))):
        if found := versions(folder):
            return found[-1]
    return None


class CoverDataset:
    """A built dataset, held in memory if it fits and read from disk if not.

    Attributes:
      path: folder of the dataset.
      genres: names of the genres, by index.
      years: the first and the last release year, or None if no year is known.
      size: side of the covers in pixels.
    """

    def __init__(self, path: Path, memory_gib: float):
        """Opens the dataset.

        Args:
          path: folder of the dataset, including its version.
          memory_gib: the covers of the present resolution are held in memory up to this size.

        Raises:
          UserError: the dataset is empty, or can't be read.
        """
        self.path = Path(path)
        self._memory_bytes = memory_gib * 2**30
        self._pool = ThreadPoolExecutor(thread_name_prefix="covers")
        self._resolution, self._held = 0, None
        self._epoch, self._order = -1, None
        try:
            builder = tfds.builder_from_directory(self.path)
            self._info = builder.info
            split = builder.info.splits[SPLIT]
            if split.num_examples:
                self._records = builder.as_data_source(
                    SPLIT, decoders={"image": tfds.decode.SkipDecoding()}
                )
        except Exception as error:
            raise self._unreadable("it", error) from error
        if not split.num_examples:
            raise UserError(
                f"the dataset {self.path} holds no covers; build it again from a folder that does"
            )
        self.size = int(builder.info.features["image"].shape[0])
        self.genres = tuple(builder.info.features["genres"].feature.names or ())
        self._albums = [_album(self._record(i)) for i in range(len(self))]
        years = [album.year for album in self._albums if album.year is not None]
        self.years = (min(years), max(years)) if years else None

    def __len__(self) -> int:
        """Number of covers."""
        return len(self._records)

    @property
    def identity(self) -> dict:
        """What must be unchanged when a run resumes, as JSON values."""
        return {
            "name": self._info.full_name,
            "covers": len(self),
            "bytes": int(self._info.splits[SPLIT].num_bytes),
            "genres": list(self.genres),
            "fields": list(self.known_fields),
            "years": list(self.years) if self.years else None,
        }

    @property
    def known_fields(self) -> tuple[str, ...]:
        """Those of `FIELDS` that are known for at least one cover."""
        return tuple(f for f in FIELDS if any(getattr(a, f) is not None for a in self._albums))

    def genre_counts(self) -> np.ndarray:
        """Returns the number of covers of each genre, `[G]` int64."""
        genres = [genre for album in self._albums for genre in album.genres or ()]
        return np.bincount(np.array(genres, np.int64), minlength=len(self.genres))

    def album(self, index: int) -> Album:
        """Returns what is known of the album of a cover."""
        return self._albums[index]

    def indices(self, seed: int, images_seen: int, count: int) -> np.ndarray:
        """Returns which covers to show from a moment of the clock on, `[count]` int64.

        Each pass over the dataset has a new order. The result is a pure function of the dataset and
        the arguments.
        """
        return np.array([self._index(seed, images_seen + i) for i in range(count)], np.int64)

    def batch(
        self, indices: np.ndarray, resolution: int, fields: Sequence[str]
    ) -> dict[str, np.ndarray]:
        """Returns covers, `image` `[B, R, R, 3]` uint8, with their encoded conditions."""
        albums = [self._albums[i] for i in indices]
        conditions = encode(albums, fields, len(self.genres))
        return {"image": self.images(indices, resolution), **conditions}

    def labels(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        """Returns the encoded genres of covers."""
        return encode([self._albums[i] for i in indices], ("genres",), len(self.genres))

    def images(self, indices: np.ndarray, resolution: int) -> np.ndarray:
        """Returns covers at a resolution, `[len(indices), R, R, 3]` uint8."""
        if self._resolution != resolution:
            self._resolution, self._held = resolution, None
            if len(self) * resolution**2 * 3 <= self._memory_bytes:
                self._held = self._decode(range(len(self)), resolution)
        if self._held is not None:
            return self._held[indices]
        return self._decode(indices, resolution)

    def _index(self, seed: int, position: int) -> int:
        """Returns the cover at a position of the endless, shuffled sequence of covers."""
        epoch, place = divmod(position, len(self))
        if epoch != self._epoch:
            generator = np.random.Generator(np.random.Philox(key=[seed, epoch]))
            self._epoch, self._order = epoch, generator.permutation(len(self))
        return self._order[place]

    def _decode(self, indices, resolution: int) -> np.ndarray:
        images = np.empty((len(indices), resolution, resolution, 3), np.uint8)

        def fill(place_and_index):
            place, index = place_and_index
            images[place] = self._image(int(index), resolution)

        for _ in self._pool.map(fill, enumerate(indices)):
            pass
        return images

    def _image(self, index: int, resolution: int) -> np.ndarray:
        record = self._record(index)
        try:
            with Image.open(io.BytesIO(record["image"])) as picture:
                image = np.asarray(picture.convert("RGB"))
            return shrink(image, resolution)
        except Exception as error:
            raise self._unreadable(f"record {index}", error) from error

    def _record(self, index: int) -> dict:
        try:
            return self._records[index]
        except Exception as error:
            raise self._unreadable(f"record {index}", error) from error

    def _unreadable(self, what: str, error: Exception) -> UserError:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        logging.debug("unreadable dataset", exc_info=error)
        return UserError(
            f"the dataset {self.path} can't be read: {what} is damaged ({reason}); build it again "
            "with `tfds build --overwrite`, or delete its folder"
        )


def _album(record: dict) -> Album:
    """Returns the album of a record. A blank or unreadable name counts as not known."""

    def name(value):
        text = None if value is None else value.decode()
        return text if text and fold_name(text) else None

    return Album(
        genres=dict.fromkeys((int(genre) for genre in record["genres"]), 1.0) or None,
        year=record["release_year"],
        artist=name(record["artist"]),
        title=name(record["title"]),
    )
