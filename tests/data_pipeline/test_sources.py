"""Tests of how the sources handle correct, odd and hostile answers."""

import asyncio
import contextlib
import copy
import itertools
import json
from contextlib import closing

import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_pipeline.albums import UNDATED, Cover, List
from data_pipeline.answers import FetchError
from data_pipeline.catalog import Catalog
from data_pipeline.choice import Choice, choose
from data_pipeline.http import Client
from data_pipeline.metadata import write_metadata
from data_pipeline.musicbrainz import MusicBrainz
from data_pipeline.spotify import Spotify
from data_pipeline.spotify_token import Token
from tests.loopback import Site

MBID = "0d8a4f4e-2a7d-3f0a-8a1f-3f1f5c0c6a5e"
GENRE = List("genre", "dub", label="dub", id=1)
ARTIST = List("albums", "0123456789ABCDEFGHIJab", id=1)
GENRES = frozenset({"dub", "ska", "reggae"})

RELEASE_GROUPS = {
    "count": 1,
    "offset": 0,
    "release-groups": [
        {
            "id": MBID,
            "title": "Heavy Chamber",
            "first-release-date": "1979-05",
            "artist-credit": [
                {"name": "King Echo", "joinphrase": " & ", "artist": {"id": MBID, "name": "Echo"}},
                {"name": "Friends", "artist": {"id": MBID.replace("0", "1"), "name": "Friends"}},
            ],
            "secondary-types": ["Live", "DJ-mix"],
            "tags": [
                {"count": 1, "name": "reggae"},
                {"count": 3, "name": "Dub"},
                {"count": -1, "name": "ska"},
                {"name": "seen"},
            ],
        }
    ],
}
ARTISTS = {
    "artists": {
        "items": [{"id": ARTIST.key, "name": "King Echo", "genres": ["Dub"]}],
        "total": 1,
        "next": None,
    }
}
ALBUMS = {
    "items": [
        {
            "id": "ABCDEFGHIJabcdefghij01",
            "name": "Heavy Chamber",
            "release_date": "1979-05",
            "images": [
                {"url": "https://images.example/640", "width": 640, "height": 640},
                {"url": "https://images.example/300", "width": None, "height": None},
                {"url": "https://images.example/64", "width": 64, "height": 64},
            ],
            "artists": [{"id": ARTIST.key, "name": "King Echo"}],
        }
    ],
    "total": 1,
    "next": None,
}


def client():
    return Client("Test/1", {}, trusted=frozenset({"127.0.0.1"}))


def musicbrainz(client, url, size=500):
    return MusicBrainz(client, url, "https://covers.example", size, GENRES)


def spotify(client, url, size=300):
    token = Token(f"{url}/token", "id", "secret", max_wait=1.0)
    token._value = "token"
    return Spotify(client, url, token, size, {"related_artists": False})


def read(respond, make, part):
    """Returns the pages that a source reads from a service, and the requests."""

    async def run():
        async with Site(respond) as site, client() as c:
            return [page async for page in make(c, site.url).read(part)], site.asked

    return asyncio.run(run())


def read_answer(answer, make, part):
    """Returns the first page of a service that always says the same."""
    return read(lambda request, number: web.json_response(answer), make, part)[0][0]


def test_musicbrainz_album_is_parsed():
    (album,) = read_answer(RELEASE_GROUPS, musicbrainz, GENRE).albums
    assert (album.key, album.title, album.artist) == (MBID, "Heavy Chamber", "King Echo & Friends")
    # All its genres; ska was voted down, and "seen" is no genre.
    assert (album.release_year, album.genres) == (1979, ("dub", "reggae"))
    assert album.types == ("dj-mix", "live")


def numbered(first, count, total):
    """Returns an answer with numbered albums."""
    items = [
        RELEASE_GROUPS["release-groups"][0] | {"id": f"{i:08x}{MBID[8:]}"} for i in range(count)
    ]
    return web.json_response({"count": total, "release-groups": items[first : first + 100]})


