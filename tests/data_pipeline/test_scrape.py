import base64
import io
import re
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from datetime import datetime
from hashlib import sha256

import numpy as np
import pytest
from PIL import Image

from data_pipeline.collect import LISTERS
from tests.collecting import (
    assert_collected,
    assert_one_error,
    assert_whole,
    collect,
    expected_fields,
    finish,
    lines_of,
    on_disk,
    query,
    read_lines,
    requests_for,
    run,
    start,
    wait_until,
)
from tests.cover_services import make_catalogue, serve
from tests.cover_services.ids import make_mbid

CATALOGUE = make_catalogue(albums=200, artists=40, genres=12, cover_pixels=64)
SMALL = make_catalogue(albums=24, artists=8, genres=4, cover_pixels=32)
NUM_COVERS = int(CATALOGUE.has_cover.sum())
# Spotify's search does not support quotes in genre names.
SPOTIFY_GENRES = tuple(name for name in CATALOGUE.genres if '"' not in name)
GENRES = {"musicbrainz": "all", "spotify": ",".join(SPOTIFY_GENRES)}
EXPECTED = {
    "musicbrainz": expected_fields(CATALOGUE),
    "spotify": expected_fields(CATALOGUE, "spotify", genres=SPOTIFY_GENRES),
}
SOURCES = ("musicbrainz", "spotify")


@pytest.fixture
def out(tmp_path):
    return tmp_path / "covers"


@pytest.fixture(scope="module")
def services():
    """Services without faults."""
    with serve(CATALOGUE) as running:
        yield running


# From an empty folder -----------------------------------------------------------------------------


@pytest.mark.parametrize("source", SOURCES)
def test_collection_is_complete_and_a_second_run_fetches_nothing(out, services, source):
    expected, genres = EXPECTED[source], GENRES[source]
    first = collect(services, source, out=out, genres=genres)
    assert_collected(out, CATALOGUE, expected, size=500 if source == "musicbrainz" else 640)
    told = (out / "ATTRIBUTION.md").read_text()
    assert "belong to their owners" in told
    assert "CC0" in told or source == "spotify"
    assert first.summary["stored"] == first.summary["stored_now"] == len(expected)
    assert first.summary["source"] == source
    assert first.summary["waiting"] == 0
    assert ("Policy" in first.stderr) == (source == "spotify")

    mark, before = len(services.log), (out / "metadata.jsonl").read_bytes()
    again = collect(services, source, out=out)
    assert services.log[mark:] == []
    assert again.summary["stored_now"] == 0
    assert not any(again.summary["requests"].values())
    assert (out / "metadata.jsonl").read_bytes() == before

    status = collect(out=out, status=True).stdout
    assert f"{len(expected):,} covers stored" in status
    missing = first.summary["failed"]["no_cover"]
    assert f"{missing:,} no_cover" in status
    assert services.log[mark:] == []


@pytest.mark.parametrize("source", SOURCES)
def test_export_urls_lists_covers_not_fetched_yet(out, tmp_path, services, source):
    collect(services, source, out=out, genres=GENRES[source], limit=5)
    mark = len(services.log)
    export = collect(services, source, out=out, export_urls=tmp_path / "urls.jsonl", limit=0)
    assert services.log[mark:] == []
    rows = read_lines(tmp_path / "urls.jsonl")
    assert f"{len(rows)} covers" in export.stdout
    assert len(rows) > 5
    # Genres whose lists are not read yet may be missing.
    expected = EXPECTED[source]
    for row in rows:
        whole = expected.get(row["album_id"])
        if whole is not None:
            assert {*row["genres"]} <= {*whole["genres"]}
            names = ("artist", "title", "release_year")
            assert [row[name] for name in names] == [whole.get(name) for name in names]
        if source == "musicbrainz":
            assert row["url"] == (
                f"{services.coverart_url}/release-group/{row['album_id']}/front-500"
            )
        else:
            number = CATALOGUE.find_album(row["album_id"])
            assert row["url"].endswith(f"{number:024x}")

    pq = pytest.importorskip("pyarrow.parquet")
    collect(services, source, out=out, export_urls=tmp_path / "urls.parquet")
    assert pq.read_table(tmp_path / "urls.parquet").to_pylist() == rows


