"""Collects album covers with metadata; can be stopped and continued at any time."""

import asyncio
import dataclasses
import json
import os
import signal
import sqlite3
import sys
import time
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

from absl import flags
from yarl import URL

from dac.covers.conditions import MAX_YEAR
from dac.errors import UserError
from data_pipeline import cli, dump, musicbrainz, options, spotify, store
from data_pipeline.answers import FetchError
from data_pipeline.catalog import Catalog
from data_pipeline.catalog_file import CATALOG_FILE, open_to_read
from data_pipeline.choice import Choice, choose
from data_pipeline.collect import LISTERS, Collector, Source
from data_pipeline.doubles import mark_doubles
from data_pipeline.hosts import UnavailableError
from data_pipeline.http import Client
from data_pipeline.metadata import write_metadata, write_urls
from data_pipeline.musicbrainz import MusicBrainz
from data_pipeline.progress import Progress, describe, print_status, summary, warnings
from data_pipeline.spotify import Spotify
from data_pipeline.spotify_token import Token
from data_pipeline.upkeep import check_files, remove, retry_failed

TRY_LATER = 75  # EX_TEMPFAIL in sysexits.h, a temporary failure
FLAGS = flags.FLAGS
_DEFAULT_SIZE = 500
_ANY_REASON = "true"  # the value that absl gives to a flag without one


def define_flags() -> None:
    """Defines the flags of the command."""
    string, integer, real = flags.DEFINE_string, flags.DEFINE_integer, flags.DEFINE_float
    sources = ["musicbrainz", "spotify"]
    flags.DEFINE_enum("source", "musicbrainz", sources, "where to get albums and covers")
    string("out", "data/covers", "folder of the collection; an existing one is continued")
    names = "comma-separated, or a file with one per line; replaces the earlier ones"
    string("genres", None, f"names of genres, {names}; or 'all'")
    string("artists", None, f"names or MusicBrainz ids of artists, {names}")
    string("labels", None, f"names or MusicBrainz ids of record labels, {names}")
    string("countries", None, f"codes of countries of release, such as JM, {names}")
    string("types", None, f"secondary types of albums, {names}; 'studio': none; 'all': any")
    integer("since", None, "first year of release; 0: any", 0, MAX_YEAR)
    integer("until", None, "last year of release; 0: any", 0, MAX_YEAR)
    integer("per_genre", None, "number of covers to choose for each genre; 0: all", 0)
    integer("limit", None, "number of covers to choose in all; 0: all", 0)
    flags.DEFINE_enum("doubles", None, ["keep", "drop"], "what to do with nearly identical covers")
    integer("size", None, "side of the covers in pixels; the least available that is not less", 1)
    flags.DEFINE_boolean("choose", False, "choose again among known albums, offline, and exit")
    string(
        "remove", None, "ids of albums, or a file with one per line: delete their covers for good"
    )
    string("musicbrainz_dump", None, "folder with release-group.tar.xz: list albums from there")
    flags.DEFINE_boolean("status", False, "print the state of the collection and exit")
    string(
        "export_urls",
        None,
        "write the URLs of chosen covers to this .jsonl or .parquet file for img2dataset, and exit",
    )
    string(
        "contact",
        os.environ.get(options.CONTACT_VARIABLE),
        f"your e-mail address or URL, sent in the User-Agent; default: ${options.CONTACT_VARIABLE}",
    )
    real("requests_per_second", None, "rate for the metadata service; 0: any; default: 1", 0.0)
    integer("concurrency", 8, "number of concurrent cover downloads", 1, 512)
    real("timeout", 60.0, "seconds that a request may take, including its body", 0.1)
    real("max_wait", 900.0, "longest pause to wait for, in seconds; a longer one ends the run", 0.0)
    string("musicbrainz_url", musicbrainz.PUBLIC_API, "URL of the MusicBrainz web service")
    string("coverart_url", musicbrainz.PUBLIC_COVERS, "URL of the Cover Art Archive or a mirror")
    string("spotify_api_url", spotify.PUBLIC_API, "URL of Spotify's web API")
    string("spotify_token_url", spotify.PUBLIC_TOKEN, "URL where Spotify issues tokens")
    flags.DEFINE_flag(
        flags.Flag(
            parser=flags.ArgumentParser(),
            serializer=flags.ArgumentSerializer(),
            name="retry_failed",
            default=None,
            help_string="try again what failed; with a value, what failed for that reason",
            boolean=True,  # the value may be omitted
        )
    )