def test_long_list_is_split_by_years_and_a_page_is_not():
    pages, asked = read(lambda request, number: numbered(0, 100, 101), musicbrainz, GENRE)
    assert len(asked) == len(pages) == 1
    parts = pages[0].lists
    assert parts[0] == List("genre", "dub", *UNDATED, label="dub")
    spans = [(part.first, part.last) for part in parts[1:]]
    assert all(after[0] == before[1] + 1 for before, after in itertools.pairwise(spans))
    eighties = next(part for part in parts if part.first == 1980)
    pages, _ = read(lambda request, number: numbered(0, 100, 101), musicbrainz, eighties)
    assert [(part.first, part.last) for part in pages[0].lists] == [
        (y, y) for y in range(1980, 1990)
    ]
    pages, asked = read(lambda request, number: numbered(0, 100, 100), musicbrainz, eighties)
    assert (len(asked), pages[-1].found) == (1, 100)


def test_every_part_is_asked_twice_if_only_some_years_are_read():
    """The count of the list then says nothing of the parts."""
    year = List("genre", "dub", 1988, 1988)

    def respond(request, number):
        return numbered(0, *((40, 40) if number == 1 else (80, 80)))

    def limited(client, url):
        source = musicbrainz(client, url)
        source.lists(Choice(genres=("dub",), since=1980))
        return source

    pages, _ = read(respond, limited, year)
    assert pages[-1].found == 80
    pages, asked = read(respond, musicbrainz, year)
    assert (pages[-1].found, len(asked)) == (40, 1)


@pytest.mark.parametrize("merged", [0, 1])
def test_albums_of_a_label_are_all_looked_up(merged):
    """Each search for the albums of releases gives half; merged ones are not found at all."""
    groups = [f"{i:08x}{MBID[8:]}" for i in range(20)]
    releases = [{"id": key, "release-group": {"id": key}} for key in groups]

    def respond(request, number):
        if request.path == "/release":
            return web.json_response({"count": 20, "releases": releases})
        asked = [key for key in groups[merged:] if key in request.query["query"]]
        kept = asked[: -(-len(asked) // 2)]
        items = [RELEASE_GROUPS["release-groups"][0] | {"id": key} for key in kept]
        return web.json_response({"count": len(items), "release-groups": items})

    label = List("label", MBID, 1988, 1988, "=labels=x")
    pages, asked = read(respond, musicbrainz, label)
    assert {album.key for page in pages for album in page.albums} == {*groups[merged:]}
    assert len(asked) < 15


def test_long_year_is_read_until_nothing_new_appears():
    """The service gives 130 of 150 albums, however often it is asked."""

    def respond(request, number):
        return numbered(int(request.query["offset"]), 130, 150)

    pages, asked = read(respond, musicbrainz, List("genre", "dub", 1988, 1988))
    assert (pages[-1].found, pages[-1].total) == (130, 150)
    assert len(asked) == 2 * 4


@pytest.mark.parametrize("short", [numbered(0, 30, 50), numbered(0, 0, 120)])
def test_short_answer_is_asked_again(short, monkeypatch):
    """Fewer matches than before, or an empty page before the end: a search that ran out of time."""
    monkeypatch.setattr("data_pipeline.hosts._BACKOFF_S", 0.001)

    def respond(request, number):
        return short if number in (2, 4) else numbered(int(request.query["offset"]), 120, 120)

    pages, _ = read(respond, musicbrainz, List("genre", "dub", 1988, 1988))
    assert pages[-1].found == 120
    assert {album.key for page in pages for album in page.albums} == {
        f"{i:08x}{MBID[8:]}" for i in range(120)
    }


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (1, ["250"]),
        (250, ["250"]),
        (251, ["500"]),
        (512, ["1200", "500"]),
        (800, ["1200", "500"]),
        (9999, ["1200", "500"]),
    ],
)
def test_least_cover_art_archive_size_that_is_not_smaller(size, expected):
    urls = musicbrainz(None, "", size).cover_urls(Cover(1, MBID, None))
    root = f"https://covers.example/release-group/{MBID}/front-"
    assert urls == [root + side for side in expected]


def test_release_is_in_the_address_of_a_picture():
    source = musicbrainz(None, "")
    item = f"https://archive.example/download/mbid-{MBID}/mbid-{MBID}-123_thumb500.jpg"
    assert source.release_of(("https://covers.example/x", item)) == MBID
    assert source.release_of((item,)) is None
    assert source.release_of(("x", "https://archive.example/download/mbid-../x")) is None