def test_choosing_again_needs_no_network_and_forgets_nothing(out, services):
    """Genres are dropped and taken again, years and types narrowed and widened, limits lifted."""
    expected = expected_fields(CATALOGUE, genres=["rock", "jazz"])
    collect(services, out=out, genres="rock,jazz")
    assert_collected(out, CATALOGUE, expected)
    mark = len(services.log)

    def chosen(**flags) -> set[str]:
        collect(out=out, choose=True, **flags)
        assert services.log[mark:] == []
        assert len(on_disk(out)) == len(expected)
        return {*lines_of(out)}

    jazz = {*expected_fields(CATALOGUE, genres=["jazz"])} & {*expected}
    assert chosen(genres="jazz") == jazz
    assert chosen(genres="rock,jazz", since=1980, until=1989) == {
        key for key, fields in expected.items() if 1980 <= fields.get("release_year", 0) <= 1989
    }
    no_type = {key for key, fields in expected.items() if "types" not in fields}
    assert chosen(since=0, until=0, types="studio") == no_type
    live = {key for key, fields in expected.items() if fields.get("types") == ["live"]}
    assert chosen(types="studio,live") == no_type | live != no_type
    few = chosen(types="all", limit=10)
    assert len(few) == 10
    assert len(chosen(limit=0, per_genre=4) & jazz) >= 4
    assert chosen(per_genre=0) == {*expected}
    assert chosen(limit=10) == few


def test_new_genres_and_years_list_only_what_is_new(out, services):
    collect(services, out=out, genres="rock", since=1990)
    stored, mark = on_disk(out), len(services.log)
    collect(services, out=out, genres="rock,jazz", since=1980)
    queries = [r.path_qs for r in services.log[mark:] if r.service == "musicbrainz"]
    assert {url for url in queries if "rock" in url and "199" in url} == set()
    expected = {
        key: fields
        for key, fields in expected_fields(CATALOGUE, genres=["rock", "jazz"]).items()
        if fields.get("release_year", 0) >= 1980
    }
    assert_collected(out, CATALOGUE, expected)
    assert not {*requests_for(services, mark)} & {*stored}


@pytest.mark.parametrize(
    ("flag", "value"),
    [("artists", "name"), ("artists", "id"), ("labels", "Label 7"), ("countries", "JM,JP")],
)
def test_other_lists_are_collected(out, tmp_path, services, flag, value):
    artist = CATALOGUE.album(0).artists[0]
    value = {"name": artist.name.upper(), "id": artist.mbid}.get(value, value)
    wanted = {
        "artists": lambda album: artist in album.artists,
        "labels": lambda album: album.label == value,
        "countries": lambda album: album.country in ("JM", "JP"),
    }[flag]
    (tmp_path / "names.txt").write_text(value.replace(",", "\n"))
    collect(services, out=out, **{flag: tmp_path / "names.txt"})
    expected = expected_fields(CATALOGUE)
    found = {album.mbid for album in CATALOGUE if wanted(album)} & {*expected}
    assert found
    assert_collected(out, CATALOGUE, {key: expected[key] for key in found})
    collect(services, out=out, genres="dub")
    found |= {*expected_fields(CATALOGUE, genres=["dub"])}
    assert_collected(out, CATALOGUE, {key: expected[key] for key in found})


def test_unknown_genre_is_refused_with_the_nearest(out, services):
    assert_one_error(run(services, out=out, genres="rokc"), "rokc", "nearest", "rock")
    assert_one_error(
        run(services, out=out, types="alive", genres="rock"), "alive", "nearest", "live"
    )


def test_removed_covers_never_come_back(out, tmp_path, services):
    expected = expected_fields(CATALOGUE, genres=["rock"])
    collect(services, out=out, genres="rock")
    gone, other, *_ = expected
    unknown = next(key for key in EXPECTED["musicbrainz"] if key not in expected)
    (tmp_path / "gone.txt").write_text(f"# by request\n{gone}\n{unknown}\n")
    mark = len(services.log)
    told = collect(out=out, remove=tmp_path / "gone.txt").stdout
    assert "covers deleted: 1; albums that are never fetched again: 2" in told
    collect(out=out, remove=other)
    assert services.log[mark:] == []
    for _ in range(2):
        assert {gone, other, unknown}.isdisjoint({*lines_of(out), *on_disk(out)})
        collect(services, out=out, genres="all")
        collect(services, out=out, retry_failed=True)
    assert not {*requests_for(services, mark)} & {gone, other, unknown}
    left = {k: v for k, v in EXPECTED["musicbrainz"].items() if k not in (gone, other, unknown)}
    assert_collected(out, CATALOGUE, left)
    assert_one_error(run(out=out, remove="../../x"), "--remove", "album_id")


