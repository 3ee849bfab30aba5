import json
import sqlite3
import time
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dac.errors import UserError
from data_pipeline.catalog import (
    CATALOG_FILE,
    Album,
    Artist,
    Catalog,
    Failure,
    Page,
    Stored,
    read_tallies,
    write_metadata,
)


@pytest.fixture
def catalog(tmp_path):
    with closing(Catalog(tmp_path, "musicbrainz")) as catalog:
        yield catalog


def query(catalog, sql, *values):
    with closing(sqlite3.connect(catalog.folder / CATALOG_FILE)) as db:
        return db.execute(sql, values).fetchall()


def add(catalog, *albums, artists=(), genre="dub", after=None):
    """Stores albums as a page of a genre's list."""
    catalog.ask([genre])
    listing = catalog.next_listing(())
    catalog.store_page(listing, Page(albums, artists, next=after), {})


def stored(catalog, *covers, data=b"1"):
    """Marks covers as stored, without writing files."""
    results = [(c, Stored(f"images/00/{c.key}.jpg", len(data), 9, 9, data)) for c in covers]
    catalog.store_covers(results)


def lines(catalog):
    write_metadata(catalog.folder)
    text = (catalog.folder / "metadata.jsonl").read_text(encoding="utf-8")
    return {line["album_id"]: line for line in map(json.loads, text.splitlines())}


def test_album_in_several_lists_is_merged(catalog):
    artist = Artist("x", "X", genres=("ska",))
    add(catalog, Album("a", title="A", genres=("dub",), artists=("x",)), artists=[artist])
    add(catalog, Album("a", artist="X", release_year=1979, genres=("punk",)), genre="punk")
    stored(catalog, *catalog.waiting_covers(0, 9, False))
    assert lines(catalog) == {
        "a": {
            "file_name": "images/00/a.jpg",
            "album_id": "a",
            "genres": ["dub", "punk", "ska"],
            "release_year": 1979,
            "artist": "X",
            "title": "A",
        }
    }


def test_identical_covers_are_kept_and_marked(catalog):
    add(catalog, *(Album(key, genres=("dub",)) for key in "abcd"))
    a, b, c, d = catalog.waiting_covers(0, 9, False)
    stored(catalog, b, data=b"same")
    stored(catalog, a, data=b"other")
    stored(catalog, d, c, data=b"same")
    assert {key: line.get("same_as") for key, line in lines(catalog).items()} == {
        "a": None,
        "b": None,
        "c": "b",
        "d": "b",
    }


def test_least_read_list_comes_first_and_busy_ones_are_skipped(catalog):
    catalog.ask(["a", "b"])
    first = catalog.next_listing(())
    catalog.store_page(first, Page(next=100, total=300), {})
    second = catalog.next_listing(())
    assert (first.key, second.key, second.next) == ("a", "b", 0)
    busy = {("genres", second.id)}
    assert (catalog.next_listing(busy).key, catalog.next_listing(busy).next) == (
        "a",
        100,
    )
    assert catalog.next_listing({*busy, ("genres", first.id)}) is None


def test_retries_back_off_and_end(catalog):
    add(catalog, Album("a", genres=("dub",)))
    waits = []
    for _ in range(5):
        (cover,) = catalog.waiting_covers(0, 9, False)
        catalog.store_covers([(cover, Failure("timeout", True))])
        catalog.retry_due()
        assert not catalog.waiting_covers(0, 9, False)
        [(wait,)] = query(catalog, "SELECT retry_at - failed_at FROM covers")
        waits.append(wait)
        if wait is not None:
            with catalog._db:
                catalog._db.execute("UPDATE covers SET retry_at = ?", (time.time() - 1,))
            catalog.retry_due()
    assert [wait and round(wait / 3600) for wait in waits] == [1, 2, 4, 8, None]


def test_clock_set_back_does_not_prolong_retries_or_pauses(catalog):
    add(catalog, Album("a", genres=("dub",)))
    (cover,) = catalog.waiting_covers(0, 9, False)
    catalog.store_covers([(cover, Failure("timeout", True))])
    catalog.pause("a.example", 30)
    year = 365 * 86400
    with catalog._db:
        catalog._db.execute(
            "UPDATE covers SET failed_at = failed_at + ?1, retry_at = retry_at + ?1", (year,)
        )
        catalog._db.execute("UPDATE pauses SET since = since + ?1, until = until + ?1", (year,))
    catalog.retry_due()
    assert catalog.waiting_covers(0, 9, False) == [cover]
    assert 0 < catalog.pauses()["a.example"] <= 30


def test_retry_failed_retries_only_the_given_reason(catalog):
    add(catalog, *(Album(key, genres=("dub",)) for key in "abc"))
    a, b, c = catalog.waiting_covers(0, 9, False)
    catalog.store_covers([(a, Failure("timeout", True)), (b, Failure("no_cover", False))])
    with pytest.raises(UserError, match="no_cover, timeout"):
        catalog.retry_failed("nonsense")
    catalog.retry_failed("no_cover")
    assert catalog.waiting_covers(0, 9, True) == [b]
    assert catalog.waiting_covers(0, 9, False) == [b, c]
    catalog.retry_failed(None)
    assert catalog.waiting_covers(0, 9, True) == [a, b]


