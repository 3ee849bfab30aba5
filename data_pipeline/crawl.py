"""The crawl: lists albums and fetches covers concurrently until nothing is left to do.

The catalogue holds all jobs. Short queues connect it to the tasks, so memory use does not grow with
the collection. However the crawl ends, the catalogue knows every stored cover.
"""

import asyncio
import itertools
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from data_pipeline import store
from data_pipeline.catalog import (
    Album,
    Catalog,
    Cover,
    Failure,
    Listing,
    Page,
    Stored,
    write_metadata,
)
from data_pipeline.http import Answer, Client, FetchError
from data_pipeline.progress import Progress, count

_T = TypeVar("_T")

LISTERS = 4  # concurrent page requests, if the rate allows
BATCH = 256  # catalogue rows read or written at a time

# Listing pauses while this many covers wait: enough work for hours.
BACKLOG = 20_000

_RETRY_S = 60.0  # between checks for due retries
_METADATA_S = 60.0  # between rewrites of metadata.jsonl, at least,
_METADATA_SHARE = 20  # and at least this many times as long as the last one took
_UNLISTED_S = 10  # between estimates of the albums still to be listed
_GONE = (404, 410)


class Source(Protocol):
    """A service that lists albums."""

    name: str
    learned: dict[str, Any]

    async def all_genres(self) -> list[str]:
        """Returns the names of all genres, empty if the source has no such list."""

    async def page(self, listing: Listing, genres: frozenset[str]) -> Page:
        """Returns the next page of a listing; `genres` are the requested ones."""

    def cover_url(self, cover: Cover) -> str:
        """Returns the URL of a cover, empty if there is none."""


