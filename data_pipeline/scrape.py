"""Collects album covers with metadata; can be stopped and continued at any time."""

import asyncio
import importlib.metadata
import json
import os
import re
import signal
import sqlite3
import sys
import time
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import dotenv
from absl import flags
from yarl import URL

from dac.covers.conditions import MAX_YEAR, MIN_YEAR
from dac.errors import UserError
from data_pipeline import cli, musicbrainz, spotify, store
from data_pipeline.catalog import CATALOG_FILE, Catalog, read_setting
from data_pipeline.crawl import LISTERS, Crawl, Source
from data_pipeline.export import write_urls
from data_pipeline.folder import normalize_genre
from data_pipeline.http import Client, FetchError, UnavailableError, host_of, is_loopback
from data_pipeline.musicbrainz import MusicBrainz
from data_pipeline.progress import Progress, count, describe, print_status, summary

TRY_LATER = 75  # EX_TEMPFAIL in sysexits.h, a temporary failure
GENRES_FILE = Path(__file__).with_name("genres.txt")
CONTACT_VARIABLE = "DUCK_AND_COVER_CONTACT"
CREDENTIALS = ("SPOTIPY_CLIENT_ID", "SPOTIPY_CLIENT_SECRET")
_MAX_GENRE_LENGTH = 100  # characters

_DEFAULT_RATE = 1.0
_DEFAULT_SIZE = 500
_CONTACT = re.compile(r"[!-~]+@[!-~]+\.[!-~]+|https?://[!-~]+")

# Requests per second allowed by known hosts.
_PUBLIC_RATES = {
    "musicbrainz.org": musicbrainz.REQUESTS_PER_SECOND,
    "api.spotify.com": spotify.REQUESTS_PER_SECOND,
}

FLAGS = flags.FLAGS
_ANY_REASON = "true"  # the value that absl gives to a flag without one


def define_flags() -> None:
    """Defines the flags of the command."""
    flags.DEFINE_enum(
        "source", "musicbrainz", ["musicbrainz", "spotify"], "where to get albums and covers"
    )
    flags.DEFINE_string(
        "out", "data/covers", "folder of the collection; an existing one is continued"
    )
    flags.DEFINE_string(
        "genres",
        None,
        "comma-separated names, a file with one name per line, or 'all'; adds to earlier genres",
    )
    flags.DEFINE_integer("limit", None, "total number of covers to collect", 1)
    flags.DEFINE_integer(
        "size",
        None,
        "side of the covers in pixels; the nearest available size is used; as before, or 500",
        1,
    )
    flags.DEFINE_integer("since", None, "first release year", MIN_YEAR, MAX_YEAR)
    flags.DEFINE_integer("until", None, "last release year", MIN_YEAR, MAX_YEAR)
    flags.DEFINE_boolean("status", False, "print the state of the collection and exit")
    flags.DEFINE_string(
        "export_urls",
        None,
        "write the URLs of known covers to this .jsonl or .parquet file for img2dataset, and exit",
    )
    flags.DEFINE_string(
        "contact",
        os.environ.get(CONTACT_VARIABLE),
        f"your e-mail address or URL, sent in the User-Agent; default: ${CONTACT_VARIABLE}",
    )
    flags.DEFINE_float(
        "requests_per_second", None, "rate for the metadata service; 0: no limit; default: 1", 0.0
    )
    flags.DEFINE_integer("concurrency", 8, "number of concurrent cover downloads", 1, 512)
    flags.DEFINE_float("timeout", 60.0, "seconds that a request may take, including its body", 0.1)
    flags.DEFINE_float(
        "max_wait", 900.0, "longest pause to wait for, in seconds; a longer one ends the run", 0.0
    )
    flags.DEFINE_string(
        "musicbrainz_url", musicbrainz.PUBLIC_API, "URL of the MusicBrainz web service or a mirror"
    )
    flags.DEFINE_string(
        "coverart_url", musicbrainz.PUBLIC_COVERS, "URL of the Cover Art Archive or a mirror"
    )
    flags.DEFINE_string("spotify_api_url", spotify.PUBLIC_API, "URL of Spotify's web API")
    flags.DEFINE_string(
        "spotify_token_url", spotify.PUBLIC_TOKEN, "URL where Spotify issues tokens"
    )
    flags.DEFINE_flag(
        flags.Flag(
            parser=flags.ArgumentParser(),
            serializer=flags.ArgumentSerializer(),
            name="retry_failed",
            default=None,
            help_string="retry only what failed; with a value, only what failed for that reason",
            boolean=True,  # the value may be omitted
        )
    )


