"""Tests that the test services behave like the real ones, and that faults match their names."""

import asyncio
import base64
import contextlib
import io
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from types import SimpleNamespace

import aiohttp
import pytest
from PIL import Image

from tests.collecting import ROOT
from tests.cover_services import FAULTS, KINDS, LOSSY, RECOVERABLE, SERVICES, make_catalogue, serve
from tests.cover_services.covers import cover_jpeg
from tests.cover_services.ids import make_mbid

AGENT = {"User-Agent": "test/1.0 (test@example.org)"}
CATALOGUE = make_catalogue(albums=600, artists=90, genres=12, cover_pixels=32)


def fetch(url: str, *, method: str = "GET", timeout: float = 10, most: int = 1 << 20, **options):
    """Returns the status, the headers and about `most` bytes of the body. Follows no redirects."""

    async def request() -> SimpleNamespace:
        limit = aiohttp.ClientTimeout(total=timeout)
        options.setdefault("headers", AGENT)
        async with (
            aiohttp.ClientSession(timeout=limit) as session,
            session.request(method, url, allow_redirects=False, **options) as response,
        ):
            body = b""
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > most:
                    break
            return SimpleNamespace(
                status=response.status,
                headers=response.headers,
                body=body,
                json=lambda: json.loads(body),
            )

    return asyncio.run(request())


def groups_of(services, query: str) -> Iterator[dict]:
    """Yields the release groups of all pages of a query."""
    offset, count = 0, 1
    while offset < count:
        params = {"query": query, "limit": 500, "offset": offset, "fmt": "json"}
        page = fetch(f"{services.musicbrainz_url}/release-group", params=params).json()
        assert len(page["release-groups"]) <= 100
        yield from page["release-groups"]
        offset, count = offset + 100, page["count"]


def authorize(services) -> dict[str, str]:
    """Gets a token and returns the headers that use it."""
    app = services.spotify
    pair = base64.b64encode(f"{app.client_id}:{app.client_secret}".encode()).decode()
    answer = fetch(
        services.spotify_token_url,
        method="POST",
        data={"grant_type": "client_credentials"},
        headers={"Authorization": f"Basic {pair}"},
    )
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


@pytest.fixture(scope="module")
def services():
    with serve(CATALOGUE, replicas=1) as services:
        yield services


def test_the_catalogue_is_deterministic_and_finds_albums_by_id():
    again = make_catalogue(albums=600, artists=90, genres=12, cover_pixels=32)
    other = make_catalogue(albums=600, artists=90, genres=12, cover_pixels=32, seed=1)
    assert list(again) == list(CATALOGUE) != list(other)
    assert "thrash metal" in CATALOGUE.genres
    for album in CATALOGUE:
        assert CATALOGUE.find_album(album.mbid) == CATALOGUE.find_album(album.spotify_id)
        assert CATALOGUE.find_album(album.mbid) == album.number
        assert CATALOGUE.find_artist(album.mbid) is None
        assert 1 <= len(album.genres) == len(set(album.genres)) <= 3
    covers = {CATALOGUE.cover_jpeg(i, 250) for i in range(600) if CATALOGUE.has_cover[i]}
    assert 540 < len(covers) < CATALOGUE.has_cover.sum() < 600
    assert all(len(cover) < 1000 for cover in covers)


def test_covers_are_pictures_of_their_size():
    cover = cover_jpeg(7, 300)
    assert 15_000 < len(cover) < 40_000
    with Image.open(io.BytesIO(cover)) as picture:
        picture.load()
        assert (picture.format, picture.size, picture.mode) == ("JPEG", (300, 300), "RGB")


def test_a_large_catalogue_is_made_quickly():
    start = time.process_time()  # other work on the machine does not count
    catalogue = make_catalogue(albums=600_000, artists=120_000, genres=3000)
    assert len(set(catalogue.genres)) == 3000
    assert catalogue.album(599_999).number == 599_999
    assert time.process_time() - start < 5