def test_lines_say_where_a_cover_is_from(out, services):
    collect(services, out=out, genres="dub")
    lines = lines_of(out)
    for key, line in lines.items():
        number = CATALOGUE.find_album(key)
        assert line["source"] == "musicbrainz"
        assert line["page_url"] == f"https://musicbrainz.org/release-group/{key}"
        assert line["release_id"] == make_mbid("release", number)
        assert f"/download/mbid-{line['release_id']}/" in line["picture_url"]
        assert line["picture_url"].startswith(services.urls["archive"])
        assert abs(time.time() - datetime.fromisoformat(line["fetched"]).timestamp()) < 3 * 86_400
        assert line["sha256"] == sha256((out / line["file_name"]).read_bytes()).hexdigest()


def test_doubles_are_marked_by_the_next_command_after_a_kill_and_replaced(out, services):
    """Some albums of the catalogue share a cover."""
    collect(services, out=out, genres="all")
    lines = lines_of(out)
    alike = [key for key, line in lines.items() if "same_as" in line]
    assert alike
    query(out, "UPDATE albums SET cluster = NULL")  # as if killed before they were marked
    collect(out=out, choose=True, doubles="drop")
    assert {*lines_of(out)}.isdisjoint(alike)
    other = out.with_name("few")
    limit = len(lines_of(out))
    result = collect(services, out=other, genres="all", doubles="drop", limit=limit)
    assert result.summary["stored"] == len(lines_of(other)) == limit


def test_odd_genre_names_are_taken_literally(out, tmp_path, services):
    odd = ["8-bit", "re:techno", '"quoted"', "näutik", "r&b"]
    assert all(len(CATALOGUE.albums_of_genre(name)) for name in odd)
    file = tmp_path / "genres.txt"
    text = '\ufeff# mine\r\n\r\n8-BIT\r\nre:techno\r\n  # not: rock\r\n"Quoted"\r\nNa\u0308utik\r\n'
    file.write_bytes(f"{text}r&b".encode())
    collect(services, out=out, genres=file)
    assert_collected(out, CATALOGUE, expected_fields(CATALOGUE, genres=odd))
    other = out.with_name("spotify")
    unknown = [f"unheard of, {i}" for i in range(20)]  # longer than a file name can be
    collect(services, "spotify", out=other, genres=",".join(["8-Bit", "re:techno", *unknown]))
    expected = expected_fields(CATALOGUE, "spotify", genres=["8-bit", "re:techno"])
    assert_collected(other, CATALOGUE, expected, size=640)


def test_genre_matches_only_whole_tags(out):
    with serve(CATALOGUE, partial_tags=True) as services:
        collect(services, out=out, genres="metal")
        assert query(out, "SELECT count(*) FROM albums WHERE genres LIKE '%thrash metal%'") != [
            (0,)
        ]
    assert_collected(out, CATALOGUE, expected_fields(CATALOGUE, genres=["metal"]))


@pytest.mark.parametrize("years", [77, 1])
def test_searches_of_replicas_that_count_too_few_are_complete(out, years):
    """A genre of many years is split; one year of a genre is read until all has appeared."""
    catalogue = make_catalogue(albums=600, artists=60, genres=2, cover_pixels=32)
    if years == 1:
        catalogue._dates = np.where(catalogue._dates > 0, 19_880_000, 0)
    with serve(catalogue, faults={"short_count": 0.15}) as services:
        result = collect(services, out=out, genres="all", concurrency=64)
        assert "short_count" in {record.fault for record in services.log}
    assert result.summary["lists"]["failed"] == {}
    assert_collected(out, catalogue, expected_fields(catalogue))


def test_what_a_search_does_not_give_is_told(out):
    """Some searches always run out of their time; that of the whole genre does not."""
    catalogue = make_catalogue(albums=300, artists=60, genres=2, cover_pixels=32)
    faults = {"short_count": 0.3}
    with serve(catalogue, faults=faults, persistent=True, fault_seed=1) as services:
        result = collect(services, out=out, genres="rock", concurrency=64)
    listed = query(out, "SELECT count(*) FROM albums")[0][0]
    assert listed < len(catalogue.albums_of_genre("rock"))
    assert re.search(
        r"warning: the service gave \d+ of \d+ albums of the genre rock", result.stderr
    )


