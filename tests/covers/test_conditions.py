import unicodedata

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from dac.covers import conditions
from dac.covers.conditions import FIELDS, Album, encode, find_genres, fold_name, hash_name
from dac.errors import UserError
from data_pipeline.demo_covers.discography import album_of

VOCABULARY = ("bossa nova", "chanté", "dub", "e=mc2", "thrash metal")


def test_genres_match_in_any_case_spacing_and_unicode_form():
    assert find_genres(VOCABULARY, ["DUB", " thrash   Metal "]) == {2: 1.0, 4: 1.0}
    assert find_genres(VOCABULARY, [unicodedata.normalize("NFD", "Chanté")]) == {1: 1.0}


def test_genre_weights_are_parsed_unless_the_text_is_a_genre():
    found = find_genres(VOCABULARY, ["Thrash Metal = 0.7", "dub=3e-1", "E=mc2"])
    assert found == {4: 0.7, 2: 0.3, 3: 1.0}
    assert find_genres(VOCABULARY, ["e=mc2=0.5"]) == {3: 0.5}


@pytest.mark.parametrize("weight", ["0", "-1", "nan", "inf", "x", ""])
def test_genre_weight_must_be_a_positive_number(weight):
    with pytest.raises(UserError, match=r"weight of the genre 'dub=.*' must be .*dub=0.5"):
        find_genres(VOCABULARY, [f"dub={weight}"])


def test_unknown_genre_error_suggests_the_nearest():
    for name in ("trash metall", "trash metall=0.5"):
        with pytest.raises(UserError, match=r"unknown genre 'trash metall.*nearest.*thrash metal"):
            find_genres(VOCABULARY, ["dub", name])
    with pytest.raises(UserError, match="bossa nova, chanté, dub"):
        find_genres(VOCABULARY, ["…"])
    with pytest.raises(UserError, match="'dub' is given twice"):
        find_genres(VOCABULARY, ["dub", "DUB=0.5"])


def test_encoded_genre_weights_sum_to_1_or_are_unknown():
    albums = [Album({2: 1.0}), Album({0: 3.0, 3: 1.0}), Album(), Album({})]
    encoded = encode(albums, ("genres",), 4)
    expected = [[0, 0, 1, 0], [0.75, 0, 0, 0.25], [0, 0, 0, 0], [0, 0, 0, 0]]
    np.testing.assert_array_equal(encoded["genres"], expected)
    np.testing.assert_array_equal(encoded["genres_known"], [True, True, False, False])


def test_only_requested_fields_are_encoded():
    albums = [Album({0: 1.0}, 1980, "King Echo", "Version"), Album()]
    assert encode(albums, (), 2) == {}
    for field in FIELDS:
        encoded = encode(albums, (field,), 2)
        assert set(encoded) == {field, f"{field}_known"}
        np.testing.assert_array_equal(encoded[f"{field}_known"], [True, False])
        assert not encoded[field][1].any()
    types = {name: values.dtype.name for name, values in encode(albums, FIELDS, 2).items()}
    numbers = {"genres": "float32", "year": "float32", "artist": "int32", "title": "int32"}
    assert types == numbers | {f"{field}_known": "bool" for field in FIELDS}


def test_year_encoding_is_linear():
    years = np.arange(conditions.MIN_YEAR, conditions.MAX_YEAR + 1)
    encoded = encode([Album(year=int(year)) for year in years], ("year",), 0)
    np.testing.assert_allclose(np.diff(encoded["year"]), 1 / 30, rtol=1e-4)
    assert encoded["year_known"].all()


@hypothesis.settings(max_examples=200, deadline=None)
@hypothesis.given(st.text(st.characters(codec=None), max_size=200))
def test_name_hashes_are_in_range_and_ignore_case_and_unicode_form(name):
    encoded = encode([Album(artist=name, title="x")], ("artist", "title"), 0)
    ids = encoded["artist"][0]
    assert ids.shape == encoded["title"][0].shape == (3 * conditions.MAX_CHARACTERS + 1,)
    assert ((ids >= 0) & (ids < conditions.TEXT_BUCKETS)).all()
    assert encoded["artist_known"][0] == bool(fold_name(name))
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        np.testing.assert_array_equal(hash_name(unicodedata.normalize(form, name)), hash_name(name))
    np.testing.assert_array_equal(hash_name(name.casefold()), hash_name(name))
    np.testing.assert_array_equal(hash_name(f"\u200b \t{name}\n\x00 "), hash_name(name))


def test_different_names_of_any_script_hash_differently():
    names = [
        "Motörhead",
        "Motorhead",
        "MOTÖRHEAD ",
        "кино",
        "КИНО",
        "椎名林檎",
        "🦆",
        "🦆🦆",
        "ab",
        "ba",
    ]
    same = {(0, 2), (3, 4)}
    for i, first in enumerate(names):
        for j, second in enumerate(names[:i]):
            assert (hash_name(first).tolist() == hash_name(second).tolist()) == ((j, i) in same)
    albums = [album_of(i) for i in range(2000)]
    for all_names in ({a.artist for a in albums}, {a.title for a in albums}):
        assert len({hash_name(name).tobytes() for name in all_names}) == len(all_names)


def test_only_the_first_64_characters_of_a_name_count():
    name = "".join(chr(0x4E00 + i) for i in range(10_000))
    assert (
        hash_name(name).tolist() == hash_name(name[:64]).tolist() != hash_name(name[:63]).tolist()
    )
    assert len(hash_name(name)) == 3 * 64 + 1
