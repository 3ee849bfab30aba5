"""Albums as arrays, in one file beside the records of a dataset.

The file is read in place of the records when a dataset is opened, and batches are gathered from it.
Names are hashed when it is written.
"""

import dataclasses
import os
from array import array
from collections.abc import Iterable, Sequence

import numpy as np

from dac.covers import conditions
from dac.covers.conditions import NUM_NGRAMS, Album, fold_name, hash_name, scale_year

ALBUMS_FILE = "albums-{split}.npz"
NAMES = ("artist", "title")
_UNKNOWN_YEAR = np.iinfo(np.int16).min


def _hashing() -> np.ndarray:
    """Returns what tells one way of hashing names from another: its constants, and a sample."""
    sample = hash_name("\u0130a\u0301 \uff32" * 32)
    return np.array([conditions.TEXT_BUCKETS, conditions.MAX_CHARACTERS, *sample])


class OtherHashingError(Exception):
    """The names in a file were hashed in another way than now."""


@dataclasses.dataclass(frozen=True)
class _Rows:
    """Rows of different lengths; row i is `values[offsets[i] : offsets[i + 1]]`."""

    values: np.ndarray
    offsets: np.ndarray

    def __getitem__(self, index: int) -> np.ndarray:
        return self.values[self.offsets[index] : self.offsets[index + 1]]

    def gather(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns the values of rows; for each, which of the rows it is in, and its place there."""
        starts = self.offsets[indices]
        lengths = self.offsets[indices + 1] - starts
        row = np.repeat(np.arange(len(indices)), lengths)
        place = np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return self.values[np.repeat(starts, lengths) + place], row, place


class Albums:
    """What is known of N albums, as arrays."""

    def __init__(self, path: str | os.PathLike[str]):
        """Reads the file that `write_albums` wrote.

        Raises:
          FileNotFoundError: there is none.
          OtherHashingError: names are hashed in another way now.
          Exception: what NumPy raises for a damaged file.
        """
        # NumPy would leave a damaged file open.
        with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
            if not np.array_equal(file["hashing"], _hashing()):
                raise OtherHashingError
            self._years = file["year"]
            self._genres, *rows = (
                _Rows(file[name], file[f"{name}_offsets"])
                for name in ("genres", *NAMES, *(f"{name}_ngrams" for name in NAMES))
            )
        self._names = dict(zip(NAMES, rows[:2], strict=True))
        self._ngrams = dict(zip(NAMES, rows[2:], strict=True))

    def __len__(self) -> int:
        """Number of albums."""
        return len(self._years)

    def __getitem__(self, index: int) -> Album:
        """Returns one of the albums."""
        year = int(self._years[index])
        names = {field: rows[index].tobytes().decode() for field, rows in self._names.items()}
        return Album(
            genres=dict.fromkeys(self._genres[index].tolist(), 1.0) or None,
            year=None if year == _UNKNOWN_YEAR else year,
            **{field: name or None for field, name in names.items()},
        )

    @property
    def known_fields(self) -> tuple[str, ...]:
        """Those of `FIELDS` that are known for at least one album."""
        known = {"genres": len(self._genres.values), "year": self.years is not None}
        known |= {field: len(rows.values) for field, rows in self._ngrams.items()}
        return tuple(field for field, some in known.items() if some)

    @property
    def years(self) -> tuple[int, int] | None:
        """The first and the last year, or None if no year is known."""
        years = self._years[self._years != _UNKNOWN_YEAR]
        return (int(years.min()), int(years.max())) if len(years) else None

    def genre_counts(self, num_genres: int) -> np.ndarray:
        """Returns the number of albums of each of G genres, `[G]` int64."""
        return np.bincount(self._genres.values, minlength=num_genres)

    def encode(
        self, indices: np.ndarray, fields: Sequence[str], num_genres: int
    ) -> dict[str, np.ndarray]:
        """Returns what `conditions.encode` returns for these albums, `[B]`, to the bit."""
        arrays = {}
        if "genres" in fields:
            genres, row, _ = self._genres.gather(indices)
            weights = np.zeros((len(indices), num_genres), np.float32)
            weights[row, genres] = 1.0
            total = weights.sum(axis=1, keepdims=True)
            arrays["genres"] = np.divide(weights, total, out=weights, where=total > 0)
            arrays["genres_known"] = total[:, 0] > 0
        if "year" in fields:
            years = self._years[indices]
            known = arrays["year_known"] = years != _UNKNOWN_YEAR
            arrays["year"] = np.where(known, scale_year(years), np.float32(0.0))
        for field in NAMES:
            if field in fields:
                ngrams, row, place = self._ngrams[field].gather(indices)
                ids = arrays[field] = np.zeros((len(indices), NUM_NGRAMS), np.int32)
                ids[row, place] = ngrams
                arrays[f"{field}_known"] = ids.any(axis=1)
        return arrays


def write_albums(albums: Iterable[Album], path: os.PathLike[str]) -> None:
    """Writes the file of a dataset's albums at once, holding no more than its arrays.

    Args:
      albums: in the order of the records; weights of genres are not kept, and a blank name counts
        as not known.
      path: the file, `ALBUMS_FILE` in the dataset's folder; a `pathlib` or an `epath` path.
    """
    years, genres = array("h"), _Growing("i")
    names, ngrams = ({field: _Growing(code) for field in NAMES} for code in "BH")
    for album in albums:
        years.append(_UNKNOWN_YEAR if album.year is None else album.year)
        genres.add(array("i", album.genres or ()).tobytes())
        for field in NAMES:
            name = getattr(album, field) or ""
            names[field].add(name.encode() if fold_name(name) else b"")
            ngrams[field].add(hash_name(name).tobytes())
    arrays = {"hashing": _hashing(), "year": np.array(years, np.int16)} | genres.arrays("genres")
    for field in NAMES:
        arrays |= names[field].arrays(field) | ngrams[field].arrays(f"{field}_ngrams")
    temporary = path.with_name(f"{path.name}.part")
    with temporary.open("wb") as file:
        np.savez(file, **arrays)
    temporary.replace(path)


class _Growing:
    """The values and offsets of `_Rows`, as they grow."""

    def __init__(self, code: str):
        self._values, self._offsets = array(code), array("q", [0])

    def add(self, row: bytes) -> None:
        self._values.frombytes(row)
        self._offsets.append(len(self._values))

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        return {name: np.asarray(self._values), f"{name}_offsets": np.asarray(self._offsets)}
