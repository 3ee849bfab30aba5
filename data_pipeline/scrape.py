"""Collects album covers with their metadata; stop it and continue it at any point."""

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

COME_BACK = 75  # EX_TEMPFAIL of sysexits.h: nothing is wrong, but it is not the time
GENRES_FILE = Path(__file__).with_name("genres.txt")
CONTACT_VARIABLE = "DUCK_AND_COVER_CONTACT"
CREDENTIALS = ("SPOTIPY_CLIENT_ID", "SPOTIPY_CLIENT_SECRET")
_MAX_GENRE_LENGTH = 100  # characters

_DEFAULT_RATE = 1.0
_DEFAULT_SIZE = 500
_CONTACT = re.compile(r"[!-~]+@[!-~]+\.[!-~]+|https?://[!-~]+")

# Hosts whose rules are known: requests a second.
_PUBLIC_RATES = {
    "musicbrainz.org": musicbrainz.REQUESTS_PER_SECOND,
    "api.spotify.com": spotify.REQUESTS_PER_SECOND,
}

SOURCE = flags.DEFINE_enum(
    "source", "musicbrainz", ["musicbrainz", "spotify"], "where albums and covers come from"
)
OUT = flags.DEFINE_string("out", "data/covers", "folder of the collection; run again to continue")
GENRES = flags.DEFINE_string(
    "genres",
    None,
    "names separated by commas, a file with a name a line, or 'all'; added to those of before",
)
LIMIT = flags.DEFINE_integer("limit", None, "covers that the collection is to have", 1)
SIZE = flags.DEFINE_integer(
    "size",
    None,
    "side of the covers in pixels, the nearest is taken; by default that of before, or 500",
    1,
)
SINCE = flags.DEFINE_integer("since", None, "first year of release", MIN_YEAR, MAX_YEAR)
UNTIL = flags.DEFINE_integer("until", None, "last year of release", MIN_YEAR, MAX_YEAR)
STATUS = flags.DEFINE_boolean("status", False, "print what is there and what is to come, and exit")
EXPORT_URLS = flags.DEFINE_string(
    "export_urls",
    None,
    "write the known covers' URLs to this .jsonl or .parquet file, for img2dataset, and exit",
)
CONTACT = flags.DEFINE_string(
    "contact",
    os.environ.get(CONTACT_VARIABLE),
    f"e-mail address or URL that requests name; by default ${CONTACT_VARIABLE}",
)
RATE = flags.DEFINE_float(
    "requests_per_second", None, "of the metadata service; 0: no limit; by default 1", 0.0
)
CONCURRENCY = flags.DEFINE_integer("concurrency", 8, "covers fetched at a time", 1, 512)
TIMEOUT = flags.DEFINE_float("timeout", 60.0, "seconds for a request, its body included", 0.1)
MAX_WAIT = flags.DEFINE_float(
    "max_wait", 900.0, "seconds; a service that asks for a longer pause ends the run", 0.0
)
MUSICBRAINZ_URL = flags.DEFINE_string(
    "musicbrainz_url", musicbrainz.PUBLIC_API, "web service of MusicBrainz, or of a mirror"
)
COVERART_URL = flags.DEFINE_string(
    "coverart_url", musicbrainz.PUBLIC_COVERS, "Cover Art Archive, or a mirror"
)
SPOTIFY_API_URL = flags.DEFINE_string("spotify_api_url", spotify.PUBLIC_API, "Spotify's web API")
SPOTIFY_TOKEN_URL = flags.DEFINE_string(
    "spotify_token_url", spotify.PUBLIC_TOKEN, "where Spotify gives tokens"
)
_ANY_REASON = "true"  # what absl makes of a flag without a value
RETRY_FAILED = flags.DEFINE_flag(
    flags.Flag(
        parser=flags.ArgumentParser(),
        serializer=flags.ArgumentSerializer(),
        name="retry_failed",
        default=None,
        help_string="try only what failed again; with a value, what failed for that reason",
        boolean=True,  # may stand without a value
    )
)


