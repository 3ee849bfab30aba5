"""Tests of how the sources handle correct, odd and hostile answers."""

import asyncio
import copy
import json
from contextlib import closing

import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_pipeline.catalog import Catalog, Cover, Listing, count_unlisted, write_metadata
from data_pipeline.http import Client, FetchError
from data_pipeline.musicbrainz import MusicBrainz
from data_pipeline.spotify import Spotify
from tests.loopback import Site

MBID = "0d8a4f4e-2a7d-3f0a-8a1f-3f1f5c0c6a5e"
GENRE = Listing("genres", 1, "dub", 0)
ARTIST = Listing("artists", 1, "0123456789ABCDEFGHIJab", 0)

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
            "tags": [{"count": 3, "name": "Dub"}, {"count": -1, "name": "ska"}, {"name": "seen"}],
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
    return MusicBrainz(client, url, "https://covers.example", size, None, None)


def spotify(client, url, size=300):
    source = Spotify(client, url, f"{url}/token", "id", "secret", size, {"related_artists": False})
    source._token = "token"
    return source


def page(answer, make, listing, genres=frozenset({"dub", "ska"})):
    """Returns the page that a source parses from an answer, and the requests."""

    async def run():
        async with Site(lambda request, number: web.json_response(answer)) as site, client() as c:
            return await make(c, site.url).page(listing, genres), site.asked

    return asyncio.run(run())


def test_musicbrainz_album_is_parsed():
    got, _ = page(RELEASE_GROUPS, musicbrainz, GENRE)
    (album,) = got.albums
    assert (album.key, album.title, album.artist) == (MBID, "Heavy Chamber", "King Echo & Friends")
    assert (album.release_year, album.genres) == (1979, ("dub",))  # ska was voted down
    assert [artist.name for artist in got.artists] == ["Echo", "Friends"]
    assert (got.next, got.total) == (None, 1)


def test_genre_must_equal_a_whole_tag():
    got, _ = page(RELEASE_GROUPS, musicbrainz, Listing("genres", 1, "heavy", 0), {"heavy"})
    assert not got.albums


@pytest.mark.parametrize(
    ("size", "expected"), [(1, "250"), (374, "250"), (375, "500"), (500, "500"), (9999, "1200")]
)
def test_nearest_cover_art_archive_size_is_used(size, expected):
    source = musicbrainz(None, "", size)
    assert source.cover_url(Cover(1, MBID, None)).endswith(
        f"/release-group/{MBID}/front-{expected}"
    )


@pytest.mark.parametrize(
    ("size", "expected"), [(10, "64"), (200, "300"), (400, "300"), (999, "640")]
)
def test_nearest_spotify_size_is_used_even_if_unstated(size, expected):
    got, _ = page(ALBUMS, lambda client, url: spotify(client, url, size), ARTIST)
    assert got.albums[0].cover_url == f"https://images.example/{expected}"


@pytest.mark.parametrize("total", [1, 10**9, 2**63, 2**70, -1, "many", None, 1.5])
@pytest.mark.parametrize("items", [0, 1, 250])
def test_every_list_ends(total, items):
    """An empty page is the last, whatever the total says."""
    answer = copy.deepcopy(RELEASE_GROUPS) | {"count": total}
    answer["release-groups"] *= items
    got, _ = page(answer, musicbrainz, GENRE)
    assert got.next is None or (items > 0 and got.next == min(items, 100))
    answer = copy.deepcopy(ALBUMS) | {"total": total}
    answer["items"] *= items
    got, _ = page(answer, spotify, ARTIST)
    assert got.next is None or items > 0


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
    ("answer", "make", "listing"),
    [
        (RELEASE_GROUPS, musicbrainz, GENRE),
        (ARTISTS, spotify, GENRE),
        (ALBUMS, spotify, ARTIST),
    ],
)
@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_damaged_answers_do_not_break_the_crawl(
    answer, make, listing, data, tmp_path_factory, monkeypatch
):
    monkeypatch.setattr("data_pipeline.http._BACKOFF_S", 0.0)
    text = json.dumps(data.draw(damaged(answer)))  # lone surrogates are escaped
    folder = tmp_path_factory.mktemp("collection")

    async def run():
        respond = lambda request, number: web.Response(text=text, content_type="application/json")  # noqa: E731
        async with Site(respond) as site, client() as c:
            return await make(c, site.url).page(listing, frozenset({"dub"}))

    try:
        got = asyncio.run(run())
    except FetchError:
        return
    with closing(Catalog(folder, "musicbrainz")) as catalog:
        catalog.ask(["dub"])
        catalog.store_page(listing, got, {"learned": {}})
        count_unlisted(catalog._db)
        for cover in catalog.waiting_covers(0, 9, False):
            assert "/" not in cover.key
            assert "." not in cover.key
    write_metadata(folder)
