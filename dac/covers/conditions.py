"""What is known of an album, as arrays: genre names to weights and back."""

import difflib
import unicodedata
from collections.abc import Sequence

import numpy as np

from dac.errors import UserError


def find_genres(vocabulary: Sequence[str], names: Sequence[str]) -> list[int]:
    """Returns the index of each genre name, whatever its case, spacing and Unicode form.

    Raises:
      UserError: a name is not in the vocabulary; says the nearest that are.
    """

    def fold(name):
        return " ".join(unicodedata.normalize("NFC", name).split()).casefold()

    index = {fold(genre): i for i, genre in enumerate(vocabulary)}
    found = []
    for name in names:
        key = fold(name)
        if key not in index:
            nearest = difflib.get_close_matches(key, index, n=3, cutoff=0.4) or list(index)[:8]
            names_of = ", ".join(vocabulary[index[n]] for n in nearest)
            raise UserError(
                f"unknown genre {name!r:.60}; of the {len(vocabulary)} genres that this run was "
                f"trained on, the nearest are: {names_of}"
            )
        found.append(index[key])
    return list(dict.fromkeys(found))


def encode_genres(
    genres: Sequence[Sequence[int] | None], vocabulary_size: int
) -> dict[str, np.ndarray]:
    """Returns the arrays that the networks read for B albums.

    Args:
      genres: indices of each album's genres; None or nothing where they are not known.
      vocabulary_size: G.

    Returns:
      `genres` `[B, G]` float32, equal weights that sum to 1 over each album's genres, and
      `genres_known` `[B]` bool.
    """
    weights = np.zeros((len(genres), vocabulary_size), np.float32)
    for row, indices in zip(weights, genres, strict=True):
        if indices is not None and len(indices):
            row[np.asarray(indices)] = 1.0 / len(indices)
    return {"genres": weights, "genres_known": weights.any(axis=1)}
