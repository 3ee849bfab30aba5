"""What is known of an album, and its encoding as arrays for the networks."""

import dataclasses
import difflib
import functools
import unicodedata
import zlib
from collections.abc import Mapping, Sequence

import numpy as np

from dac.errors import UserError

FIELDS = ("genres", "year", "artist", "title")

# Valid years: from the first sound recording to well beyond any announced release. A year is
# encoded as (year - YEAR_CENTRE) / YEAR_SPAN, which is small for most recorded music.
MIN_YEAR, MAX_YEAR = 1860, 2100
YEAR_CENTRE, YEAR_SPAN = 1980, 30

# A name is encoded as a bag of hashed character n-grams, which works for any script and needs no
# download.
MAX_CHARACTERS = 64  # of a name; the rest is ignored
TEXT_BUCKETS = 4096  # number of n-gram ids; 0 means none
NUM_NGRAMS = 3 * MAX_CHARACTERS + 1  # n of one character, n + 1 of two, n of three
_START, _END = "\x02", "\x03"  # mark the ends of a name; folded names have no control characters
_UNSEEN = ("Cc", "Cf", "Cs")  # Unicode categories


@dataclasses.dataclass(frozen=True)
class Album:
    """What is known of an album; a field that is not known is None.

    Attributes:
      genres: weights above 0 by index in the vocabulary; they need not sum to 1.
      year: year of release.
      artist: name of the artist.
      title: name of the album.
    """

    genres: Mapping[int, float] | None = None
    year: int | None = None
    artist: str | None = None
    title: str | None = None


def encode(
    albums: Sequence[Album], fields: Sequence[str], num_genres: int
) -> dict[str, np.ndarray]:
    """Encodes B albums as arrays for the networks.

    Args:
      albums: the albums.
      fields: which of `FIELDS` to encode.
      num_genres: size of the genre vocabulary, G.

    Returns:
      For each of the fields: `genres` `[B, G]` float32, whose rows sum to 1; `year` `[B]` float32,
      scaled; `artist` and `title` `[B, L]` int32, ids of n-grams, padded with 0. Each comes with
      `<field>_known` `[B]` bool; where that is False, the values are 0.
    """
    arrays = {}
    if "genres" in fields:
        weights = np.zeros((len(albums), num_genres), np.float32)
        for row, album in zip(weights, albums, strict=True):
            for genre, weight in (album.genres or {}).items():
                row[genre] = weight
        total = weights.sum(axis=1, keepdims=True)
        arrays["genres"] = np.divide(weights, total, out=weights, where=total > 0)
        arrays["genres_known"] = total[:, 0] > 0
    if "year" in fields:
        years = [album.year for album in albums]
        arrays["year_known"] = np.array([year is not None for year in years], bool)
        scaled = [0.0 if year is None else scale_year(year) for year in years]
        arrays["year"] = np.array(scaled, np.float32)
    for field in ("artist", "title"):
        if field in fields:
            ids = np.zeros((len(albums), NUM_NGRAMS), np.int32)
            for row, album in zip(ids, albums, strict=True):
                ngrams = hash_name(getattr(album, field) or "")
                row[: len(ngrams)] = ngrams
            arrays[field] = ids
            arrays[f"{field}_known"] = ids.any(axis=1)
    return arrays


def scale_year(year: np.ndarray | int) -> np.ndarray | np.float32:
    """Returns years as networks see them, float32."""
    return ((np.asarray(year, np.float64) - YEAR_CENTRE) / YEAR_SPAN).astype(np.float32)


def fold_name(name: str) -> str:
    """Returns a name without differences of case, spacing and Unicode form; may be empty.

    Invisible characters (controls, formats, broken surrogates) are removed.
    """
    seen = "".join(c for c in name if c.isspace() or unicodedata.category(c) not in _UNSEEN)
    # Compatibility caseless matching: The Unicode Standard, section 3.13, D146.
    folded = unicodedata.normalize("NFD", seen).casefold()
    folded = unicodedata.normalize("NFKC", folded).casefold()
    return " ".join(unicodedata.normalize("NFKC", folded).split())


@functools.lru_cache(maxsize=2**16)
def hash_name(name: str) -> np.ndarray:
    """Returns the n-gram ids of a name, uint16 in [1, TEXT_BUCKETS); empty for a blank name."""
    folded = fold_name(name)[:MAX_CHARACTERS]
    if not folded:
        return np.zeros(0, np.uint16)
    marked = _START + folded + _END
    ngrams = list(folded)  # the marks carry no information as single characters
    for size in (2, 3):
        ngrams += [marked[i : i + size] for i in range(len(marked) - size + 1)]
    return np.array([1 + zlib.crc32(n.encode()) % (TEXT_BUCKETS - 1) for n in ngrams], np.uint16)


def find_genres(vocabulary: Sequence[str], names: Sequence[str]) -> dict[int, float]:
    """Returns the weights of named genres by index, ignoring case, spacing and Unicode form.

    Args:
      vocabulary: names of the genres, by index.
      names: names, each with the weight 1 or the one that it ends in, as in `dub=0.3`.

    Raises:
      UserError: a name is not in the vocabulary (the message has the nearest ones) or is given
        twice, or a weight is not a number above 0.
    """

    def fold(name):
        return " ".join(unicodedata.normalize("NFC", name).split()).casefold()

    index = {fold(genre): i for i, genre in enumerate(vocabulary)}
    found = {}
    for name in names:
        key, weight = fold(name), 1.0
        if key not in index and "=" in key:  # the name of a genre may contain "="
            key, _, text = key.rpartition("=")
            key = key.strip()
            try:
                weight = float(text)
            except ValueError:
                weight = np.nan
            if not 0 < weight < np.inf:
                raise UserError(
                    f"the weight of the genre {name!r:.60} must be a number above 0, such as "
                    f"{key:.40}=0.5"
                )
        if key not in index:
            nearest = difflib.get_close_matches(key, index, n=3, cutoff=0.4) or list(index)[:8]
            names_of = ", ".join(vocabulary[index[n]] for n in nearest)
            raise UserError(
                f"unknown genre {name!r:.60}; of the {len(vocabulary)} genres that this run was "
                f"trained on, the nearest are: {names_of}"
            )
        if index[key] in found:
            raise UserError(f"the genre {vocabulary[index[key]]!r} is given twice; give it once")
        found[index[key]] = weight
    return found
