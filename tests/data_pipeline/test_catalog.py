import json
import sqlite3
import time
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dac.errors import UserError
from data_pipeline.albums import UNDATED, Album, Failure, List, Page, Stored
from data_pipeline.catalog import Catalog
from data_pipeline.catalog_file import CATALOG_FILE
from data_pipeline.choice import Choice, choose, count_labels
from data_pipeline.doubles import mark_doubles
from data_pipeline.metadata import write_metadata
from data_pipeline.progress import summary, warnings
from data_pipeline.upkeep import lose, remove, retry_failed

ALL = (0, 9999)
DUB = Choice(genres=("dub",))


@pytest.fixture
def catalog(tmp_path):
    with closing(Catalog(tmp_path, "musicbrainz")) as catalog:
        yield catalog


def add(catalog, *albums, artists=None):
    """Stores albums and chooses those of dub."""
    catalog.add_lists([List("genre", "dub", label="dub")])
    part = catalog.next_list(["dub"], ALL) or List("genre", "dub", id=1)
    catalog.store_page(part, Page(albums, artists or {}))
    choose(catalog, DUB)


def waiting(catalog):
    return catalog.covers_to_fetch(0, 99)


def store(catalog, *covers, data=b"1", fingerprint=bytes(32)):
    """Marks covers as stored, without writing files."""
    results = [
        (c, Stored(f"images/00/{c.key}.jpg", len(data), 9, 9, data, fingerprint)) for c in covers
    ]
    catalog.store_covers(results)


def lines(catalog):
    write_metadata(catalog.folder)
    text = (catalog.folder / "metadata.jsonl").read_text(encoding="utf-8")
    return {line["album_id"]: line for line in map(json.loads, text.splitlines())}


def dub(key, **fields):
    return Album(key, **({"genres": ("dub",)} | fields))


def test_album_on_several_lists_is_merged(catalog):
    add(catalog, dub("a", title="A", artists=("x",), types=("live",)), artists={"x": ("ska",)})
    add(catalog, dub("a", artist="X", release_year=1979, genres=("punk",), lists=("=labels=L",)))
    store(catalog, *waiting(catalog))
    line = lines(catalog)["a"]
    assert line["genres"] == ["dub", "punk", "ska"]
    assert (line["title"], line["artist"], line["release_year"]) == ("A", "X", 1979)
    assert line["types"] == ["live"]


def test_identical_and_similar_covers_are_kept_and_marked(catalog):
    add(catalog, *(dub(key) for key in "abcdef"))
    a, b, c, d, e, f = waiting(catalog)
    picture = np.random.default_rng(0).integers(0, 256, 32, np.uint8)
    near = picture ^ np.uint8([3, 128, *[0] * 30])
    other = np.random.default_rng(1).integers(0, 256, 32, np.uint8)
    store(catalog, b, data=b"same", fingerprint=picture.tobytes())
    store(catalog, a, data=b"other", fingerprint=other.tobytes())
    store(catalog, d, c, data=b"same", fingerprint=picture.tobytes())
    store(catalog, e, data=b"scan", fingerprint=near.tobytes())
    store(catalog, f, data=b"plain", fingerprint=bytes(32))
    mark_doubles(catalog)
    found = lines(catalog)
    assert {key: line.get("same_as") for key, line in found.items()} == {
        **dict.fromkeys("abef"),
        **dict.fromkeys("cd", "b"),
    }
    assert {key: line.get("similar_to") for key, line in found.items() if "similar_to" in line} == {
        "e": "b"
    }
    choose(catalog, Choice(genres=("dub",), doubles=False))
    assert {*lines(catalog)} == {"a", "b", "f"}
    remove(catalog, ["b"])
    mark_doubles(catalog)
    choose(catalog, Choice(genres=("dub",), doubles=False))
    assert {*lines(catalog)} == {"a", "c", "f"}


