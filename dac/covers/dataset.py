"""Cover datasets: the format of a record, and the batch for each moment of the clock.

Both builders write the records of `cover_features` and, beside them, the albums of each split as
arrays; `CoverDataset` reads both without TensorFlow.
"""

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds
from absl import logging
from PIL import Image

from dac.covers.albums import ALBUMS_FILE, Albums, OtherHashingError, write_albums
from dac.covers.conditions import Album
from dac.covers.decoding import DecodedCovers
from dac.errors import UserError

TRAINING, HELD_OUT = "train", "validation"  # the splits; small datasets hold nothing out
# Of both datasets. Only datasets of the same major version are read: 3 came with `HELD_OUT`, 4 with
# other demo covers, which now have two sizes.
VERSION = "4.0.0"
_ENCODED = {"image": tfds.decode.SkipDecoding()}


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


def finish_dataset(builder: tfds.core.DatasetBuilder) -> None:
    """Writes `ALBUMS_FILE` beside the records of each split, which a builder has just written.

    The records are read once, so that the albums have their order, whoever wrote them.
    """
    for split in builder.info.splits:
        records = builder.as_data_source(split, decoders=_ENCODED)
        write_albums(map(_album, records), builder.data_path / ALBUMS_FILE.format(split=split))


def find_dataset(
    data_dir: Path, name: str, resolution: int, started_with: str | None = None
) -> Path | None:
    """Returns the folder of a built dataset, or None.

    A dataset may be built in several sizes; the smallest that suffices is used, in the newest
    version of the present format. A run keeps the dataset that it started with, even if another one
    is built later that suits as well.

    Args:
      data_dir: root of the TFDS datasets.
      name: name of the dataset.
      resolution: side in pixels that the covers must have at least.
      started_with: full name of the dataset that the run started with: its `identity["name"]`.
    """

    def built(folder):
        return _is_read(folder.name) and (folder / "dataset_info.json").exists()

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
    """A split of a built dataset, held in memory if it fits and read from disk if not.

    Attributes:
      path: folder of the dataset.
      genres: names of the genres, by index.
      years: the first and the last release year, or None if no year is known.
      size: side of the covers in pixels.
    """

    def __init__(self, path: Path, memory_gib: float, split: str = TRAINING):
        """Opens the dataset.

        Args:
          path: folder of the dataset, including its version.
          memory_gib: decoded covers are held in memory up to this size.
          split: `TRAINING` or `HELD_OUT`.

        Raises:
          UserError: the dataset is empty, has no such split, is of an earlier version, or can't be
            read.
        """
        self.path, self._split_name = Path(path), split
        self._epoch, self._order = -1, None
        try:
            builder = tfds.builder_from_directory(self.path)
            self._info = builder.info
            count = builder.info.splits[split].num_examples if split in builder.info.splits else 0
            if count:
                self._records = builder.as_data_source(split, decoders=_ENCODED)
        except Exception as error:
            raise self._unreadable("it", error) from error
        if not count:
            raise UserError(
                f"the dataset {self.path} has too few covers to hold some out of training"
                if split == HELD_OUT
                else f"the dataset {self.path} holds no covers; build it again from a folder that "
                "does"
            )
        self.size = int(builder.info.features["image"].shape[0])
        self.genres = tuple(builder.info.features["genres"].feature.names or ())
        self._covers = DecodedCovers(self._image, len(self), self.size, memory_gib * 2**30)
        self._albums = self._read_albums()
        self.years = self._albums.years

    def __len__(self) -> int:
        """Number of covers."""
        return len(self._records)

    @property
    def identity(self) -> dict:
        """What must be unchanged when a run resumes, as JSON values."""
        return {
            "name": self._info.full_name,
            "covers": len(self),
            "bytes": int(self._info.splits[self._split_name].num_bytes),
            "genres": list(self.genres),
            "fields": list(self.known_fields),
            "years": list(self.years) if self.years else None,
        }

    @property
    def known_fields(self) -> tuple[str, ...]:
        """Those of `FIELDS` that are known for at least one cover."""
        return self._albums.known_fields

    def genre_counts(self) -> np.ndarray:
        """Returns the number of covers of each genre, `[G]` int64."""
        return self._albums.genre_counts(len(self.genres))

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
        conditions = self._albums.encode(indices, fields, len(self.genres))
        return {"image": self.images(indices, resolution), **conditions}

    def labels(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        """Returns the encoded genres of covers."""
        return self._albums.encode(indices, ("genres",), len(self.genres))

    def images(self, indices: np.ndarray, resolution: int) -> np.ndarray:
        """Returns covers at a resolution, `[len(indices), R, R, 3]` uint8.

        Raises:
          UserError: a record can't be read.
        """
        return self._covers.images(indices, resolution)

    def content_digest(self, indices: np.ndarray) -> str:
        """Returns a SHA-256 of the encoded pictures of covers, in hexadecimal.

        Raises:
          UserError: a record can't be read.
        """
        digest = hashlib.sha256()
        for index in indices:
            digest.update(hashlib.sha256(self._record(int(index))["image"]).digest())
        return digest.hexdigest()

    def plan(self, resolutions: Sequence[int]) -> None:
        """Tells which resolutions `images` will be asked for, in order.

        Each is then made ready while the one before it is in use, if there is memory for both. A
        new plan, even an empty one, drops the decoded covers and ends what is under way.
        """
        self._covers.plan(resolutions)

    def read_ahead(self, indices: np.ndarray, resolution: int) -> None:
        """Starts to read covers that `images` will be asked for next, if they aren't in memory."""
        self._covers.read_ahead(indices, resolution)

    def _read_albums(self) -> Albums:
        path = self.path / ALBUMS_FILE.format(split=self._split_name)
        try:
            if not _is_read(str(self._info.version)):
                raise FileNotFoundError(path)
            albums = Albums(path)
            if len(albums) != len(self):
                raise ValueError(f"it has {len(albums)} albums of {len(self)} covers")
            return albums
        except (FileNotFoundError, OtherHashingError) as error:
            raise UserError(
                f"the dataset {self.path} is of an earlier version, which is no longer read; "
                f"build it anew: tfds build data_pipeline/{self._info.name} "
                "--manual_dir=data/covers --overwrite (after: pip install -e '.[build]')"
            ) from error
        except Exception as error:
            raise self._unreadable(path.name, error) from error

    def _index(self, seed: int, position: int) -> int:
        """Returns the cover at a position of the endless, shuffled sequence of covers."""
        epoch, place = divmod(position, len(self))
        if epoch != self._epoch:
            generator = np.random.Generator(np.random.Philox(key=[seed, epoch]))
            self._epoch, self._order = epoch, generator.permutation(len(self))
        return self._order[place]

    def _image(self, index: int) -> np.ndarray:
        record = self._record(index)
        try:
            with Image.open(io.BytesIO(record["image"])) as picture:
                image = np.asarray(picture.convert("RGB"))
            if image.shape != (self.size, self.size, 3):
                raise ValueError(f"its picture has the shape {image.shape}")
            return image
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


def _is_read(version: str) -> bool:
    """Whether datasets of a version are still read."""
    return version.split(".")[0] == VERSION.split(".")[0]


def _album(record: dict) -> Album:
    names = {name: record[name] for name in ("artist", "title")}
    return Album(
        genres=dict.fromkeys((int(genre) for genre in record["genres"]), 1.0),
        year=record["release_year"],
        **{name: None if text is None else text.decode() for name, text in names.items()},
    )