def test_every_album_of_a_genre_is_listed_once(services):
    params = {"limit": 100, "fmt": "json"}
    page = fetch(f"{services.musicbrainz_url}/genre/all", params=params).json()
    assert [genre["name"] for genre in page["genres"]] == sorted(CATALOGUE.genres)
    for genre in CATALOGUE.genres:
        phrase = genre.replace("\\", "\\\\").replace('"', '\\"')
        groups = groups_of(services, f'tag:"{phrase}" AND primarytype:album')
        groups = {group["id"]: group for group in groups}
        expected = {album.mbid: album for album in CATALOGUE if genre in album.genres}
        assert groups.keys() == expected.keys()
        for mbid, group in groups.items():
            album = expected[mbid]
            credit = group["artist-credit"]
            names = "".join(artist["name"] + artist.get("joinphrase", "") for artist in credit)
            assert (group["title"], names) == (album.title, album.artist)
            assert group.get("first-release-date") in ({album.release_date} - {None} or {None, ""})
            assert tuple(tag["name"] for tag in group["tags"]) == album.genres
            assert tuple(group["secondary-types"]) == album.types


def test_pages_of_three_replicas_overlap_and_miss_albums():
    with serve(CATALOGUE) as services:
        pages = [group["id"] for group in groups_of(services, "primarytype:album")]
    assert len(pages) == 600
    assert 350 < len({*pages}) < 550


def test_a_search_that_ran_out_of_time_counts_too_few(services):
    url = f"{services.musicbrainz_url}/release-group?fmt=json&limit=100&query=tag:rock"
    whole = fetch(url).json()
    with serve(CATALOGUE, faults={"short_count": 1.0}) as slow:
        short = fetch(url.replace(services.musicbrainz_url, slow.musicbrainz_url))
    assert short.status == 200
    assert short.json()["count"] < whole["count"]
    assert len(short.json()["release-groups"]) < len(whole["release-groups"])


@pytest.mark.parametrize("clause", ["artist", "arid", "label", "country", "rgid"])
def test_other_fields_are_searched(services, clause):
    album = CATALOGUE.album(7)
    value = {
        "artist": f'"{album.artists[0].name}"'.replace("\\", r"\\\\"),
        "arid": album.artists[0].mbid,
        "label": f'"{album.label}"',
        "country": album.country,
        "rgid": f"({album.mbid} OR {CATALOGUE.album(8).mbid})",
    }[clause]
    resource = "release" if clause in ("label", "country") else "release-group"
    url = f"{services.musicbrainz_url}/{resource}"
    page = fetch(url, params={"query": f"{clause}:{value}", "limit": 100, "fmt": "json"}).json()
    found = [item.get("release-group", item)["id"] for item in page[f"{resource}s"]]
    assert len({*found}) == len(found) == min(100, page["count"])
    if page["count"] <= 100:
        assert album.mbid in found
    assert clause != "rgid" or len(found) == 2


def test_a_range_of_dates_excludes_albums_without_a_date(services):
    groups = groups_of(
        services, "tag:rock AND primarytype:album AND firstreleasedate:[1980 TO 1989]"
    )
    eighties = [a for a in CATALOGUE if "rock" in a.genres and a.release_year in range(1980, 1990)]
    assert {group["id"] for group in groups} == {album.mbid for album in eighties} != set()
    groups = groups_of(services, "tag:rock AND NOT firstreleasedate:[* TO *]")
    undated = {a.mbid for a in CATALOGUE if "rock" in a.genres and a.release_date is None}
    assert {group["id"] for group in groups} == undated != set()


def test_musicbrainz_requires_a_contact_and_a_valid_query(services):
    url = f"{services.musicbrainz_url}/release-group?fmt=json&query="
    assert fetch(url + "tag:rock", headers={"User-Agent": "test/1.0"}).status == 403
    assert fetch(url + "tag:re:techno").status == 400
    assert fetch(url + "tag:re%5C:techno").json()["count"] > 0


def test_partial_tags_match_whole_words():
    with serve(CATALOGUE, partial_tags=True, replicas=1) as services:
        ids = {group["id"] for group in groups_of(services, "tag:metal")}
        metal = {"metal", "thrash metal"}
        assert ids == {album.mbid for album in CATALOGUE if metal & {*album.genres}}


def test_musicbrainz_enforces_its_rate_limit():
    with serve(CATALOGUE, musicbrainz_rate=1) as services:
        url = f"{services.musicbrainz_url}/genre/all?fmt=json"
        assert [fetch(url).status for _ in range(3)] == [200, 503, 503]
        assert fetch(url).headers["Retry-After"] == "1"


