"""Runs the collector as a command and compares the collection with the catalogue."""

import collections
import dataclasses
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from data_pipeline.catalog_file import CATALOG_FILE
from data_pipeline.folder import clean_text, normalize_genre
from tests.cover_services import Catalogue, Services
from tests.cover_services.ids import number_of

ROOT = Path(__file__).parents[1]
# The settings of whoever runs the tests must not change the results.
_UNSET = ("DUCK_AND_COVER_CONTACT", "SPOTIPY_CLIENT_ID", "SPOTIPY_CLIENT_SECRET")
_WAIT_S = 120.0
# Fields of a line that do not follow from the album.
_OTHER_FIELDS = {
    *("file_name", "same_as", "similar_to"),
    *("source", "page_url", "picture_url", "release_id", "fetched", "sha256"),
}


@dataclasses.dataclass
class Result:
    """The exit code and the output of a process."""

    code: int
    stdout: str
    stderr: str

    @property
    def summary(self) -> dict[str, Any]:
        """The JSON object on stdout, its only line."""
        (line,) = self.stdout.splitlines()
        return json.loads(line)


def command(
    services: Services | None = None, source: str = "musicbrainz", **flags: Any
) -> list[str]:
    """Returns the command that collects from the services.

    There is no limit of requests, unless a flag sets one.
    """
    values: dict[str, Any] = {"source": source}
    if services is not None:
        values["requests_per_second"] = 0
        if source == "musicbrainz":
            values |= {
                "contact": "test@example.org",
                "musicbrainz_url": services.musicbrainz_url,
                "coverart_url": services.coverart_url,
            }
        else:
            values |= {
                "spotify_api_url": services.spotify_api_url,
                "spotify_token_url": services.spotify_token_url,
            }
    values |= flags
    arguments = (
        f"--{name}" if value is True else f"--{name}={value}"
        for name, value in values.items()
        if value is not None
    )
    return [sys.executable, "-m", "data_pipeline.scrape", *arguments]


def start(
    services: Services | None = None,
    source: str = "musicbrainz",
    *,
    cwd: str | os.PathLike[str] = os.sep,
    env: Mapping[str, str] | None = None,
    **flags: Any,
) -> subprocess.Popen[str]:
    """Starts the command in a process group of its own."""
    variables = {name: value for name, value in os.environ.items() if name not in _UNSET}
    variables["PYTHONPATH"] = str(ROOT)
    if services is not None and source == "spotify":
        variables["SPOTIPY_CLIENT_ID"] = services.spotify.client_id
        variables["SPOTIPY_CLIENT_SECRET"] = services.spotify.client_secret
    return subprocess.Popen(
        command(services, source, **flags),
        cwd=cwd,
        env=variables | dict(env or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str], within: float = _WAIT_S) -> Result:
    """Waits for the command to end. Kills it and fails after `within` seconds."""
    try:
        stdout, stderr = process.communicate(timeout=within)
    except subprocess.TimeoutExpired:
        process.kill()
        stdout, stderr = process.communicate()
        raise AssertionError(f"did not end in {within:g} s: {stdout}{stderr}") from None
    return Result(process.returncode, stdout, stderr)


def run(*args: Any, within: float = _WAIT_S, **kwargs: Any) -> Result:
    """Runs the command and waits for it to end, with any exit code."""
    return finish(start(*args, **kwargs), within)