@pytest.mark.parametrize(
    ("size", "expected"), [(10, "64"), (65, "300"), (300, "300"), (301, "640"), (999, "640")]
)
def test_least_spotify_size_that_is_not_smaller_even_if_unstated(size, expected):
    page = read_answer(ALBUMS, lambda client, url: spotify(client, url, size), ARTIST)
    assert page.albums[0].url == f"https://images.example/{expected}"


@pytest.mark.parametrize("total", [0, 1, 150, 10**9, 2**63, 2**70, -1, "many", None, 1.5])
@pytest.mark.parametrize("items", [0, 1, 250])
def test_every_list_ends(total, items, monkeypatch):
    monkeypatch.setattr("data_pipeline.hosts._BACKOFF_S", 0.0)
    monkeypatch.setattr("data_pipeline.musicbrainz._LAST_OFFSET", 200)
    monkeypatch.setattr("data_pipeline.spotify._LAST_ALBUM", 200)
    answer = copy.deepcopy(RELEASE_GROUPS) | {"count": total}
    answer["release-groups"] *= items
    year = List("genre", "dub", 1988, 1988)
    with contextlib.suppress(FetchError):
        _, asked = read(lambda r, n: web.json_response(answer), musicbrainz, year)
        assert len(asked) <= 100
    answer = copy.deepcopy(ALBUMS) | {"total": total}
    answer["items"] *= items
    _, asked = read(lambda r, n: web.json_response(answer), spotify, ARTIST)
    assert len(asked) <= 100


JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**63, 2**200, -1, 1e308, "../../../evil", "\ud800", "\x00", "a" * 5000])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=5,
)


def paths(value, path=()):
    """Yields the path of each part of a JSON value."""
    yield path
    if isinstance(value, dict):
        for key in value:
            yield from paths(value[key], (*path, key))
    elif isinstance(value, list):
        for place, part in enumerate(value):
            yield from paths(part, (*path, place))


@st.composite
def damaged(draw, answer):
    """Draws an answer with some parts replaced or removed."""
    value = copy.deepcopy(answer)
    for _ in range(draw(st.integers(1, 3))):
        *way, last = draw(st.sampled_from([path for path in paths(value) if path] or [("x",)]))
        part = value
        for step in way:
            part = part[step]
        if isinstance(part, dict) and draw(st.booleans()):
            part.pop(last, None)
        else:
            part[last] = draw(JUNK)
    return value


@pytest.mark.parametrize(
    ("answer", "make", "part"),
    [
        (RELEASE_GROUPS, musicbrainz, GENRE),
        (ARTISTS, spotify, GENRE),
        (ALBUMS, spotify, ARTIST),
    ],
)
@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_damaged_answers_do_not_break_the_crawl(
    answer, make, part, data, tmp_path_factory, monkeypatch
):
    monkeypatch.setattr("data_pipeline.hosts._BACKOFF_S", 0.0)
    monkeypatch.setattr("data_pipeline.musicbrainz._LAST_OFFSET", 200)
    monkeypatch.setattr("data_pipeline.spotify._LAST_ALBUM", 200)
    text = json.dumps(data.draw(damaged(answer)))  # lone surrogates are escaped
    folder = tmp_path_factory.mktemp("collection")

    async def run():
        respond = lambda request, number: web.Response(text=text, content_type="application/json")  # noqa: E731
        async with Site(respond) as site, client() as c:
            source = make(c, site.url)
            source._wanted = frozenset({"dub"})
            return [page async for page in source.read(part)]

    try:
        got = asyncio.run(run())
    except FetchError:
        return
    with closing(Catalog(folder, "musicbrainz")) as catalog:
        catalog.add_lists([part])
        for page in got:
            catalog.store_page(part, page)
        catalog.finish_list(part, got[-1].found)
        choose(catalog, Choice(genres=("dub", "ska")))
        for cover in catalog.covers_to_fetch(0, 9):
            assert "/" not in cover.key
            assert "." not in cover.key
    write_metadata(folder)