def test_labels_lose_no_album_to_searches_that_count_too_few(out):
    catalogue = make_catalogue(albums=400, artists=60, genres=4, cover_pixels=32)
    with serve(catalogue, faults={"short_count": 0.2}, fault_services=["musicbrainz"]) as services:
        collect(services, out=out, labels="Label 7,Label 8,Label 9", concurrency=64)
        assert "short_count" in {record.fault for record in services.log}
    every = expected_fields(catalogue)
    found = {a.mbid for a in catalogue if a.label in ("Label 7", "Label 8", "Label 9")}
    assert_collected(out, catalogue, {key: every[key] for key in found & {*every}})


@pytest.mark.parametrize("source", SOURCES)
def test_limit_is_exact_and_can_be_raised(out, services, source):
    for limit in (7, 20):
        mark, stored = len(services.log), [] if limit == 7 else [*on_disk(out)]
        result = collect(services, source, out=out, genres=GENRES[source], limit=limit)
        assert result.summary["stored"] == len(lines_of(out)) == len(on_disk(out)) == limit
        assert not {*requests_for(services, mark)} & {*stored}
    collect(services, source, out=out, limit=0)
    size = 500 if source == "musicbrainz" else 640
    assert_collected(out, CATALOGUE, EXPECTED[source], size)


def test_limit_is_spread_over_genres_and_lists(out):
    catalogue = make_catalogue(albums=3000, artists=300, genres=12, cover_pixels=32)
    with serve(catalogue) as services:
        collect(services, out=out, genres="all", limit=60)
        asked = services.counts()["musicbrainz"]
    counts = Counter(genre for line in lines_of(out).values() for genre in line["genres"])
    assert {*counts} == {*catalogue.genres}
    assert min(counts.values()) >= 5
    years = {line.get("release_year") for line in lines_of(out).values()}
    assert len(years) > 20
    assert asked < 12 * 6  # it did not read the lists to their ends


def test_limit_spares_requests_to_spotify(out):
    """A genre's artists and their albums are read a page at a time, while the genre needs more."""
    catalogue = make_catalogue(albums=3000, artists=300, genres=12, cover_pixels=32)
    genres = [name for name in catalogue.genres if '"' not in name]
    with serve(catalogue) as services:
        result = collect(
            services, "spotify", out=out, genres=",".join(genres), limit=60, since=1990
        )
        asked = services.counts()["spotify"]
    assert result.summary["stored"] == 60
    counts = Counter(genre for line in lines_of(out).values() for genre in line["genres"])
    assert min(counts[genre] for genre in genres) >= 5
    # Whole lists take a request for each of 300 artists, and a page of 10 artists of each genre.
    assert asked < 100


def test_per_genre_caps_each_genre(out, services):
    collect(services, out=out, genres="rock,dub", per_genre=5)
    rare = [line for line in lines_of(out).values() if "dub" in line["genres"]]
    assert len(rare) >= 5
    assert 5 < len(lines_of(out)) <= 10


@pytest.mark.parametrize("source", SOURCES)
def test_since_and_until_limit_a_collection(out, services, source):
    def between(first, last):
        return {
            key: fields
            for key, fields in EXPECTED[source].items()
            if first <= fields.get("release_year", 0) <= last
        }

    size = 500 if source == "musicbrainz" else 640
    collect(services, source, out=out, genres=GENRES[source], since=1980, until=1989)
    assert_collected(out, CATALOGUE, between(1980, 1989), size)
    collect(services, source, out=out, until=0)
    assert_collected(out, CATALOGUE, between(1980, 9999), size)
    collect(services, source, out=out, since=0)
    assert_collected(out, CATALOGUE, EXPECTED[source], size)


@pytest.mark.parametrize(
    ("source", "size", "nearest"),
    [
        ("musicbrainz", 1, 250),
        ("musicbrainz", 251, 500),
        ("spotify", 300, 300),
        ("spotify", 301, 640),
        ("spotify", 2000, 640),
    ],
)
def test_least_size_that_is_not_smaller_is_fetched(out, source, size, nearest):
    catalogue = make_catalogue(albums=2, artists=1, genres=1)
    with serve(catalogue) as services:
        collect(services, source, out=out, genres="rock", size=size)
    assert_collected(out, catalogue, expected_fields(catalogue, source), nearest)


