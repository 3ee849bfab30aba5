"""Runs the collector as people do, and compares what it collected with what there was."""

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

from data_pipeline.catalog import CATALOG_FILE
from data_pipeline.folder import clean_text, normalize_genre
from tests.cover_services import Catalogue, Services

ROOT = Path(__file__).parents[1]
# Nobody's own settings decide what is tested.
_UNSET = ("DUCK_AND_COVER_CONTACT", "SPOTIPY_CLIENT_ID", "SPOTIPY_CLIENT_SECRET")
_WAIT_S = 120.0


@dataclasses.dataclass
class Result:
    """What a process said, and how it ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def summary(self) -> dict[str, Any]:
        """The JSON object on stdout."""
        (line,) = self.stdout.splitlines()
        return json.loads(line)


def command(
    services: Services | None = None, source: str = "musicbrainz", **flags: Any
) -> list[str]:
    """The command, for these services, without a limit of requests unless one is given."""
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
        variables["SPOTIPY_CLIENT_ID"] = services.client_id
        variables["SPOTIPY_CLIENT_SECRET"] = services.client_secret
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
    """Waits for the command to end within some seconds."""
    try:
        stdout, stderr = process.communicate(timeout=within)
    except subprocess.TimeoutExpired:
        process.kill()
        stdout, stderr = process.communicate()
        raise AssertionError(f"did not end in {within:g} s: {stdout}{stderr}") from None
    return Result(process.returncode, stdout, stderr)


def run(*args: Any, within: float = _WAIT_S, **kwargs: Any) -> Result:
    """Runs the command to its end, whatever that is."""
    return finish(start(*args, **kwargs), within)


def collect(*args: Any, **kwargs: Any) -> Result:
    """Runs the command, which is to succeed."""
    result = run(*args, **kwargs)
    assert result.code == 0, result
    return result


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str] | None = None) -> None:
    """Waits for something to come true while a process runs."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        assert process is None or process.poll() is None, finish(process)
        time.sleep(0.001)


def assert_one_error(result: Result, *told: str) -> None:
    """Exit code 1, and one line that tells what was wrong."""
    lines = [line for line in result.stderr.splitlines() if not line.startswith("note: ")]
    assert (result.code, len(lines)) == (1, 1), result
    assert lines[0].startswith("error: "), result
    for part in told:
        assert part in lines[0]


def key_of(album: Any, source: str) -> str:
    """The id under which a source knows an album."""
    return album.mbid if source == "musicbrainz" else album.spotify_id


def requests_for(services: Services, since: int = 0) -> collections.Counter[str]:
    """How often covers were asked for, from a place in the log on, by album id.

    The Cover Art Archive, and where it sends one to, are asked for each.
    """
    asked: collections.Counter[str] = collections.Counter()
    for record in services.log[since:]:
        parts = record.path_qs.split("/")
        if record.service == "coverart":
            asked[parts[2]] += 1
        elif record.service == "archive" and "items" in parts:
            asked[parts[3]] += 1
        elif record.service == "spotify_images" and "image" in parts:
            asked[services.catalogue.album(int(parts[2][16:], 16)).spotify_id] += 1
    return asked


def on_disk(folder: Path) -> dict[str, Path]:
    """The pictures of a collection by album id."""
    files = [path for path in (folder / "images").rglob("*") if not path.is_dir()]
    found = {path.stem: path for path in files}
    assert len(found) == len(files), "an album has two pictures"
    return found


def read_lines(file: Path) -> list[dict[str, Any]]:
    """The objects of a file of JSON lines."""
    with file.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def lines_of(folder: Path) -> dict[str, dict[str, Any]]:
    """The lines of metadata.jsonl by album id."""
    lines = read_lines(folder / "metadata.jsonl")
    found = {line["album_id"]: line for line in lines}
    assert len(found) == len(lines), "an album has two lines"
    return found


def query(folder: Path, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    """Asks the catalogue of a collection, or changes it."""
    with closing(sqlite3.connect(folder / CATALOG_FILE)) as db, db:
        return db.execute(sql, values).fetchall()


def expected_fields(
    catalogue: Catalogue,
    source: str = "musicbrainz",
    albums: Iterable[int] | None = None,
    genres: Iterable[str] | None = None,
    artists: Iterable[int] | None = None,
) -> dict[str, dict[str, Any]]:
    """What is to be collected, by album id.

    Args:
        catalogue: what there is.
        source: of the collection.
        albums: their numbers; None for those of the genres (musicbrainz) or artists (spotify).
        genres: that were asked for; None for all.
        artists: numbers of those whose genres are known (spotify); None for those of the genres.
    """
    wanted = {normalize_genre(genre) for genre in (genres or catalogue.genres)}
    if artists is None:
        artists = {int(n) for genre in wanted for n in catalogue.artists_of_genre(genre)}
    known = set(artists)
    expected = {}
    for number in range(len(catalogue)) if albums is None else albums:
        album = catalogue.album(number)
        if source == "musicbrainz":
            told = set(album.genres) & wanted
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
        }
        expected[key_of(album, source)] = {k: v for k, v in fields.items() if v is not None}
    return expected


def assert_whole(folder: Path, catalogue: Catalogue, size: int = 500) -> None:
    """What a collection lists is on disk as it was sent, whatever else there is still to come."""
    for key, line in lines_of(folder).items():
        path = folder / line["file_name"]
        assert path.resolve().is_relative_to(folder.resolve())
        assert path.stem == key
        number = catalogue.find_album(key)
        assert number is not None, f"there is no album {key}"
        assert path.read_bytes() == catalogue.cover_jpeg(number, size)
    assert query(folder, "PRAGMA integrity_check") == [("ok",)]
    done = {
        key
        for (key,) in query(
            folder,
            "SELECT key FROM albums NATURAL JOIN "
            "(SELECT album AS id FROM covers WHERE state = 'done')",
        )
    }
    assert done == {*lines_of(folder)}
    assert list((folder / "partial").iterdir()) == []


def assert_collected(
    folder: Path, catalogue: Catalogue, expected: Mapping[str, dict[str, Any]], size: int = 500
) -> None:
    """A collection is what was to be collected: each line, each byte, and nothing else."""
    assert_whole(folder, catalogue, size)
    lines = lines_of(folder)
    told = {
        key: {name: value for name, value in line.items() if name not in ("file_name", "same_as")}
        for key, line in lines.items()
    }
    assert told == expected
    assert {*on_disk(folder)} == {*lines}, "a picture is not listed"
    alike = collections.defaultdict(list)
    for key in lines:
        alike[catalogue.cover_number(catalogue.find_album(key) or 0)].append(key)
    for keys in alike.values():
        first = [key for key in keys if "same_as" not in lines[key]]
        assert len(first) == 1
        assert {lines[key].get("same_as", first[0]) for key in keys} == {*first}