def main() -> int:
    """Collects covers, reports on a collection or exports URLs; returns the exit code."""
    out = Path(FLAGS.out)
    if FLAGS.status:
        print_status(out)
        return 0
    urls = _service_urls()
    rate = _rate(urls[0])
    if FLAGS.since is not None and FLAGS.until is not None and FLAGS.since > FLAGS.until:
        raise UserError(f"--since={FLAGS.since} must not be after --until={FLAGS.until}")
    genres = _read_genres(FLAGS.genres)
    if FLAGS.source == "spotify":
        print(f"note: {spotify.TERMS}", file=sys.stderr)
    if FLAGS.export_urls is not None:
        size = FLAGS.size or read_setting(out, "size") or _DEFAULT_SIZE
        source = _source(Client("", {}), urls, ("unused", "unused"), size, None, None, {})
        rows = write_urls(Path(FLAGS.export_urls), out, FLAGS.source, source.cover_url)
        print(f"{FLAGS.export_urls}: {rows:,} covers")
        return 0
    user_agent = _user_agent()
    credentials = _credentials() if FLAGS.source == "spotify" else None
    try:
        with closing(Catalog(out, FLAGS.source)) as catalog:
            store.prepare(out)
            return asyncio.run(_collect(catalog, urls, rate, genres, user_agent, credentials))
    except sqlite3.Error as error:
        raise UserError(
            f"the catalogue {out / CATALOG_FILE} cannot be used ({error}); stored covers are safe: "
            "fix this and run the command again"
        ) from error


async def _collect(
    catalog: Catalog,
    urls: tuple[str, str],
    rate: float,
    genres: list[str] | None,
    user_agent: str,
    credentials: tuple[str, str] | None,
) -> int:
    """Runs the crawl with a progress display, prints the summary and returns the exit code."""
    start = time.monotonic()
    progress = Progress()
    since, until = _years(catalog, progress)
    size = _size(catalog, progress)
    lost = catalog.check_files()
    if lost:
        progress.say(f"fetching {lost} covers again: their files are missing or have changed size")
    if catalog.setting("crawling"):  # the last process was stopped or killed
        store.adopt(catalog)
    catalog.remember({"crawling": True})
    if FLAGS.retry_failed is not None:
        catalog.retry_failed(None if FLAGS.retry_failed == _ANY_REASON else FLAGS.retry_failed)
    catalog.retry_due()
    stored_before = count(catalog.tallies(), "covers", "done")
    crawl = Crawl(
        catalog,
        limit=FLAGS.limit,
        since=since,
        until=until,
        concurrency=FLAGS.concurrency,
        only_retries=FLAGS.retry_failed is not None,
        progress=progress,
    )
    client = Client(
        user_agent,
        # A mirror may redirect to the public service, whose limit then applies.
        rates=_PUBLIC_RATES | {host_of(urls[0]): rate},
        trusted=frozenset(URL(url).host or "" for url in urls),
        connections=max(FLAGS.concurrency, LISTERS),
        timeout=FLAGS.timeout,
        max_wait=FLAGS.max_wait,
        pauses=catalog.pauses(),
        on_pause=crawl.paused,
    )
    unavailable = None
    async with client:
        learned = catalog.setting("learned", {})
        source = _source(client, urls, credentials, size, since, until, learned)
        try:
            asked = await _ask(catalog, source, genres)
            await crawl.run(client, source, asked)
        except UnavailableError as error:
            unavailable = error
    tallies = catalog.tallies()
    seconds = time.monotonic() - start
    stored = count(tallies, "covers", "done") - stored_before
    progress.say(describe(tallies, 0, stored / seconds))
    print(
        json.dumps(
            summary(tallies)
            | {
                "source": source.name,
                "stored_now": stored,
                "seconds": round(seconds, 1),
                "requests": _requests(client, urls),
            }
        )
    )
    if unavailable is not None:
        when = "later"
        if unavailable.seconds:
            then = datetime.now() + timedelta(seconds=unavailable.seconds)
            when = f"after {then:%Y-%m-%d %H:%M}"
        cli.warn(f"{unavailable}; progress is saved: run the same command again {when}")
        return TRY_LATER
    return cli.INTERRUPTED if crawl.stopped == signal.SIGINT else 0