def test_a_missing_size_is_no_missing_cover(out):
    catalogue = make_catalogue(albums=30, artists=1, genres=1)
    with serve(catalogue) as services:
        result = collect(services, out=out, genres="rock", size=512)
    assert result.summary["stored"] == catalogue.has_cover.sum() > 20
    assert {*result.summary["failed"]} <= {"no_cover"}
    sizes = {
        number: Image.open(io.BytesIO((out / line["file_name"]).read_bytes())).width
        for key, line in lines_of(out).items()
        for number in [catalogue.find_album(key)]
    }
    assert sizes == {number: catalogue.largest_thumbnail(number) for number in sizes}
    assert {*sizes.values()} == {500, 1200}


# Stopping and resuming ----------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_crawl_resumes_after_a_signal(out, number, code):
    with serve(
        CATALOGUE, faults={"stall": 0.5}, fault_services=["archive"], stall_seconds=1
    ) as services:
        process = start(services, out=out, genres="all", concurrency=2)
        wait_until(lambda: services.counts()["archive"] > 30, process)
        wait_until(lambda: "ETA" in collect(out=out, status=True).stdout, process)
        status = collect(out=out, status=True).stdout
        assert "ETA" in status
        assert "waiting" in status
        assert_one_error(run(services, out=out, genres="all"), "another process", "--status")
        process.send_signal(number)
        result = finish(process, within=10)
        assert result.code == code, result
        assert "Traceback" not in result.stderr
        stored, mark = on_disk(out), len(services.log)
        assert_whole(out, CATALOGUE)
        assert 30 <= result.summary["stored"] <= len(stored) < NUM_COVERS

        services.faults = ()
        collect(services, out=out)
        assert_collected(out, CATALOGUE, EXPECTED["musicbrainz"])
        assert not {*requests_for(services, mark)} & {*stored}


def test_lost_or_truncated_file_is_fetched_again_only_if_asked(out, services):
    collect(services, out=out, genres="dub")
    expected = expected_fields(CATALOGUE, genres=["dub"])
    (lost, lost_file), (cut, cut_file), *_ = on_disk(out).items()
    lost_file.unlink()
    cut_file.write_bytes(cut_file.read_bytes()[:-1])
    mark = len(services.log)
    result = collect(services, out=out)
    assert "2 covers are left out" in result.stderr
    assert "--retry_failed=lost" in result.stderr
    assert {*lines_of(out)} == {*expected} - {lost, cut}
    assert services.log[mark:] == []
    collect(services, out=out, retry_failed="lost")
    assert {*requests_for(services, mark)} == {lost, cut}
    assert_collected(out, CATALOGUE, expected)


def test_crawl_waits_for_a_database_lock(out, services):
    collect(services, out=out, genres="all", limit=20)
    collect(out=out, choose=True, limit=0)
    with_lock = sqlite3.connect(out / "covers.db", check_same_thread=False, isolation_level=None)
    with_lock.execute("BEGIN IMMEDIATE")
    process = start(services, out=out)
    time.sleep(3)
    assert process.poll() is None
    with_lock.execute("ROLLBACK")
    with_lock.close()
    assert finish(process).code == 0
    assert_collected(out, CATALOGUE, EXPECTED["musicbrainz"])