def main() -> int:
    """Collects covers, reports on a collection or exports URLs; returns the exit code."""
    out = Path(FLAGS.out)
    if FLAGS.status:
        print_status(out)
        return 0
    urls = options.service_urls()
    rate = options.request_rate(urls[0])
    choice, wants_all = options.given_choice(Choice())  # raises an error before a file is written
    offline = FLAGS.choose or FLAGS.remove is not None or FLAGS.export_urls is not None
    if FLAGS.source == "spotify":
        print(f"note: {spotify.TERMS}", file=sys.stderr)
    if offline:
        open_to_read(out, FLAGS.source).close()  # raises an error if there is no collection
    user_agent = "" if offline else options.user_agent()
    secret = FLAGS.source == "spotify" and not offline
    credentials = options.credentials() if secret else ("", "")
    try:
        with closing(Catalog(out, FLAGS.source, renew=bool(choice.wanted) or wants_all)) as catalog:
            store.prepare(out)
            if offline:
                return _offline(catalog, urls)
            return asyncio.run(_collect(catalog, urls, rate, user_agent, credentials))
    except sqlite3.Error as error:
        raise UserError(
            f"the catalogue {out / CATALOG_FILE} cannot be used ({error}); stored covers are safe: "
            "fix this and run the command again"
        ) from error


def _offline(catalog: Catalog, urls: tuple[str, str]) -> int:
    """Removes covers, chooses again or exports URLs; needs no network."""
    if FLAGS.remove is not None:
        keys = options.removed_ids(FLAGS.remove)
        stored = remove(catalog, keys)
        print(f"covers deleted: {stored:,}; albums that are never fetched again: {len(keys):,}")
    before = _saved_choice(catalog)
    choice, wants_all = options.given_choice(before)
    names = catalog.setting("genre_names", [])
    if wants_all:
        choice = dataclasses.replace(choice, genres=tuple(names))
    elif names:
        options.check_names("genres", choice.genres, names)
    catalog.remember({"choice": dataclasses.asdict(choice)})
    mark_doubles(catalog)
    chosen = choose(catalog, choice)
    write_metadata(catalog.folder)
    if FLAGS.choose:
        print(f"{chosen:,} albums chosen; {summary(catalog.db)['stored']:,} covers of them stored")
    if FLAGS.export_urls is not None:
        source = _source(Client("", {}), urls, ("", ""), _size(catalog), catalog)
        rows = write_urls(Path(FLAGS.export_urls), catalog.folder, source.cover_urls)
        print(f"{FLAGS.export_urls}: {rows:,} covers")
    return 0