def _source(
    client: Client,
    urls: tuple[str, str],
    credentials: tuple[str, str] | None,
    size: int,
    since: int | None,
    until: int | None,
    learned: dict[str, Any],
) -> Source:
    if FLAGS.source == "musicbrainz":
        return MusicBrainz(client, *urls, size, since, until)
    return spotify.Spotify(client, *urls, *credentials, size, learned)


def _requests(client: Client, urls: tuple[str, str]) -> dict[str, int]:
    """Returns the number of requests to each of the source's services and to all other hosts."""
    services = {host_of(url): client.requests.get(host_of(url), 0) for url in urls}
    return services | {"others": sum(client.requests.values()) - sum(services.values())}


async def _ask(catalog: Catalog, source: Source, genres: list[str] | None) -> frozenset[str]:
    """Adds the requested genres to the collection; returns all of its requested genres.

    Args:
      catalog: the collection's catalogue.
      source: the source, which lists all genres.
      genres: the names to add; empty for all genres, None for no new ones.

    Raises:
      UserError: no genre was ever requested, or the source's list is unavailable.
    """
    if genres == [] and not catalog.setting("all_genres"):
        try:
            names = await source.all_genres() or _starter_genres()
        except FetchError as error:
            raise UserError(
                f"cannot get the list of all genres ({error.reason}); name some with --genres, or "
                "check the service's URL"
            ) from error
        catalog.ask(names)
        catalog.remember({"all_genres": True})
    else:
        catalog.ask(genres or [])
    asked = catalog.genres()
    if not asked:
        raise UserError(
            "no genres given; use --genres='thrash metal,dub', --genres=FILE with one name per "
            "line, or --genres=all"
        )
    return asked


def _years(catalog: Catalog, progress: Progress) -> tuple[int | None, int | None]:
    """Returns the first and last release year; restarts the listings if they changed."""
    before = catalog.setting("years", [None, None])
    now = [FLAGS.since, FLAGS.until]
    if now == [None, None] or now == before:
        return before[0], before[1]
    if catalog.genres():
        progress.say("the release years have changed: listing all albums again")
    catalog.change_years(*now)
    return FLAGS.since, FLAGS.until


def _size(catalog: Catalog, progress: Progress) -> int:
    """Returns the size of the covers: from the flag, else as before."""
    before = catalog.setting("size")
    size = FLAGS.size or before or _DEFAULT_SIZE
    if before not in (None, size):
        progress.say(
            f"the cover size changed from {before} to {size} pixels; stored covers keep their size"
        )
    catalog.remember({"size": size})
    return size