def test_the_cover_art_archive_redirects(services):
    album = next(album for album in CATALOGUE if album.has_cover)
    bare = next(album for album in CATALOGUE if not album.has_cover)
    root = services.coverart_url + "/release-group"
    small = next(
        a for a in CATALOGUE if a.has_cover and CATALOGUE.largest_thumbnail(a.number) < 999
    )
    answer = fetch(f"{root}/{small.mbid}/front-1200")
    assert answer.status == 307
    assert fetch(answer.headers["Location"]).status == 404
    answer = fetch(f"{root}/{album.mbid}/front-500")
    assert answer.status == 307
    cover = fetch(answer.headers["Location"])
    assert cover.body == CATALOGUE.cover_jpeg(album.number, 500)
    assert cover.headers["Content-Length"] == str(len(cover.body))
    assert fetch(f"{root}/{bare.mbid}/front-500").status == 404
    assert fetch(f"{root}/no-such-id/front-500").status == 400
    assert services.log[-1].service == "coverart"
    assert services.log[-1].status == 400


@pytest.mark.parametrize(("new_app", "most"), [(True, 10), (False, 50)])
def test_spotify_as_a_new_and_an_old_app_sees_it(new_app, most):
    with serve(CATALOGUE, new_app=new_app) as services:
        headers, api = authorize(services), services.spotify_api_url
        params = {"q": 'genre:"re:techno"', "type": "artist", "limit": most}
        url, artists = f"{api}/search", []
        while url:
            page = fetch(url, params=params, headers=headers).json()["artists"]
            artists += page["items"]
            url, params = page["next"], None
        expected = CATALOGUE.artists_of_genre("re:techno").tolist()
        assert [artist["id"] for artist in artists] == [
            CATALOGUE.artist(number).spotify_id for number in expected
        ]
        assert ("genres" in artists[0]) == (not new_app)

        root = f"{api}/artists/{artists[0]['id']}"
        assert fetch(f"{root}/albums?limit={most + 1}", headers=headers).status == 400
        assert fetch(f"{root}/related-artists", headers=headers).status == (404 if new_app else 200)
        item = fetch(f"{root}/albums?limit={most}", headers=headers).json()["items"][0]
        number = CATALOGUE.find_album(item["id"])
        assert number == CATALOGUE.albums_of_artist(expected[0])[0]
        assert fetch(item["images"][0]["url"]).body == CATALOGUE.cover_jpeg(number, 640)
        services.spotify.expire_tokens()
        assert fetch(root, headers=headers).json()["error"]["message"] == "The access token expired"
        assert fetch(root, headers=authorize(services)).status == 200


def test_spotify_enforces_quota_token_and_premium():
    with serve(CATALOGUE, quota=1, token_requests=2) as services:
        headers, url = authorize(services), services.spotify_api_url + "/search?q=x&type=artist"
        assert fetch(url, headers=headers).status == 200
        answer = fetch(url, headers=headers)
        assert (answer.status, answer.headers["Retry-After"]) == (429, "86400")
        assert answer.json()["error"]["reason"] == "QUOTA_EXCEEDED"
        assert fetch(url, headers=headers).status == 401
    with serve(CATALOGUE, premium=False) as services:
        url = services.spotify_api_url + "/search?q=x&type=artist"
        assert fetch(url, headers=authorize(services)).status == 403


def test_faults_are_deterministic_and_no_more_than_two_in_a_row(services):
    url = services.coverart_url + f"/release-group/{CATALOGUE.album(0).mbid}/front-250"
    runs = []
    for _ in range(2):
        services.faults = {"http_500": 0.5, "http_503": 0.4}
        runs.append([fetch(url).status for _ in range(20)])
    services.faults = ()
    assert runs[0] == runs[1]
    assert {500, 503} < set(runs[0])
    assert all(307 in runs[0][i : i + 3] for i in range(18))
    assert fetch(url).status == 307
    with pytest.raises(ValueError, match="no such faults: http_599"):
        services.faults = ["http_599"]


def test_a_persistent_fault_repeats():
    with serve(
        CATALOGUE, persistent=True, faults=["http_500", "empty"], fault_rate=0.5
    ) as services:
        root = services.coverart_url + "/release-group"
        for album in list(CATALOGUE)[:8]:
            assert len({fetch(f"{root}/{album.mbid}/front-250").status for _ in range(4)}) == 1


def test_every_fault_and_service_is_classified():
    assert set(FAULTS) == RECOVERABLE | LOSSY
    assert set(KINDS) == set(SERVICES)