def test_doubles_of_an_album_that_is_not_chosen_are_doubles_of_each_other(catalog):
    """The first has another year; it is stored, but no longer wanted."""
    years = dict(zip("abcd", (1960, 1990, 1991, 1992), strict=True))
    add(catalog, *(dub(key, release_year=year) for key, year in years.items()))
    picture = np.random.default_rng(0).integers(0, 256, 32, np.uint8).tobytes()
    for cover in waiting(catalog):
        store(catalog, cover, data=cover.key.encode(), fingerprint=picture)
    mark_doubles(catalog)
    choose(catalog, Choice(genres=("dub",), since=1980))
    similar = {key: line.get("similar_to") for key, line in lines(catalog).items()}
    assert similar == {"b": None, "c": "b", "d": "b"}
    choose(catalog, Choice(genres=("dub",), since=1980, doubles=False))
    assert {*lines(catalog)} == {"b"}
    lose(catalog, [2])
    choose(catalog, Choice(genres=("dub",), since=1980, doubles=False))
    assert {*lines(catalog)} == {"c"}


def test_where_a_cover_is_from_outlives_a_second_look_at_its_file(catalog):
    add(catalog, dub("a"))
    (cover,) = waiting(catalog)
    stored = Stored("images/00/a.jpg", 1, 9, 9, b"1", bytes(32))
    fetched = replace(stored, picture_url="https://archive.example/a", release="r")
    catalog.store_covers([(cover, fetched)])
    known = "SELECT picture_url, release, stored_at FROM albums"
    before = catalog.db.execute(known).fetchall()
    lose(catalog, [cover.album])
    catalog.store_covers([(cover, replace(stored, found_from=1.0))])
    assert catalog.db.execute(known).fetchall() == before
    with catalog.db as db:
        db.execute("UPDATE albums SET stored_at = NULL")
    catalog.store_covers([(cover, replace(stored, found_from=1.0))])
    assert lines(catalog)["a"]["fetched"] == "1970-01-01"


# Lists --------------------------------------------------------------------------------------------


def test_lists_are_read_if_they_are_wanted_and_not_busy(catalog):
    parts = [List("genre", "dub", *span, "dub") for span in (UNDATED, (1, 1979), (1980, 1989))]
    catalog.add_lists([*parts, List("genre", "ska", label="ska"), List("related", "x")])
    catalog.add_lists(parts)
    catalog.store_page(catalog.next_list(["dub"], ALL), Page(artists={"x": ("punk", "dub")}))
    assert read_all(catalog, ["folk"], ALL) == []
    assert {part.key for part in read_all(catalog, ["punk"], ALL)} == {"x"}  # the artist's genre
    assert len(read_all(catalog, ["dub"], ALL)) == 4
    assert {part.first for part in read_all(catalog, ["dub"], (1975, 1979))} == {1, 0}
    assert {part.last for part in read_all(catalog, ["dub"], (1985, 9999))} == {1989, 9999}
    # An album of 1975 may have a release of any later year.
    catalog.add_lists(
        [List("label", "x", *span, "=labels=x") for span in ((1, 1979), (1980, 9999))]
    )
    assert len(read_all(catalog, ["=labels=x"], (1970, 1979))) == 2


def read_all(catalog, labels, years):
    busy, found = set(), []
    while part := catalog.next_list(labels, years, busy):
        busy.add(part.id)
        found.append(part)
    return found


def split(catalog, total, *spans, part=None):
    """Reads a list that says its length and is split; returns its parts."""
    part = part or catalog.next_list(["dub"], ALL)
    pieces = [List("genre", "dub", *span, "dub") for span in spans]
    catalog.store_page(part, Page(lists=pieces, total=total))
    catalog.finish_list(part, None)
    return part


@pytest.mark.parametrize("total", [150, 151, 140])
def test_parts_of_a_list_are_compared_with_its_length(catalog, total):
    """A part is short at first, at 151 always; at 140, the length was."""
    catalog.add_lists([List("genre", "dub", label="dub")])
    split(catalog, total, (1, 1979), (1980, 9999))
    read_parts(catalog, total)
    failed = summary(catalog.db)["lists"]["failed"]
    assert failed == ({"incomplete": 1} if total == 151 else {})
    told = ["the service gave 150 of 151 albums of the genre dub"] if total == 151 else []
    assert warnings(catalog.db) == told
    if told:
        retry_failed(catalog, "incomplete")
        read_parts(catalog, total)
        assert warnings(catalog.db) == told