def _read_genres(given: str | None) -> list[str] | None:
    """Returns the normalised genres in a flag's value, empty for all, None if it is not given.

    Raises:
      UserError: the file is missing, is not text or has no genre, or a name is too long.
    """
    if given is None:
        return None
    if given == "all":
        return []
    file = Path(given)
    if os.path.isfile(given):  # False, not an error, if the value is too long for a path
        lines = _read_lines(file)
    elif "," not in given and (file.suffix or os.sep in given):
        raise UserError(f"--genres={given}: there is no such file; separate names with commas")
    else:
        lines = given.split(",")
    names = [name for line in lines if (name := normalize_genre(line))]
    for name in names:
        if len(name) > _MAX_GENRE_LENGTH:
            raise UserError(
                f"--genres: {name[:30]!r}... is longer than {_MAX_GENRE_LENGTH} characters; "
                "separate names with commas, or put one per line in a file"
            )
    if not names:
        raise UserError(f"--genres={given} contains no genre; use --genres=all for all genres")
    return list(dict.fromkeys(names))


def _starter_genres() -> list[str]:
    return [name for line in _read_lines(GENRES_FILE) if (name := normalize_genre(line))]


def _read_lines(file: Path) -> list[str]:
    """Returns the lines of a UTF-8 file without comments."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{file} is not UTF-8 text (byte {error.start}); save it as UTF-8"
        ) from error
    return [line for line in text.splitlines() if not line.lstrip().startswith("#")]


def _service_urls() -> tuple[str, str]:
    """Returns the URLs of the source's metadata service and of its other service.

    Raises:
      UserError: a URL is invalid or not secure.
    """
    pair = (
        (FLAGS["musicbrainz_url"], FLAGS["coverart_url"])
        if FLAGS.source == "musicbrainz"
        else (FLAGS["spotify_api_url"], FLAGS["spotify_token_url"])
    )
    for flag in pair:
        try:
            url = URL(flag.value)
        except ValueError:
            url = URL()
        loopback = is_loopback(url.host or "")
        if url.host is None or not (url.scheme == "https" or (url.scheme == "http" and loopback)):
            raise UserError(
                f"--{flag.name}={flag.value} must start with https://; http:// is allowed only on "
                "localhost, so reach a mirror without https through a tunnel such as ssh -L"
            )
    return pair[0].value.rstrip("/"), pair[1].value.rstrip("/")


def _rate(api: str) -> float:
    """Returns the rate for the metadata service in requests per second, 0 for no limit.

    Raises:
      UserError: the rate exceeds the service's limit.
    """
    host = (URL(api).host or "").rstrip(".")
    allowed = next((r for h, r in _PUBLIC_RATES.items() if f".{host}".endswith(f".{h}")), None)
    if FLAGS.requests_per_second is None:
        return allowed or _DEFAULT_RATE
    if allowed is not None and not 0 < FLAGS.requests_per_second <= allowed:
        raise UserError(
            f"--requests_per_second={FLAGS.requests_per_second:g} must be above 0 and at most "
            f"{allowed:g} for {host}; for a higher rate, use your own mirror"
        )
    return FLAGS.requests_per_second


def _user_agent() -> str:
    """Returns the User-Agent header.

    Raises:
      UserError: the contact that MusicBrainz requires is missing or invalid.
    """
    name = f"DuckAndCover/{importlib.metadata.version('duck-and-cover')}"
    if FLAGS.contact is None and FLAGS.source == "spotify":
        return name
    if not _CONTACT.fullmatch(FLAGS.contact or ""):
        raise UserError(
            "MusicBrainz requires a contact in each request: give --contact=you@example.org (or a "
            f"URL), or set {CONTACT_VARIABLE}"
        )
    return f"{name} ( {FLAGS.contact} )"


def _credentials() -> tuple[str, str]:
    """Returns the app's id and secret from the environment or the file .env.

    Raises:
      UserError: one is missing or not ASCII.
    """
    values = dotenv.dotenv_values(".env") | os.environ
    client_id, secret = (values.get(name) for name in CREDENTIALS)
    if not client_id or not secret or not f"{client_id}{secret}".isascii():
        raise UserError(
            f"set {' and '.join(CREDENTIALS)} in the environment or in a file .env; your app's "
            "page at developer.spotify.com/dashboard shows both"
        )
    return client_id, secret


if __name__ == "__main__":
    cli.run(main, define_flags)