def test_crawl_resumes_after_a_full_disk(tmp_path, services):
    """Mounts a file system of 1.5 MB, which needs root."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1500k", "none", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system is not permitted here")
    try:
        result = run(services, out=disk / "covers", genres="all", within=30)
        assert result.code == 1, result
        (error,) = [line for line in result.stderr.splitlines() if not line.startswith("note")]
        assert error.startswith("error: ")
        assert "full" in error or "No space" in error
        assert query(disk / "covers", "PRAGMA integrity_check") == [("ok",)]
        stored, mark = on_disk(disk / "covers"), len(services.log)
        assert len(stored) < NUM_COVERS
        subprocess.run(["mount", "-o", "remount,size=20m", str(disk)], check=True)
        collect(services, out=disk / "covers")
        known = {"sources_known": False}  # the last ones could not be recorded
        assert_collected(disk / "covers", CATALOGUE, EXPECTED["musicbrainz"], **known)
        assert not {*requests_for(services, mark)} & {*stored}
    finally:
        subprocess.run(["umount", str(disk)], check=True)


# Rate limits and pauses ---------------------------------------------------------------------------


def test_request_rate_holds_in_every_second(out):
    catalogue = make_catalogue(albums=100, artists=80, genres=70, cover_pixels=32)
    with serve(catalogue) as services:
        collect(services, out=out, genres="all", requests_per_second=20)
        times = [r.monotonic for r in services.log if r.service == "musicbrainz"]
    assert len(times) > 60
    in_a_second = max(sum(t <= other < t + 1 for other in times) for t in times)
    assert 15 <= in_a_second <= 20 + 1
    assert_collected(out, catalogue, expected_fields(catalogue))


def test_requested_pause_is_respected(out):
    faults = {"http_429": 0.05, "http_429_date": 0.05}
    with serve(SMALL, faults=faults, retry_after=2, musicbrainz_rate=2.0, fault_seed=2) as services:
        collect(services, out=out, genres="all", concurrency=4)
        log = services.log
    pauses = {"http_429": 2, "http_429_date": 2, None: 1}  # MusicBrainz's own limit: 503, 1 s
    refused = [record for record in log if record.status in (429, 503)]
    assert {record.fault for record in refused} == {*pauses}
    for refusal in refused:
        # Requests already in flight cannot be held back; on a busy machine that takes a while.
        start, end = refusal.monotonic + 0.5, refusal.monotonic + pauses[refusal.fault]
        during = [r for r in log if r.service == refusal.service and start < r.monotonic < end]
        assert during == []
    assert_collected(out, SMALL, expected_fields(SMALL))


def seconds_to_wait(result) -> float:
    """Returns how many seconds from now a run that ended early says to wait."""
    assert result.code == 75, result
    (warning,) = [line for line in result.stderr.splitlines() if line.startswith("warning: ")]
    assert "again" in warning
    (when,) = re.findall(r"\d{4}-\d\d-\d\d \d\d:\d\d", warning)
    return (datetime.fromisoformat(when) - datetime.now()).total_seconds()


def test_pause_longer_than_max_wait_ends_the_run(out):
    genres = "rock,8-bit"
    with serve(
        SMALL, faults={"http_429": 1.0}, fault_services=["archive"], retry_after=3600
    ) as services:
        first = run(services, out=out, genres=genres, within=10)
        refused = services.counts()["archive"]
        assert 1 <= refused <= 8  # requests in flight together
        services.faults = ()
        second = run(services, out=out, genres=genres, within=10)
        assert services.counts()["archive"] == refused
        for result in (first, second):
            assert 3600 - 90 < seconds_to_wait(result) < 3600 + 90

        # The clock is set back: the pause is in the future, but keeps its length.
        query(out, "UPDATE pauses SET since = since + 1e6, until = since + 1e6 + 2")
        begin = time.monotonic()
        collect(services, out=out, genres=genres, within=20)
        assert time.monotonic() - begin > 2
    assert_collected(out, SMALL, expected_fields(SMALL, genres=genres.split(",")))


def test_unreachable_service_ends_the_run(out, services):
    result = run(
        services, out=out, genres="rock", musicbrainz_url="http://127.0.0.1:9/ws/2", max_wait=1
    )
    assert result.code == 75
    assert "127.0.0.1:9" in result.stderr
    assert "Traceback" not in result.stderr


# Spotify ------------------------------------------------------------------------------------------


def spotify_log(services, since=0):
    return [record for record in services.log[since:] if record.service == "spotify"]


@pytest.mark.parametrize("status", [403, 404])
def test_restrictions_of_a_new_app_are_detected_once(out, status):
    with serve(CATALOGUE, related_status=status) as services:
        collect(services, "spotify", out=out, genres="rock")
        log = spotify_log(services)
        # Concurrent listers may each detect them.
        assert 1 <= sum("limit=50" in record.path_qs for record in log) <= LISTERS
        assert 1 <= sum("related" in record.path_qs for record in log) <= LISTERS + 1
        mark = len(services.log)
        collect(services, "spotify", out=out, genres=GENRES["spotify"])
        assert {record.status for record in spotify_log(services, mark)} == {200}
    assert_collected(out, CATALOGUE, EXPECTED["spotify"], size=640)


def test_old_app_finds_related_artists_of_the_genre(out):
    """The search finds few; artists related to those that it finds lead to the others."""
    artists = CATALOGUE.artists_of_genre("rock").tolist()
    assert len(artists) > 5
    with serve(CATALOGUE, new_app=False, search_finds=5) as services:
        collect(services, "spotify", out=out, genres="rock")
        log = spotify_log(services)
    assert {record.status for record in log} == {200}
    assert sum("related" in record.path_qs for record in log) == 5
    reached = {*artists[:5]}
    for artist in artists[:5]:
        alike = CATALOGUE.artists_of_genre(CATALOGUE.artist(artist).genres[0]).tolist()
        place = alike.index(artist)
        related = (alike[place:] + alike[:place])[1:21]
        reached |= {other for other in related if "rock" in CATALOGUE.artist(other).genres}
    assert len(reached) > 5
    albums = {int(n) for artist in reached for n in CATALOGUE.albums_of_artist(artist)}
    expected = expected_fields(CATALOGUE, "spotify", albums=albums, artists=reached)
    assert_collected(out, CATALOGUE, expected, size=640)


def test_expired_token_is_replaced(out):
    with serve(CATALOGUE, token_requests=20) as services:
        process = start(services, "spotify", out=out, genres=GENRES["spotify"])
        wait_until(lambda: services.counts()["spotify"] > 10, process)
        services.spotify.expire_tokens()
        assert finish(process).code == 0
        assert services.counts()["spotify_token"] >= 3
        assert 401 in {record.status for record in spotify_log(services)}
    assert_collected(out, CATALOGUE, EXPECTED["spotify"], size=640)


def test_exhausted_quota_ends_the_run(out):
    genres = GENRES["spotify"]
    with serve(CATALOGUE, quota=30) as services:
        first = run(services, "spotify", out=out, genres=genres, within=20)
        stored, mark = on_disk(out), len(services.log)
        second = run(services, "spotify", out=out, genres=genres, within=10)
        assert spotify_log(services, mark) == []
        for result in (first, second):
            assert 86400 - 90 < seconds_to_wait(result) < 86400 + 90

        services.spotify.requests = -1000  # a day later
        query(out, "UPDATE pauses SET since = since - 86400, until = until - 86400")
        collect(services, "spotify", out=out)
        assert not {*requests_for(services, mark)} & {*stored}
    assert_collected(out, CATALOGUE, EXPECTED["spotify"], size=640)


def test_app_without_premium_gets_a_clear_error(out):
    with serve(SMALL, premium=False) as services:
        assert_one_error(run(services, "spotify", out=out, genres="rock"), "Premium")


def test_albums_without_a_cover_can_be_retried(out, services):
    collect(services, "spotify", out=out, genres=GENRES["spotify"])
    again = collect(services, "spotify", out=out, retry_failed="no_cover")
    assert again.summary["failed"]["no_cover"] > 0
    assert_collected(out, CATALOGUE, EXPECTED["spotify"], size=640)


def test_secrets_are_never_written_or_printed(out, tmp_path):
    with serve(
        SMALL,
        faults=["http_500", "html", "short_body"],
        fault_rate=0.5,
        fault_services=["spotify_token", "spotify"],
        token_requests=60,
    ) as services:
        secret, tokens = services.spotify.client_secret, services.spotify.tokens
        (tmp_path / ".env").write_text(
            f"SPOTIPY_CLIENT_ID={services.spotify.client_id}\nSPOTIPY_CLIENT_SECRET={secret}\n"
        )
        urls = {
            "spotify_api_url": services.spotify_api_url,
            "spotify_token_url": services.spotify_token_url,
            "requests_per_second": 0,
        }
        flags = urls | {"out": out, "verbosity": 2, "cwd": tmp_path, "genres": "rock,8-bit"}
        right = collect(None, "spotify", **flags)
        wrong_secret = {
            "SPOTIPY_CLIENT_ID": services.spotify.client_id,
            "SPOTIPY_CLIENT_SECRET": "s3cr3tt",
        }
        wrong = run(None, "spotify", env=wrong_secret, **(flags | {"genres": "jazz,re:techno"}))
        services.faults = ()
        quiet = flags | {"verbosity": None, "genres": "jazz,re:techno"}
        told = run(None, "spotify", env=wrong_secret, **quiet)
        assert_one_error(told, "SPOTIPY_CLIENT_SECRET", "dashboard")
    assert len(tokens) > 1
    assert wrong.code in (1, 75)
    pair = base64.b64encode(f"{services.spotify.client_id}:{secret}".encode()).decode()
    files = [path.read_bytes() for path in out.rglob("*") if path.is_file()]
    texts = [said.encode() for r in (right, wrong, told) for said in (r.stdout, r.stderr)]
    for hidden in (secret, pair, "s3cr3tt", *tokens):
        assert not any(hidden.encode() in data for data in (*files, *texts))


# Bad input ----------------------------------------------------------------------------------------

CONTACT = {"contact": "test@example.org"}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"genres": "rock"}, "--contact"),
        ({"out": "new", **CONTACT}, "--genres"),
        ({"genres": "missing.txt", **CONTACT}, "missing.txt"),
        ({"genres": "latin1.txt", **CONTACT}, "UTF-8"),
        ({"genres": "empty.txt", **CONTACT}, "empty.txt"),
        ({"genres": "rock", "since": 1990, "until": 1980, **CONTACT}, "--until=1980"),
        ({"genres": "rock", "limit": -1, **CONTACT}, "limit"),
        ({"genres": "rock", "countries": "Jamaica", **CONTACT}, "Jamaica"),
        ({"artists": "all", **CONTACT}, "--artists=all"),
        ({"choose": True, "out": "new"}, "--genres"),
        ({"source": "spotify", "artists": "x"}, "--artists"),
        ({"source": "spotify", "genres": "all"}, "--genres=all"),
        ({"source": "napster"}, "napster"),
        ({"genres": "rock", "musicbrainz_url": "http://example.org/ws/2"}, "https://"),
        ({"genres": "rock", "coverart_url": "coverart"}, "--coverart_url"),
        ({"genres": "rock", "requests_per_second": 1.1, **CONTACT}, "--requests_per_second"),
        ({"source": "spotify", "genres": "rock"}, "SPOTIPY_CLIENT_SECRET"),
        ({"genres": "rock", "out": "empty.txt", **CONTACT}, "--out"),
        ({"genres": "rock", "out": "text", **CONTACT}, "covers.db"),
        ({"genres": "rock", "out": "other", **CONTACT}, "covers.db"),
        ({"status": True, "out": "other"}, "covers.db"),
        ({"status": True, "out": "new"}, "--genres"),
    ],
)
def test_bad_input_is_reported_in_one_line(tmp_path, flags, message):
    (tmp_path / "latin1.txt").write_bytes("näutik".encode("latin-1"))
    (tmp_path / "empty.txt").write_text("# none\n")
    for name in ("text", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "text" / "covers.db").write_text("This is no database. " * 100)
    with sqlite3.connect(tmp_path / "other" / "covers.db") as db:
        db.execute("CREATE TABLE recipes (name TEXT)")
    db.close()
    before = {name: (tmp_path / name / "covers.db").read_bytes() for name in ("text", "other")}
    given = dict(flags)
    result = run(None, given.pop("source", "musicbrainz"), cwd=tmp_path, **given)
    assert_one_error(result, message)
    for name, data in before.items():
        assert (tmp_path / name / "covers.db").read_bytes() == data


def test_catalogue_of_an_earlier_version_is_moved_aside_if_genres_are_given(out, services):
    collect(services, out=out, genres="dub")
    query(out, "PRAGMA user_version = 1")
    before = (out / "covers.db").read_bytes()
    assert_one_error(run(services, out=out), "earlier version", "--genres")
    assert (out / "covers.db").read_bytes() == before
    mark = len(services.log)
    result = collect(services, out=out, genres="dub")
    assert "moved aside" in result.stderr
    assert not requests_for(services, mark).keys() & {*on_disk(out)}
    expected = expected_fields(CATALOGUE, genres=["dub"])
    assert_collected(out, CATALOGUE, expected, sources_known=False)


def test_collection_has_only_one_source(out, services):
    collect(services, out=out, genres="rock")
    assert_one_error(run(services, "spotify", out=out, genres="rock"), "musicbrainz", "--out")
    assert_one_error(run(services, out=out, retry_failed="bad_luck"), "bad_luck", "no_cover")