def read_parts(catalog, total):
    reads = 0
    while part := catalog.next_list(["dub"], ALL):
        if (part.first, part.last) == ALL:
            split(catalog, max(total, 150), (1, 1979), (1980, 9999), part=part)
        elif (part.first, part.last) == (1980, 9999):
            split(catalog, 100, (1980, 1989), (1990, 9999), part=part)
        else:
            reads += 1
            found = 49 if reads == 1 and part.first != 1990 else 50
            catalog.store_page(part, Page(total=found))
            catalog.finish_list(part, found)
        assert reads < 30


# Failures -----------------------------------------------------------------------------------------


def test_retries_back_off_and_end(catalog):
    add(catalog, dub("a"))
    waits = []
    for _ in range(5):
        (cover,) = waiting(catalog)
        catalog.store_covers([(cover, Failure("timeout", True))])
        assert waiting(catalog) == []
        [(wait,)] = catalog.db.execute("SELECT retry_at - failed_at FROM albums")
        waits.append(wait)
        with catalog.db:
            catalog.db.execute("UPDATE albums SET retry_at = retry_at - ?", (wait or 0,))
        choose(catalog, DUB)
    assert [wait and round(wait / 3600) for wait in waits] == [1, 2, 4, 8, None]


def test_failures_that_wait_are_told(catalog):
    add(catalog, dub("a"), dub("b"))
    a, b = waiting(catalog)
    catalog.store_covers([(a, Failure("timeout", True)), (b, Failure("no_cover", False))])
    (said,) = warnings(catalog.db)
    assert said.startswith("1 requests failed and can be tried again")
    assert time.strftime("%Y-%m-%d %H:%M", time.localtime(time.time() + 3600))[:13] in said


def test_clock_set_back_does_not_prolong_retries_or_pauses(catalog):
    add(catalog, dub("a"))
    (cover,) = waiting(catalog)
    catalog.store_covers([(cover, Failure("timeout", True))])
    catalog.pause("a.example", 30)
    year = 365 * 86400
    with catalog.db:
        catalog.db.execute(
            "UPDATE albums SET failed_at = failed_at + ?1, retry_at = retry_at + ?1", (year,)
        )
        catalog.db.execute("UPDATE pauses SET since = since + ?1, until = until + ?1", (year,))
    choose(catalog, DUB)
    assert waiting(catalog) == [cover]
    assert 0 < catalog.pauses()["a.example"] <= 30


def test_retry_failed_retries_only_the_given_reason(catalog):
    add(catalog, *(dub(key) for key in "abc"))
    a, b, c = waiting(catalog)
    catalog.store_covers([(a, Failure("timeout", True)), (b, Failure("no_cover", False))])
    with pytest.raises(UserError, match="no_cover, timeout"):
        retry_failed(catalog, "nonsense")
    retry_failed(catalog, "no_cover")
    choose(catalog, DUB)
    assert waiting(catalog) == [b, c]
    retry_failed(catalog, None)
    choose(catalog, DUB)
    assert waiting(catalog) == [a, b, c]
    # What does not exist, and what was deleted, comes back only if named.
    catalog.store_covers([(b, Failure("no_cover", False))])
    lose(catalog, [c.album])
    retry_failed(catalog, None)
    choose(catalog, DUB)
    assert waiting(catalog) == [a]


# Choosing -----------------------------------------------------------------------------------------


def test_years_and_types_are_chosen_both_ways(catalog):
    years, types = (1960, 1990, None), (("live",), (), ("compilation", "live"))
    add(
        catalog,
        *(dub(k, release_year=y, types=t) for k, y, t in zip("abc", years, types, strict=True)),
    )

    def chosen(**limits):
        choose(catalog, Choice(genres=("dub",), **limits))
        return "".join(cover.key for cover in waiting(catalog))

    assert chosen(since=1980) == "b"
    assert chosen(until=1970) == "a"
    assert chosen(types=("studio",)) == "b"
    assert chosen(types=("live",)) == "a"
    assert chosen(types=("live", "compilation", "studio")) == "abc"
    assert chosen() == "abc"


