import unicodedata

import numpy as np
import pytest

from dac.covers.conditions import encode_genres, find_genres
from dac.errors import UserError

VOCABULARY = ("bossa nova", "chanté", "dub", "thrash metal")


def test_genres_are_found_whatever_their_spelling():
    assert find_genres(VOCABULARY, ["DUB", " thrash   Metal "]) == [2, 3]
    assert find_genres(VOCABULARY, [unicodedata.normalize("NFD", "Chanté")]) == [1]


def test_an_unknown_genre_names_the_nearest():
    with pytest.raises(UserError, match=r"unknown genre 'trash metall'.*nearest.*thrash metal"):
        find_genres(VOCABULARY, ["dub", "trash metall"])
    with pytest.raises(UserError, match="bossa nova, chanté, dub"):
        find_genres(VOCABULARY, ["…"])


def test_weights_are_equal_and_unknown_is_not_zero_genres():
    encoded = encode_genres([[2], [0, 3], None, []], 4)
    expected = [[0, 0, 1, 0], [0.5, 0, 0, 0.5], [0, 0, 0, 0], [0, 0, 0, 0]]
    np.testing.assert_array_equal(encoded["genres"], expected)
    np.testing.assert_array_equal(encoded["genres_known"], [True, True, False, False])
