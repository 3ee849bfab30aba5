"""The crawl: lists albums and fetches covers at the same time, until nothing is left to do.

The catalogue holds what is to be done; between it and the tasks are short queues, so that memory
does not grow with it. Whatever ends the crawl, all that was stored is in the catalogue.
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

LISTERS = 4  # pages asked for at a time, where the rate allows
BATCH = 256  # rows of the catalogue, read or written at a time

# Enough covers to fetch for hours: no more albums are listed meanwhile.
BACKLOG = 20_000

_RETRY_S = 60.0  # between looks at what is due to be tried again
_METADATA_S = 60.0  # between rewritings of metadata.jsonl, at least,
_METADATA_SHARE = 20  # and this many times as long as one takes
_UNLISTED_S = 10  # between estimates of what is still to be listed
_GONE = (404, 410)


class Source(Protocol):
    """Where albums come from."""

    name: str
    learned: dict[str, Any]

    async def all_genres(self) -> list[str]:
        """Returns the names of all genres; none where the source has no list of them."""

    async def page(self, listing: Listing, genres: frozenset[str]) -> Page:
        """Returns a page of a listing; `genres` are those asked for."""

    def cover_url(self, cover: Cover) -> str:
        """Returns where a cover is."""


class Crawl:
    """One run of the collector.

    Attributes:
      stored: covers in the collection.
      stopped: the signal that ended the run, if one did.
    """

    def __init__(
        self,
        catalog: Catalog,
        *,
        limit: int | None = None,
        since: int | None = None,
        until: int | None = None,
        concurrency: int = 8,
        again: bool = False,
        progress: Progress,
    ):
        """Prepares a run.

        Args:
          catalog: of the collection.
          limit: covers that the collection is to have, None for all.
          since: first year of release; albums before it, or of unknown year, are left out.
          until: last year of release, likewise.
          concurrency: covers fetched at a time.
          again: whether only what `Catalog.retry_failed` put back is to be done.
          progress: shows the person who watches how far it is.
        """
        self.stored = 0
        self.stopped: signal.Signals | None = None
        self._catalog = catalog
        self._limit = limit
        self._since = since
        self._until = until
        self._concurrency = concurrency
        self._again = again
        self._progress = progress
        # SQLite's own thread: a slow disk, or another process's lock, holds up no request.
        self._thread = ThreadPoolExecutor(1, "catalog")
        self._metadata_thread = ThreadPoolExecutor(1, "metadata")  # with a connection of its own
        self._checkers = ThreadPoolExecutor(os.cpu_count(), "checker")  # of pictures
        self._covers: asyncio.Queue[Cover] = asyncio.Queue(2 * concurrency)
        self._results: asyncio.Queue[tuple[Cover, Stored | Failure]] = asyncio.Queue(BATCH)
        self._in_flight: set[int] = set()  # albums whose covers are in the queues, or between
        self._listings: set[tuple[str, int]] = set()  # in work
        self._choosing = asyncio.Lock()
        self._nothing_to_list = False
        self._news = asyncio.Event()

    async def call(self, function: Callable[..., _T], *args: Any) -> _T:
        """Runs a function of the catalogue's in its thread: to its end, even if cancelled."""
        loop = asyncio.get_running_loop()
        return await asyncio.shield(loop.run_in_executor(self._thread, function, *args))

    async def paused(self, host: str, seconds: float) -> None:
        """Remembers a pause that a host asked for."""
        await self.call(self._catalog.pause, host, seconds)
        self._progress.say(f"{host} asks for a pause of {seconds:.0f} s")

    async def run(self, client: Client, source: Source, genres: frozenset[str]) -> None:
        """Collects until nothing is left, the limit is reached, or a signal comes.

        Args:
          client: to fetch covers with.
          source: of albums.
          genres: those asked for.

        Raises:
          UnavailableError: a service is to be left alone, or is down.
          UserError: a service refuses.
          OSError, sqlite3.Error: the disk does.
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
        """Notes what is done and not noted yet."""
        left = [self._results.get_nowait() for _ in range(self._results.qsize())]
        await self.call(self._catalog.store_covers, left)
        # What is still on its way to the disk is taken up by the next process.
        unsure = bool(self._in_flight)
        await self.call(self._catalog.remember, {"learned": source.learned, "crawling": unsure})
        self._checkers.shutdown()
        self._thread.shutdown()
        await self._write_metadata()
        self._metadata_thread.shutdown()

    async def _write_metadata(self) -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._metadata_thread, write_metadata, self._catalog.folder)

    def _pulse(self) -> None:
        """Wakes who waits for news. They take hold of `_news` before they look around."""
        self._news.set()
        self._news = asyncio.Event()

    # Albums -------------------------------------------------------------------------------------

    async def _list(self, source: Source, genres: frozenset[str]) -> None:
        """Lists albums as long as there is room for more covers to fetch."""
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
        if not self._again:
            tallies = await self.call(self._catalog.tallies)
            waiting = count(tallies, "covers", "waiting")
            enough = self._limit is not None and self.stored + waiting >= self._limit
            if enough or waiting >= BACKLOG:
                return None
        # A copy: a listing that ends meanwhile may leave more to list, and must count.
        busy = frozenset(self._listings)
        broad = self._limit is not None
        listing = await self.call(self._catalog.next_listing, busy, self._again, broad)
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
        """Hands out the covers that wait; returns when none is left and none will come."""
        after = 0
        while True:
            news = self._news
            last = self._nothing_to_list  # looked at first: what is listed later pulses
            batch = await self.call(self._catalog.waiting_covers, after, BATCH, self._again)
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
        """Waits until one cover more can't be one too many; False where there are enough."""
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
        """Notes results, as many in a transaction as came during the last one."""
        while True:
            batch = [await self._results.get()]
            while len(batch) < BATCH and not self._results.empty():
                batch.append(self._results.get_nowait())
            await self.call(self._catalog.store_covers, batch)
            for cover, result in batch:
                self._in_flight.discard(cover.album)
                self.stored += isinstance(result, Stored)
            self._pulse()

    # Now and then -------------------------------------------------------------------------------

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