def test_covers_missing_from_disk_are_queued_again(catalog):
    add(catalog, *(Album(key, genres=("dub",)) for key in "abc"))
    covers = catalog.waiting_covers(0, 9, False)
    stored(catalog, *covers, data=b"1234")
    (catalog.folder / "images/00").mkdir(parents=True)
    for key, data in (("a", b"1234"), ("b", b"12")):
        (catalog.folder / f"images/00/{key}.jpg").write_bytes(data)
    assert catalog.check_files() == 2
    assert [cover.key for cover in catalog.waiting_covers(0, 9, False)] == ["b", "c"]
    assert list(lines(catalog)) == ["a"]


def test_refetched_cover_is_not_a_duplicate_of_its_lost_copy(catalog):
    add(catalog, *(Album(key, genres=("dub",)) for key in "ab"))
    stored(catalog, *catalog.waiting_covers(0, 9, False), data=b"same")
    assert catalog.check_files() == 2  # there are no files
    _, b = catalog.waiting_covers(0, 9, False)
    stored(catalog, b, data=b"same")
    assert "same_as" not in lines(catalog)["b"]
    stored(catalog, *catalog.waiting_covers(0, 9, False), data=b"same")
    assert {key: line.get("same_as") for key, line in lines(catalog).items()} == {
        "a": None,
        "b": "a",
    }


def test_covers_outside_the_years_are_not_fetched_or_retried(catalog):
    albums = (
        Album(key, release_year=year) for key, year in (("a", 1960), ("b", 1990), ("c", None))
    )
    add(catalog, *albums)
    a, b, _ = catalog.waiting_covers(0, 9, False)
    catalog.change_years(1980, None)
    assert catalog.waiting_covers(0, 9, False) == [b]
    catalog.store_covers([(b, Failure("timeout", True))])
    catalog.retry_failed(None)
    assert catalog.waiting_covers(0, 9, False) == [b]
    catalog.change_years(None, 1970)
    assert catalog.waiting_covers(0, 9, False) == [a]
    catalog.change_years(None, None)
    assert len(catalog.waiting_covers(0, 9, False)) == 3


def test_special_characters_in_names_are_preserved(catalog):
    name = 'ночь "夜" \\ 🎷 \u202e\'; DROP TABLE albums; --'
    add(catalog, Album("a", title=name, artist=name, genres=(name,)), genre=name)
    stored(catalog, *catalog.waiting_covers(0, 9, False))
    line = lines(catalog)["a"]
    assert (line["title"], line["artist"], line["genres"]) == (name, name, [name])


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["page", "store", "fail", "gone", "retry_due", "retry_failed", "anew"]),
        st.integers(0, 9),
    ),
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(OPERATIONS)
def test_tallies_equal_counts(tmp_path_factory, operations):
    folder = tmp_path_factory.mktemp("collection")
    with closing(Catalog(folder, "musicbrainz")) as catalog:
        catalog.ask(["a", "b", "c"])
        for operation, number in operations:
            covers = catalog.waiting_covers(0, number, False)
            match operation:
                case "page":
                    listing = catalog.next_listing(())
                    if listing is not None:
                        album = Album(f"x{number}", has_cover=bool(number % 3), genres=("d",))
                        artist = Artist(f"y{number}", listed=bool(number % 2))
                        page = Page([album], [artist], next=number % 4 or None, total=9)
                        catalog.store_page(listing, page, {})
                case "store":
                    stored(catalog, *covers)
                case "fail":
                    listing = catalog.next_listing(())
                    if listing is not None:
                        catalog.fail_listing(listing, Failure("timeout", bool(number % 2)))
                    failure = Failure(("timeout", "no_cover")[number % 2], bool(number % 3))
                    catalog.store_covers([(cover, failure) for cover in covers])
                case "gone":
                    catalog.check_files()
                case "retry_due":
                    catalog.retry_due()
                case "retry_failed":
                    catalog.retry_failed(None)
                case "anew":
                    catalog.change_years(1900 + number, None)
        with closing(sqlite3.connect(folder / CATALOG_FILE)) as db:
            counted = {
                (job, state, reason): n
                for job in ("genres", "artists", "covers")
                for state, reason, n in db.execute(
                    f"SELECT state, coalesce(reason, ''), count(*) FROM {job} GROUP BY 1, 2"
                )
            }
            assert read_tallies(db) == counted


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


def test_concurrent_crawl_and_second_source_are_rejected(catalog):
    with pytest.raises(UserError, match="another process"):
        Catalog(catalog.folder, "musicbrainz")
    catalog.close()
    with pytest.raises(UserError, match="a collection of musicbrainz"):
        Catalog(catalog.folder, "spotify")