def collect(*args: Any, **kwargs: Any) -> Result:
    """Runs the command, which must succeed."""
    result = run(*args, **kwargs)
    assert result.code == 0, result
    return result


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str] | None = None) -> None:
    """Waits for a condition. Fails after a minute, or when the process ends before that."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "timed out"
        assert process is None or process.poll() is None, finish(process)
        time.sleep(0.001)


def assert_one_error(result: Result, *told: str) -> None:
    """Asserts exit code 1 and one line of error that contains all of `told`."""
    lines = [line for line in result.stderr.splitlines() if not line.startswith("note: ")]
    assert (result.code, len(lines)) == (1, 1), result
    assert lines[0].startswith("error: "), result
    for part in told:
        assert part in lines[0]


def key_of(album: Any, source: str) -> str:
    """Returns the id that a source uses for an album."""
    return album.mbid if source == "musicbrainz" else album.spotify_id


def requests_for(services: Services, since: int = 0) -> collections.Counter[str]:
    """Counts the requests for covers by album id, from position `since` of the log on.

    A cover of the Cover Art Archive takes two requests: the redirect, then the picture.
    """
    asked: collections.Counter[str] = collections.Counter()
    for record in services.log[since:]:
        parts = record.path_qs.split("/")
        if record.service == "coverart":
            asked[parts[2]] += 1
        elif record.service == "archive" and "download" in parts:
            number = number_of("release", parts[2].removeprefix("mbid-"))
            asked[services.catalogue.album(number).mbid] += 1
        elif record.service == "spotify_images" and "image" in parts:
            asked[services.catalogue.album(int(parts[2][16:], 16)).spotify_id] += 1
    return asked


def on_disk(folder: Path) -> dict[str, Path]:
    """Returns the picture files of a collection by album id."""
    files = [path for path in (folder / "images").rglob("*") if not path.is_dir()]
    found = {path.stem: path for path in files}
    assert len(found) == len(files), "an album has two pictures"
    return found


def read_lines(file: Path) -> list[dict[str, Any]]:
    """Returns the objects of a JSON Lines file."""
    with file.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def lines_of(folder: Path) -> dict[str, dict[str, Any]]:
    """Returns the lines of metadata.jsonl by album id."""
    lines = read_lines(folder / "metadata.jsonl")
    found = {line["album_id"]: line for line in lines}
    assert len(found) == len(lines), "an album has two lines"
    return found


def query(folder: Path, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    """Runs SQL on the database of a collection and returns the rows."""
    with closing(sqlite3.connect(folder / CATALOG_FILE)) as db, db:
        return db.execute(sql, values).fetchall()


def expected_fields(
    catalogue: Catalogue,
    source: str = "musicbrainz",
    albums: Iterable[int] | None = None,
    genres: Iterable[str] | None = None,
    artists: Iterable[int] | None = None,
) -> dict[str, dict[str, Any]]:
    """Returns what a crawl should collect: the fields of each album, by album id.

    Args:
        catalogue: what the services know.
        source: the source of the collection.
        albums: the numbers of the albums to consider; None for all.
        genres: the genres that the crawl asks for; None for all.
        artists: the numbers of the artists whose genres are known, for Spotify; None for all
            artists of the genres.
    """
    wanted = {normalize_genre(genre) for genre in (genres or catalogue.genres)}
    if artists is None:
        artists = {int(n) for genre in wanted for n in catalogue.artists_of_genre(genre)}
    known = set(artists)
    by_musicbrainz = source == "musicbrainz"
    expected = {}
    for number in range(len(catalogue)) if albums is None else albums:
        album = catalogue.album(number)
        if source == "musicbrainz":
            told = set(album.genres) if set(album.genres) & wanted else set()
            credit = album.artist
        else:
            of_artists = [set(a.genres) for a in album.artists if a.number in known]
            told = set().union(*of_artists) & wanted
            credit = ", ".join(artist.name for artist in album.artists)
        if not told or not album.has_cover:
            continue
        fields = {
            "album_id": key_of(album, source),
            "genres": sorted(told),
            "artist": clean_text(credit),
            "title": clean_text(album.title),
            "release_year": album.release_year,
            "types": sorted(map(str.lower, album.types)) or None if by_musicbrainz else None,
        }
        expected[key_of(album, source)] = {k: v for k, v in fields.items() if v is not None}
    return expected


def assert_whole(folder: Path, catalogue: Catalogue, size: int = 500) -> None:
    """Asserts that each listed cover is on disk as sent. The collection may be unfinished."""
    for key, line in lines_of(folder).items():
        path = folder / line["file_name"]
        assert path.resolve().is_relative_to(folder.resolve())
        assert path.stem == key
        number = catalogue.find_album(key)
        assert number is not None, f"there is no album {key}"
        assert path.read_bytes() == catalogue.cover_jpeg(number, size)
    assert query(folder, "PRAGMA integrity_check") == [("ok",)]
    done = {
        key for (key,) in query(folder, "SELECT key FROM albums WHERE chosen AND state = 'done'")
    }
    assert done == {*lines_of(folder)}
    assert list((folder / "partial").iterdir()) == []


def assert_collected(
    folder: Path,
    catalogue: Catalogue,
    expected: Mapping[str, dict[str, Any]],
    size: int = 500,
    *,
    sources_known: bool = True,
) -> None:
    """Asserts that a collection has exactly the expected lines and pictures.

    Where a picture is from is lost if the process is killed after writing its file.
    """
    assert_whole(folder, catalogue, size)
    lines = lines_of(folder)
    told = {
        key: {name: value for name, value in line.items() if name not in _OTHER_FIELDS}
        for key, line in lines.items()
    }
    assert told == expected
    assert {*on_disk(folder)} == {*lines}, "a picture is not listed"
    if sources_known:
        for line in lines.values():
            of_release = {"release_id"} if line["source"] == "musicbrainz" else set()
            assert {"picture_url", "fetched"} | of_release <= {*line}, "its source is not told"
    alike = collections.defaultdict(list)
    for key in lines:
        alike[catalogue.cover_number(catalogue.find_album(key) or 0)].append(key)
    for keys in alike.values():
        first = [key for key in keys if "same_as" not in lines[key]]
        assert len(first) == 1
        assert {lines[key].get("same_as", first[0]) for key in keys} == {*first}