async def _collect(
    catalog: Catalog,
    urls: tuple[str, str],
    rate: float,
    user_agent: str,
    credentials: tuple[str, str],
) -> int:
    """Runs the collector with a progress display, prints the summary and returns the exit code."""
    start = time.monotonic()
    progress = Progress()
    choice, wants_all = options.given_choice(_saved_choice(catalog))
    if not choice.wanted and not wants_all:
        raise UserError(
            "no genres given; use --genres='thrash metal,dub', --genres=FILE with one name per "
            "line, or --genres=all"
        )
    size = _size(catalog, progress)
    check_files(catalog, progress)
    if FLAGS.retry_failed is not None:
        reason = None if FLAGS.retry_failed == _ANY_REASON else FLAGS.retry_failed
        retry_failed(catalog, reason)
    if FLAGS.musicbrainz_dump:
        dump.read_dump(catalog, Path(FLAGS.musicbrainz_dump), choice, progress)
    stored_before = summary(catalog.db)["stored"]
    collector = Collector(catalog, FLAGS.concurrency, progress)
    client = Client(
        user_agent,
        # A mirror may redirect to the public service, whose limit then applies.
        rates=options.PUBLIC_RATES | {_host(urls[0]): rate},
        trusted=frozenset(URL(url).host or "" for url in urls),
        connections=max(FLAGS.concurrency, LISTERS),
        timeout=FLAGS.timeout,
        max_wait=FLAGS.max_wait,
        pauses=catalog.pauses(),
        on_pause=collector.paused,
    )
    unavailable = None
    async with client:
        source = _source(client, urls, credentials, size, catalog)
        try:
            choice = await _check_genres(catalog, source, choice, wants_all)
            await collector.run(client, source, choice)
        except UnavailableError as error:
            unavailable = error
    services = {_host(url): client.requests[_host(url)] for url in urls}
    others = client.requests.total() - sum(services.values())
    state = summary(catalog.db)
    progress.say(describe(state))
    print(
        json.dumps(
            state
            | {
                "source": source.name,
                "stored_now": state["stored"] - stored_before,
                "seconds": round(time.monotonic() - start, 1),
                "requests": services | {"others": others},
            }
        )
    )
    for text in warnings(catalog.db):
        cli.warn(text)
    if unavailable is not None:
        when = "later"
        if unavailable.seconds:
            then = datetime.now() + timedelta(seconds=unavailable.seconds)
            when = f"after {then:%Y-%m-%d %H:%M}"
        cli.warn(f"{unavailable}; progress is saved: run the same command again {when}")
        return TRY_LATER
    return cli.INTERRUPTED if collector.stopped == signal.SIGINT else 0


def _source(
    client: Client,
    urls: tuple[str, str],
    credentials: tuple[str, str],
    size: int,
    catalog: Catalog,
) -> Source:
    if FLAGS.source == "musicbrainz":
        names = catalog.setting("genre_names", [])
        _, listed = catalog.setting("dump", (None, None))
        return MusicBrainz(client, *urls, size, names, listed)
    token = Token(urls[1], *credentials, client.max_wait)
    return Spotify(client, urls[0], token, size, catalog.setting("learned", {}))


def _host(url: str) -> str:
    return URL(url).host_port_subcomponent or ""


async def _check_genres(
    catalog: Catalog, source: Source, choice: Choice, wants_all: bool
) -> Choice:
    """Returns and saves a choice whose genres are known to the source, if it has a list of them.

    Raises:
      UserError: a genre is unknown, or the list is unavailable.
    """
    known = catalog.setting("genre_names")
    is_old = known is not None and {*choice.genres} - {*known} and not catalog.setting("dump")
    if known is None or is_old:
        try:
            known = await source.all_genres()
        except FetchError as error:
            raise UserError(
                f"cannot get the list of all genres ({error.reason}); try again later, or check "
                "the service's URL"
            ) from error
        catalog.remember({"genre_names": known})
    if wants_all:
        choice = dataclasses.replace(choice, genres=tuple(known))
    elif known:
        options.check_names("genres", choice.genres, known)
    if isinstance(source, MusicBrainz):
        source.genres = frozenset(known)
    catalog.remember({"choice": dataclasses.asdict(choice)})
    return choice


def _saved_choice(catalog: Catalog) -> Choice:
    saved = catalog.setting("choice", {})
    return Choice(**{k: tuple(v) if isinstance(v, list) else v for k, v in saved.items()})


def _size(catalog: Catalog, progress: Progress | None = None) -> int:
    """Returns the size of the covers: from the flag, else as before."""
    before = catalog.setting("size")
    size = FLAGS.size or before or _DEFAULT_SIZE
    if progress is not None:
        if before not in (None, size):
            progress.say(
                f"the cover size changed from {before} to {size} pixels; stored covers keep theirs"
            )
        catalog.remember({"size": size})
    return size


if __name__ == "__main__":
    cli.run(main, define_flags)