class Crawl:
    """One run of the collector.

    Attributes:
      stored: the number of covers in the collection.
      stopped: the signal that ended the run, None if there was none.
    """

    def __init__(
        self,
        catalog: Catalog,
        *,
        limit: int | None = None,
        since: int | None = None,
        until: int | None = None,
        concurrency: int = 8,
        only_retries: bool = False,
        progress: Progress,
    ):
        """Prepares a run.

        Args:
          catalog: the collection's catalogue.
          limit: the total number of covers wanted, None for no limit.
          since: the first release year; albums of earlier or unknown year are skipped.
          until: the last release year; albums of later or unknown year are skipped.
          concurrency: the number of concurrent cover downloads.
          only_retries: whether to run only the jobs that `Catalog.retry_failed` put back.
          progress: the progress display.
        """
        self.stored = 0
        self.stopped: signal.Signals | None = None
        self._catalog = catalog
        self._limit = limit
        self._since = since
        self._until = until
        self._concurrency = concurrency
        self._only_retries = only_retries
        self._progress = progress
        # SQLite has its own thread, so that a slow disk or a lock does not block requests.
        self._thread = ThreadPoolExecutor(1, "catalog")
        self._metadata_thread = ThreadPoolExecutor(1, "metadata")  # has its own connection
        self._checkers = ThreadPoolExecutor(os.cpu_count(), "checker")  # decode the pictures
        self._covers: asyncio.Queue[Cover] = asyncio.Queue(2 * concurrency)
        self._results: asyncio.Queue[tuple[Cover, Stored | Failure]] = asyncio.Queue(BATCH)
        self._in_flight: set[int] = set()  # row ids of albums whose covers are being fetched
        self._listings: set[tuple[str, int]] = set()  # in progress
        self._choosing = asyncio.Lock()
        self._nothing_to_list = False
        self._news = asyncio.Event()

    async def call(self, function: Callable[..., _T], *args: Any) -> _T:
        """Runs a catalogue function in its thread; it finishes even if the caller is cancelled."""
        loop = asyncio.get_running_loop()
        return await asyncio.shield(loop.run_in_executor(self._thread, function, *args))

    async def paused(self, host: str, seconds: float) -> None:
        """Saves and reports a pause that a host asked for."""
        await self.call(self._catalog.pause, host, seconds)
        self._progress.say(f"{host} asked for a pause of {seconds:.0f} s")

    async def run(self, client: Client, source: Source, genres: frozenset[str]) -> None:
        """Collects until nothing is left, the limit is reached or a signal arrives.

        Args:
          client: the client that fetches covers.
          source: the source that lists albums.
          genres: the names of the requested genres.

        Raises:
          UnavailableError: a service asked for a long pause or is down.
          UserError: a service refuses access.
          OSError, sqlite3.Error: writing to disk failed.
        """
        self.stored = count(await self.call(self._catalog.tallies), "covers", "done")
        loop = asyncio.get_running_loop()
        stop = loop.create_future()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, lambda n=number: stop.done() or stop.set_result(n))
        try:
            async with asyncio.TaskGroup() as group:
                workers = [
                    self._record(),
                    self._keep_metadata(),
                    self._retry(),
                    self._show_progress(),
                    *(self._list(source, genres) for _ in range(LISTERS)),
                    *(self._download(client, source) for _ in range(self._concurrency)),
                ]
                tasks = [group.create_task(worker) for worker in workers]
                end = group.create_task(self._dispatch())
                await asyncio.wait((end, stop), return_when=asyncio.FIRST_COMPLETED)
                for task in (*tasks, end):
                    task.cancel()
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)
            self.stopped = stop.result() if stop.done() else None
            await self._end(source)

    async def _end(self, source: Source) -> None:
        """Saves pending results and the state of the run."""
        left = [self._results.get_nowait() for _ in range(self._results.qsize())]
        await self.call(self._catalog.store_covers, left)
        # The next process recovers covers that were still being written.
        incomplete = bool(self._in_flight)
        await self.call(self._catalog.remember, {"learned": source.learned, "crawling": incomplete})
        self._checkers.shutdown()
        self._thread.shutdown()
        await self._write_metadata()
        self._metadata_thread.shutdown()

    async def _write_metadata(self) -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._metadata_thread, write_metadata, self._catalog.folder)

    def _pulse(self) -> None:
        """Wakes the waiting tasks; each reads `_news` before it checks for work."""
        self._news.set()
        self._news = asyncio.Event()

    # Albums -------------------------------------------------------------------------------------

    async def _list(self, source: Source, genres: frozenset[str]) -> None:
        """Lists albums while more covers are needed."""
        while True:
            news = self._news
            async with self._choosing:
                listing = await self._choose()
                if listing is not None:
                    self._listings.add((listing.table, listing.id))
            if listing is None:
                await news.wait()
                continue
            try:
                page = await source.page(listing, genres)
                wanted = [album for album in page.albums if self._is_wanted(album)]
                await self.call(
                    self._catalog.store_page,
                    listing,
                    replace(page, albums=wanted),
                    {"learned": source.learned},
                )
            except FetchError as error:
                failure = Failure(error.reason, error.retry)
                await self.call(self._catalog.fail_listing, listing, failure)
            finally:
                self._listings.discard((listing.table, listing.id))
                self._pulse()

    async def _choose(self) -> Listing | None:
        if not self._only_retries:
            tallies = await self.call(self._catalog.tallies)
            waiting = count(tallies, "covers", "waiting")
            enough = self._limit is not None and self.stored + waiting >= self._limit
            if enough or waiting >= BACKLOG:
                return None
        # A copy, because a listing that ends during the call may have added more to list.
        busy = frozenset(self._listings)
        broad = self._limit is not None
        listing = await self.call(self._catalog.next_listing, busy, self._only_retries, broad)
        before, self._nothing_to_list = self._nothing_to_list, not (listing or busy)
        if self._nothing_to_list and not before:
            self._pulse()
        return listing

    def _is_wanted(self, album: Album) -> bool:
        if self._since is None and self._until is None:
            return True
        year = album.release_year
        return year is not None and (self._since or 0) <= year <= (self._until or year)

    # Covers -------------------------------------------------------------------------------------

    async def _dispatch(self) -> None:
        """Queues waiting covers; returns when none is left and no listing can add any."""
        after = 0
        while True:
            news = self._news
            last = self._nothing_to_list  # read first: any later listing pulses
            batch = await self.call(self._catalog.waiting_covers, after, BATCH, self._only_retries)
            fresh = [cover for cover in batch if cover.album not in self._in_flight]
            for cover in fresh:
                if not await self._is_within_limit():
                    return
                self._in_flight.add(cover.album)
                await self._covers.put(cover)
            after = batch[-1].album if len(batch) == BATCH else 0
            if fresh or after:
                continue
            if last and not self._in_flight:
                return
            if self._limit is not None and self.stored >= self._limit:
                return
            await news.wait()

    async def _is_within_limit(self) -> bool:
        """Waits until another download cannot exceed the limit; returns False if it is reached."""
        while self._limit is not None:
            news = self._news
            if self.stored >= self._limit:
                return False
            if self.stored + len(self._in_flight) < self._limit:
                break
            await news.wait()
        return True

    async def _download(self, client: Client, source: Source) -> None:
        while True:
            cover = await self._covers.get()
            result: Stored | Failure
            try:
                result = await self._fetch(client, source.cover_url(cover), cover.key)
            except FetchError as error:
                result = Failure(error.reason, error.retry)
            await self._results.put((cover, result))

    async def _fetch(self, client: Client, url: str, key: str) -> Stored:
        if not url:
            raise FetchError("no_cover", retry=False)

        async def read(answer: Answer) -> Stored:
            if answer.status in _GONE:
                raise FetchError("no_cover", retry=False)
            if answer.status >= 400:
                raise FetchError(f"http_{answer.status}", retry=False)
            loop = asyncio.get_running_loop()
            folder = self._catalog.folder
            return await loop.run_in_executor(self._checkers, store.store, folder, key, answer)

        return await client.fetch(url, read, max_bytes=store.MAX_BYTES)

    async def _record(self) -> None:
        """Saves results; one transaction takes all that arrived during the last one."""
        while True:
            batch = [await self._results.get()]
            while len(batch) < BATCH and not self._results.empty():
                batch.append(self._results.get_nowait())
            await self.call(self._catalog.store_covers, batch)
            for cover, result in batch:
                self._in_flight.discard(cover.album)
                self.stored += isinstance(result, Stored)
            self._pulse()

    # Periodic tasks -----------------------------------------------------------------------------

    async def _keep_metadata(self) -> None:
        took = 0.0
        while True:
            await asyncio.sleep(max(_METADATA_S, _METADATA_SHARE * took))
            start = time.monotonic()
            await self._write_metadata()
            took = time.monotonic() - start

    async def _retry(self) -> None:
        while True:
            await asyncio.sleep(_RETRY_S)
            await self.call(self._catalog.retry_due)
            self._pulse()

    async def _show_progress(self) -> None:
        for second in itertools.count():
            if second % _UNLISTED_S == 0:
                unlisted = await self.call(self._catalog.unlisted)
            tallies = await self.call(self._catalog.tallies)
            to_come = count(tallies, "covers", "waiting") + unlisted
            if self._limit is not None:
                to_come = min(to_come, self._limit - self.stored)
            self._progress.update(tallies, to_come)
            await asyncio.sleep(1)