@pytest.mark.parametrize(
    ("fault", "kind"), [(fault, kind) for fault in FAULTS for kind in sorted(FAULTS[fault])]
)
def test_a_fault_does_what_its_name_says(fault, kind):
    album = next(album for album in CATALOGUE if album.has_cover)
    jpeg = CATALOGUE.cover_jpeg(album.number, 500)
    release = make_mbid("release", album.number)
    item = f"mbid-{release}/mbid-{release}-1_thumb500.jpg"
    with serve(CATALOGUE, replicas=1, stall_seconds=0.3, retry_after=3) as services:
        url = {
            "json": f"{services.musicbrainz_url}/release-group?query=tag:rock&fmt=json",
            "link": f"{services.coverart_url}/release-group/{album.mbid}/front-500",
            "picture": f"{services.urls['archive']}/download/{item}",
        }[kind]
        whole = fetch(url)
        services.faults = {fault: 1.0}
        start = time.time()
        broken = pytest.raises(aiohttp.ClientPayloadError)
        with broken if fault in ("reset", "short_body") else contextlib.nullcontext():
            answer = fetch(url)
        seconds = time.time() - start
        assert services.log[-1].fault == fault
        again = fetch(url) if fault == "huge" else None

    match fault:
        case "http_429":
            assert (answer.status, answer.headers["Retry-After"]) == (429, "3")
        case "http_429_date":
            until = parsedate_to_datetime(answer.headers["Retry-After"]).timestamp()
            assert answer.status == 429
            assert 2 <= until - start <= 5
        case "http_500" | "http_503":
            assert answer.status == int(fault[-3:])
        case "html":
            assert (answer.status, answer.headers["Content-Type"][:9]) == (200, "text/html")
        case "empty":
            assert (answer.status, answer.body) == (200, b"")
        case "reset":
            assert "Connection reset by peer" in str(broken.excinfo.value)
        case "short_body":
            assert "Connection reset by peer" not in str(broken.excinfo.value)
        case "stall":
            assert seconds >= 0.3
            assert len(answer.body) == len(whole.body)
        case "huge":
            assert len(answer.body) >= 1 << 20
            assert len(again.body) >= 1 << 20
        case "redirect_loop":
            assert answer.headers["Location"] == "/redirect-loop/a"
        case "private_redirect":
            assert answer.headers["Location"] in ("http://10.0.0.1/", "http://192.168.0.1/")
        case "png_as_jpg":
            assert answer.headers["Content-Type"] == "image/jpeg"
            with Image.open(io.BytesIO(answer.body)) as picture:
                picture.load()
                assert (picture.format, picture.size) == ("PNG", (32, 32))
        case "bomb":
            assert len(answer.body) < 1000
            with pytest.raises(Image.DecompressionBombError):
                Image.open(io.BytesIO(answer.body))
        case "truncated_jpeg":
            assert jpeg.startswith(answer.body)
            assert len(answer.body) == int(answer.headers["Content-Length"]) < len(jpeg)
        case "malformed_json":
            with pytest.raises(json.JSONDecodeError):
                answer.json()
        case _:
            check_items(fault, answer.json()["release-groups"], whole.json()["release-groups"])


def check_items(fault: str, items: list[dict], whole: list[dict]) -> None:
    """Checks the items of a valid page that has a fault."""
    ids, right = [item.get("id") for item in items], [item["id"] for item in whole]
    match fault:
        case "short_count":
            assert len(ids) < len(right)
        case "duplicate_ids":
            assert set(ids) == set(right)
            assert len(ids) == len(right) + 1
        case "evil_id":
            assert [wrong for wrong in ids if wrong not in right] == ["../../../evil"]
        case "missing_fields":
            assert any(item.keys() < full.keys() for item, full in zip(items, whole, strict=True))
        case "null_fields":
            assert any(None in item.values() for item in items)


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_the_command_prints_flags_and_stops_on_a_signal(stop):
    command = [sys.executable, "-m", "tests.cover_services", "--albums=20", "--port=0"]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        lines = [server.stdout.readline() for _ in range(4)]
        flags = dict(flag.split("=") for flag in lines[0].split())
        assert fetch(flags["--musicbrainz_url"] + "/genre/all?fmt=json").status == 200
        server.send_signal(stop)
        assert server.communicate(timeout=10) == ("", "")
    assert server.returncode == 0