albums = st.lists(
    st.tuples(
        st.sets(st.sampled_from("wxyz"), max_size=3),
        st.sampled_from(["waiting", "done", "failed", "removed"]),
    ),
    max_size=20,
)


@settings(max_examples=40, deadline=None)
@given(albums, st.integers(0, 4), st.integers(0, 12))
def test_choice_is_fair_stable_and_within_its_limits(tmp_path_factory, albums, per_genre, limit):
    folder = tmp_path_factory.mktemp("collection")
    choice = Choice(genres=("w", "x", "y"), per_genre=per_genre, limit=limit)
    with closing(Catalog(folder, "musicbrainz")) as catalog:
        catalog.store_albums(
            Album(f"k{i}", genres=tuple(genres)) for i, (genres, _) in enumerate(albums)
        )
        with catalog.db as db:
            for i, (_, state) in enumerate(albums):
                db.execute("UPDATE albums SET state = ? WHERE key = ?", (state, f"k{i}"))
        able = {
            f"k{i}": genres & {*"wxy"}
            for i, (genres, state) in enumerate(albums)
            if state in ("waiting", "done") and genres & {*"wxy"}
        }
        stored = {f"k{i}" for i, (_, state) in enumerate(albums) if state == "done"} & {*able}
        number = choose(catalog, choice)
        query = "SELECT key FROM albums WHERE chosen"
        chosen = {key for (key,) in catalog.db.execute(query)}
        assert len(chosen) == number == len(chosen & {*able})
        assert not limit or number <= limit
        counts = count_labels(catalog, choice)
        for genre in "wxy":
            of_genre = {key for key in able if genre in able[key]}
            assert counts[genre] == len(of_genre)
            if not limit:
                wanted = min(per_genre or len(of_genre), len(of_genre))
                assert len(chosen & of_genre) >= wanted
                assert len(chosen & of_genre & stored) >= min(wanted, len(of_genre & stored))
        if not per_genre and not limit:
            assert chosen == {*able}
        if limit and not per_genre:
            assert number == min(limit, len(able))
        choose(catalog, choice)
        assert {key for (key,) in catalog.db.execute(query)} == chosen


def test_special_characters_in_names_are_preserved(catalog):
    name = 'ночь "夜" \\ 🎷 \u202e\'; DROP TABLE albums; --'
    catalog.store_albums([Album("a", title=name, artist=name, genres=(name,))])
    choose(catalog, Choice(genres=(name,)))
    store(catalog, *waiting(catalog))
    line = lines(catalog)["a"]
    assert (line["title"], line["artist"], line["genres"]) == (name, name, [name])


# Files --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda file: file.write_text("what is this, it is no database at all"), "cannot be read"),
        (lambda file: sqlite3.connect(file).execute("CREATE TABLE t (x)").connection.close(), "no"),
    ],
)
def test_file_that_is_not_a_catalog_is_left_alone(tmp_path, make, message):
    make(tmp_path / CATALOG_FILE)
    before = (tmp_path / CATALOG_FILE).read_bytes()
    with pytest.raises(UserError, match=message):
        Catalog(tmp_path, "musicbrainz")
    assert (tmp_path / CATALOG_FILE).read_bytes() == before


def test_catalog_of_the_version_before_is_moved_aside(catalog):
    catalog.close()
    with closing(sqlite3.connect(catalog.folder / CATALOG_FILE)) as db, db:
        db.execute("PRAGMA user_version = 1")
        db.execute("INSERT INTO settings VALUES ('years', '[1980, null]')")
        db.execute("DROP VIEW labels")
    with pytest.raises(UserError, match="of musicbrainz, not of spotify"):
        Catalog(catalog.folder, "spotify")
    with closing(Catalog(catalog.folder, "musicbrainz")) as renewed:
        add(renewed, dub("a"))
        assert renewed.setting("choice") == {"since": 1980, "until": 0}
    assert (catalog.folder / "covers-1.db").exists()


def test_concurrent_run_and_second_source_are_rejected(catalog):
    with pytest.raises(UserError, match="another process"):
        Catalog(catalog.folder, "musicbrainz")
    catalog.close()
    with pytest.raises(UserError, match="a collection of musicbrainz"):
        Catalog(catalog.folder, "spotify")