def main() -> int:
    """Collects, or reports on a collection; returns the exit code."""
    out = Path(OUT.value)
    if STATUS.value:
        print_status(out)
        return 0
    urls = _service_urls()
    rate = _rate(urls[0])
    if SINCE.value is not None and UNTIL.value is not None and SINCE.value > UNTIL.value:
        raise UserError(f"--since={SINCE.value} is after --until={UNTIL.value}")
    genres = _read_genres(GENRES.value)
    if SOURCE.value == "spotify":
        print(f"note: {spotify.TERMS}", file=sys.stderr)
    if EXPORT_URLS.value is not None:
        size = SIZE.value or read_setting(out, "size") or _DEFAULT_SIZE
        source = _source(Client("", {}), urls, ("unused", "unused"), size, None, None, {})
        rows = write_urls(Path(EXPORT_URLS.value), out, SOURCE.value, source.cover_url)
        print(f"{EXPORT_URLS.value}: {rows:,} covers")
        return 0
    user_agent = _user_agent()
    credentials = _credentials() if SOURCE.value == "spotify" else None
    try:
        with closing(Catalog(out, SOURCE.value)) as catalog:
            store.prepare(out)
            return asyncio.run(_collect(catalog, urls, rate, genres, user_agent, credentials))
    except sqlite3.Error as error:
        raise UserError(
            f"the catalogue {out / CATALOG_FILE} can't be used ({error}); what was stored is not "
            "lost: put that right and run the command again"
        ) from error


