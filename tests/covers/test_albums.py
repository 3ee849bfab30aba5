import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from dac.covers import conditions
from dac.covers.albums import ALBUMS_FILE, Albums, OtherHashingError, write_albums
from dac.covers.conditions import FIELDS, MAX_YEAR, MIN_YEAR, Album, encode, fold_name
from data_pipeline.demo_covers.discography import GENRES, album_of

NUM_GENRES = 6

names = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=80)
any_album = st.builds(
    Album,
    genres=st.none() | st.dictionaries(st.integers(0, NUM_GENRES - 1), st.just(1.0)),
    year=st.none() | st.integers(MIN_YEAR, MAX_YEAR),
    artist=names,
    title=names,
)


def assert_same(arrays, expected):
    assert arrays.keys() == expected.keys()
    for name, values in expected.items():
        assert arrays[name].dtype == values.dtype, name
        np.testing.assert_array_equal(arrays[name], values, strict=True, err_msg=name)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("albums") / ALBUMS_FILE


@hypothesis.settings(max_examples=200, deadline=None)
@hypothesis.given(
    st.lists(any_album, max_size=12), st.sets(st.sampled_from(FIELDS)), st.integers(0, 2**32)
)
def test_batches_equal_those_of_the_albums_to_the_bit(path, given_albums, fields, seed):
    write_albums(iter(given_albums), path)
    held = Albums(path)
    assert len(held) == len(given_albums)
    indices = np.random.default_rng(seed).permutation(
        np.resize(np.arange(len(held)), 2 * len(held))
    )
    wanted = [given_albums[i] for i in indices]
    assert_same(held.encode(indices, fields, NUM_GENRES), encode(wanted, fields, NUM_GENRES))


@hypothesis.settings(max_examples=100, deadline=None)
@hypothesis.given(st.lists(any_album, max_size=8))
def test_albums_are_read_back_and_summed_up(path, given_albums):
    """A blank name is not known, nor are no genres."""

    def known(name):
        return name if name and fold_name(name) else None

    expected = [
        Album(a.genres or None, a.year, known(a.artist), known(a.title)) for a in given_albums
    ]
    write_albums(given_albums, path)
    held = Albums(path)
    assert [held[i] for i in range(len(held))] == expected
    assert held.known_fields == tuple(
        field for field in FIELDS if any(getattr(a, field) is not None for a in expected)
    )
    years = [album.year for album in expected if album.year is not None]
    assert held.years == ((min(years), max(years)) if years else None)
    counts = [sum(genre in (a.genres or ()) for a in expected) for genre in range(NUM_GENRES)]
    np.testing.assert_array_equal(held.genre_counts(NUM_GENRES), np.array(counts), strict=True)


def test_thousands_of_albums_are_gathered_in_any_order(path):
    drawn = [album_of(i) for i in range(2000)]
    all_albums = [
        Album({GENRES.index(g): 1.0 for g in a.genres}, a.release_year, a.artist, a.title)
        for a in drawn
    ]
    write_albums(all_albums, path)
    indices = np.random.default_rng(0).integers(len(drawn), size=500)
    expected = encode([all_albums[i] for i in indices], FIELDS, len(GENRES))
    assert_same(Albums(path).encode(indices, FIELDS, len(GENRES)), expected)


@pytest.mark.parametrize(
    ("name", "value"), [("TEXT_BUCKETS", 1024), ("MAX_CHARACTERS", 32), ("_START", "\x03")]
)
def test_names_that_were_hashed_in_another_way_are_refused(tmp_path, monkeypatch, name, value):
    """Also where no constant in the file tells of the change."""
    path = tmp_path / ALBUMS_FILE
    write_albums([Album(artist="Ras Delay")], path)
    monkeypatch.setattr(conditions, name, value)
    conditions.hash_name.cache_clear()
    with pytest.raises(OtherHashingError):
        Albums(path)
    conditions.hash_name.cache_clear()


def test_the_file_is_written_whole_or_not_at_all(tmp_path):
    def failing():
        yield Album()
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        write_albums(failing(), tmp_path / ALBUMS_FILE)
    assert not list(tmp_path.iterdir())
    write_albums([Album()], tmp_path / ALBUMS_FILE)
    assert [path.name for path in tmp_path.iterdir()] == [ALBUMS_FILE]