async def _collect(
    catalog: Catalog,
    urls: tuple[str, str],
    rate: float,
    genres: list[str] | None,
    user_agent: str,
    credentials: tuple[str, str] | None,
) -> int:
    """Runs the crawl, shows how far it is, and prints the summary; returns the exit code."""
    start = time.monotonic()
    progress = Progress()
    since, until = _years(catalog, progress)
    size = _size(catalog, progress)
    lost = catalog.check_files()
    if lost:
        progress.say(f"{lost} covers are not on disk as they were stored; they are fetched again")
    if catalog.setting("crawling"):  # the last process was stopped or killed
        store.adopt(catalog)
    catalog.remember({"crawling": True})
    if RETRY_FAILED.value is not None:
        catalog.retry_failed(None if RETRY_FAILED.value == _ANY_REASON else RETRY_FAILED.value)
    catalog.retry_due()
    stored_before = count(catalog.tallies(), "covers", "done")
    crawl = Crawl(
        catalog,
        limit=LIMIT.value,
        since=since,
        until=until,
        concurrency=CONCURRENCY.value,
        again=RETRY_FAILED.value is not None,
        progress=progress,
    )
    client = Client(
        user_agent,
        # A mirror may send us on to the public service, whose rules hold then.
        rates=_PUBLIC_RATES | {host_of(urls[0]): rate},
        trusted=frozenset(URL(url).host or "" for url in urls),
        connections=max(CONCURRENCY.value, LISTERS),
        timeout=TIMEOUT.value,
        max_wait=MAX_WAIT.value,
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
        cli.warn(f"{unavailable}; all is saved: run the same command again {when}")
        return COME_BACK
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
    if SOURCE.value == "musicbrainz":
        return MusicBrainz(client, *urls, size, since, until)
    return spotify.Spotify(client, *urls, *credentials, size, learned)


def _requests(client: Client, urls: tuple[str, str]) -> dict[str, int]:
    """Returns how many requests went to the source's services, and to all other hosts."""
    services = {host_of(url): client.requests.get(host_of(url), 0) for url in urls}
    return services | {"others": sum(client.requests.values()) - sum(services.values())}


async def _ask(catalog: Catalog, source: Source, genres: list[str] | None) -> frozenset[str]:
    """Adds the genres asked for to the collection's; returns all of these.

    Args:
      catalog: of the collection.
      source: knows what "all" genres are.
      genres: names; empty for all, None for those of before.

    Raises:
      UserError: there are none.
    """
    if genres == [] and not catalog.setting("all_genres"):
        try:
            names = await source.all_genres() or _starter_genres()
        except FetchError as error:
            raise UserError(
                f"the list of all genres can't be had ({error.reason}); name some by --genres, or "
                "check the service's URL"
            ) from error
        catalog.ask(names)
        catalog.remember({"all_genres": True})
    else:
        catalog.ask(genres or [])
    asked = catalog.genres()
    if not asked:
        raise UserError(
            "which genres? Give --genres='thrash metal,dub', --genres=FILE with a name a line, or "
            "--genres=all"
        )
    return asked


def _years(catalog: Catalog, progress: Progress) -> tuple[int | None, int | None]:
    """Returns the first and last year of the collection; lists anew if they are others now."""
    before = catalog.setting("years", [None, None])
    now = [SINCE.value, UNTIL.value]
    if now == [None, None] or now == before:
        return before[0], before[1]
    if catalog.genres():
        progress.say("other years than before: all albums are listed anew")
    catalog.change_years(*now)
    return SINCE.value, UNTIL.value


def _size(catalog: Catalog, progress: Progress) -> int:
    """Returns the size of the covers: as given, else as before."""
    before = catalog.setting("size")
    size = SIZE.value or before or _DEFAULT_SIZE
    if before not in (None, size):
        progress.say(
            f"covers were fetched at {before} pixels so far, and are at {size} from now on"
        )
    catalog.remember({"size": size})
    return size


def _read_genres(given: str | None) -> list[str] | None:
    """Returns the genres of a flag's value, normalised: an empty list for all, None for none given.

    Raises:
      UserError: there is no such file, it is no text, or a name is too long.
    """
    if given is None:
        return None
    if given == "all":
        return []
    file = Path(given)
    if os.path.isfile(given):  # that a list is too long for a file's name is no error to it
        lines = _read_lines(file)
    elif "," not in given and (file.suffix or os.sep in given):
        raise UserError(f"--genres={given}: there is no such file; names are separated by commas")
    else:
        lines = given.split(",")
    names = [name for line in lines if (name := normalize_genre(line))]
    for name in names:
        if len(name) > _MAX_GENRE_LENGTH:
            raise UserError(
                f"--genres: {name[:30]!r}... is longer than {_MAX_GENRE_LENGTH} characters; in a "
                "file, write a name a line"
            )
    if not names:
        raise UserError(f"--genres={given}: there is no genre in it; --genres=all takes all")
    return list(dict.fromkeys(names))


def _starter_genres() -> list[str]:
    return [name for line in _read_lines(GENRES_FILE) if (name := normalize_genre(line))]


def _read_lines(file: Path) -> list[str]:
    """Returns the lines of a UTF-8 file but its comments."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{file} is not UTF-8 text (byte {error.start}); save it as such"
        ) from error
    return [line for line in text.splitlines() if not line.lstrip().startswith("#")]


def _service_urls() -> tuple[str, str]:
    """Returns where the source's metadata is, and its other service.

    Raises:
      UserError: a URL is none, or not a safe one.
    """
    pair = (
        (MUSICBRAINZ_URL, COVERART_URL)
        if SOURCE.value == "musicbrainz"
        else (SPOTIFY_API_URL, SPOTIFY_TOKEN_URL)
    )
    for flag in pair:
        try:
            url = URL(flag.value)
        except ValueError:
            url = URL()
        loopback = is_loopback(url.host or "")
        if url.host is None or not (url.scheme == "https" or (url.scheme == "http" and loopback)):
            raise UserError(
                f"--{flag.name}={flag.value} must begin with https:// (http:// only on this "
                "machine: to a mirror without it, use a tunnel such as ssh -L)"
            )
    return pair[0].value.rstrip("/"), pair[1].value.rstrip("/")


def _rate(api: str) -> float:
    """Returns the requests a second that the metadata service gets; 0 for no limit.

    Raises:
      UserError: that is more than its rules allow.
    """
    host = (URL(api).host or "").rstrip(".")
    allowed = next((r for h, r in _PUBLIC_RATES.items() if f".{host}".endswith(f".{h}")), None)
    if RATE.value is None:
        return allowed or _DEFAULT_RATE
    if allowed is not None and not 0 < RATE.value <= allowed:
        raise UserError(
            f"--requests_per_second={RATE.value:g} is more than the {allowed:g} that {host} "
            "may be asked; for more, use a mirror of your own"
        )
    return RATE.value


def _user_agent() -> str:
    """Returns how requests name themselves.

    Raises:
      UserError: MusicBrainz is to be asked, which wants a contact.
    """
    name = f"DuckAndCover/{importlib.metadata.version('duck-and-cover')}"
    if CONTACT.value is None and SOURCE.value == "spotify":
        return name
    if not _CONTACT.fullmatch(CONTACT.value or ""):
        raise UserError(
            "MusicBrainz asks that requests name a contact: give --contact=you@example.org (or a "
            f"URL), or set {CONTACT_VARIABLE}"
        )
    return f"{name} ( {CONTACT.value} )"


def _credentials() -> tuple[str, str]:
    """Returns the app's id and secret, of the environment or the file .env.

    Raises:
      UserError: they are not there.
    """
    values = dotenv.dotenv_values(".env") | os.environ
    client_id, secret = (values.get(name) for name in CREDENTIALS)
    if not client_id or not secret or not f"{client_id}{secret}".isascii():
        raise UserError(
            f"set {' and '.join(CREDENTIALS)}, in the environment or in a file .env, to those of "
            "your app at developer.spotify.com/dashboard"
        )
    return client_id, secret


if __name__ == "__main__":
    cli.run(main)
