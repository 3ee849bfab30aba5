"""The three stages of a run: list what a source has, choose, fetch what is chosen.

The catalogue is between the stages, so each can be stopped at any point. Short queues connect it to
the tasks, so memory use does not grow with the collection. However a run ends, the catalogue knows
every stored cover.
"""

import asyncio
import math
import signal
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, TypeVar

from data_pipeline import store
from data_pipeline.albums import Cover, Failure, List, Page, Stored
from data_pipeline.answers import Answer, FetchError
from data_pipeline.catalog import Catalog
from data_pipeline.choice import Choice, choose, count_labels
from data_pipeline.cores import count_cores
from data_pipeline.doubles import mark_doubles
from data_pipeline.fetch import fetch_cover
from data_pipeline.http import Client
from data_pipeline.metadata import write_metadata
from data_pipeline.musicbrainz import MusicBrainz
from data_pipeline.progress import Progress, duration
from data_pipeline.spotify import Spotify
from data_pipeline.stopping import run_until_signal

_T = TypeVar("_T")
Source = MusicBrainz | Spotify

LISTERS = 4  # concurrent page requests, if the rate allows
BATCH = 256  # catalogue rows read or written at a time

_METADATA_S = 60.0  # between rewrites of metadata.jsonl, at least,
_METADATA_SHARE = 20  # and at least this many times as long as the last one took


class Collector:
    """One run of the collector.

    Attributes:
      stopped: the signal that ended the run, None if there was none.
      stored: the number of covers that were stored in this run.
    """

    def __init__(self, catalog: Catalog, concurrency: int, progress: Progress):
        """Prepares a run.

        Args:
          catalog: the collection's catalogue.
          concurrency: the number of concurrent cover downloads.
          progress: the progress display.
        """
        self.stopped: signal.Signals | None = None
        self.stored = 0
        self._catalog = catalog
        self._choice = Choice()
        self._concurrency = concurrency
        self._progress = progress
        # SQLite has its own thread, so that a slow disk or a lock does not block requests.
        self._thread = ThreadPoolExecutor(1, "catalog")
        self._writer = ThreadPoolExecutor(1, "metadata")  # one at a time writes metadata.jsonl
        self._checkers = ThreadPoolExecutor(count_cores(), "checker")  # decode the pictures
        self._covers: asyncio.Queue[Cover] = asyncio.Queue(2 * concurrency)
        self._results: asyncio.Queue[tuple[Cover, Stored | Failure]] = asyncio.Queue(BATCH)
        self._storing: set[asyncio.Task[None]] = set()

    async def call(self, function: Callable[..., _T], *args: Any) -> _T:
        """Runs a catalogue function in its thread; it finishes even if the caller is cancelled."""
        loop = asyncio.get_running_loop()
        return await asyncio.shield(loop.run_in_executor(self._thread, function, *args))

    async def paused(self, host: str, seconds: float) -> None:
        """Saves and reports a pause that a host asked for."""
        await self.call(self._catalog.pause, host, seconds)
        self._progress.say(f"{host} asked for a pause of {seconds:.0f} s")

    async def run(self, client: Client, source: Source, choice: Choice) -> None:
        """Collects until nothing is left or a signal arrives.

        Args:
          client: the client that fetches covers.
          source: the source that lists albums.
          choice: which albums are wanted.

        Raises:
          UnavailableError: a service asked for a long pause or is down.
          UserError: a service refuses access.
          OSError, sqlite3.Error: writing to disk failed.
        """
        self._choice = choice
        try:
            self.stopped = await run_until_signal(self._rounds(client, source))
        finally:
            await self._end(source)

    async def _rounds(self, client: Client, source: Source) -> None:
        """Lists, chooses and fetches; again if covers that were chosen turn out to be missing."""
        choice = self._choice
        await self.call(self._catalog.add_lists, source.lists(choice))
        most = min(choice.per_genre or choice.limit, choice.limit or choice.per_genre)
        fair = math.ceil(choice.limit / max(1, len(choice.wanted)))
        goal = min(most, fair) if choice.limit else most
        while True:
            listed = await self._list(source, goal)
            if not choice.doubles:  # so that others are chosen in their place
                await self.call(mark_doubles, self._catalog)
            chosen = await self.call(choose, self._catalog, choice)
            fetched = await self._fetch(client, source)
            if not fetched and chosen == choice.limit > 0:
                return
            if not fetched and not listed:
                if goal >= most:
                    return
                goal = min(2 * goal, most)

    async def _end(self, source: Source) -> None:
        """Saves pending results and the state of the run."""
        while True:
            left = [self._results.get_nowait() for _ in range(self._results.qsize())]
            await self.call(self._catalog.store_covers, left)
            self.stored += sum(isinstance(result, Stored) for _, result in left)
            if not self._storing and self._results.empty():
                break
            if self._storing:
                await asyncio.wait(self._storing, return_when=asyncio.FIRST_COMPLETED)
        await self.call(self._catalog.remember, {"learned": source.learned})
        await self.call(mark_doubles, self._catalog)
        await self.call(choose, self._catalog, self._choice)
        self._checkers.shutdown()
        self._thread.shutdown()
        await self._write_metadata()
        self._writer.shutdown()
        self._progress.show("", force=True)

    async def _list(self, source: Source, goal: int) -> bool:
        """Reads lists until all are read or each has enough albums; returns whether it read any.

        Args:
          source: the source.
          goal: how many albums that could be chosen to know of each label, 0 for all. Parts of
            lists are then read in random order, as the first ones are not a fair draw, and lists
            that can be continued a page at a time.
        """
        choice = self._choice
        known = await self.call(count_labels, self._catalog, choice) if goal else Counter()
        busy: set[int] = set()
        news = asyncio.Event()
        read = 0

        async def work() -> None:
            nonlocal read, news
            while True:
                waiting = news
                hungry = [name for name in choice.wanted if not goal or known[name] < goal]
                part = await self.call(
                    self._catalog.next_list, hungry, choice.years, frozenset(busy), bool(goal)
                )
                if part is None and not busy:
                    return
                if part is None:
                    await waiting.wait()
                    continue
                if part.id in busy:  # another lister was quicker
                    continue
                busy.add(part.id)
                try:
                    await self._read_list(source, part, known, bool(goal))
                finally:
                    busy.discard(part.id)
                    read += 1
                    news.set()
                    news = asyncio.Event()

        async with asyncio.TaskGroup() as group:
            shown = group.create_task(self._show(lambda: f"listing: {read:,} lists read"))
            workers = [group.create_task(work()) for _ in range(LISTERS)]
            await asyncio.wait(workers)
            shown.cancel()
        return read > 0

    async def _read_list(
        self, source: Source, part: List, known: Counter[str], by_page: bool
    ) -> None:
        def store_page(page: Page) -> Counter[str]:
            last = self._catalog.last_album()
            self._catalog.store_page(part, page)
            return count_labels(self._catalog, self._choice, last) if by_page else Counter()

        page = Page()
        try:
            async for page in source.read(part):
                known += await self.call(store_page, page)
                if by_page and page.next:
                    return
        except FetchError as error:
            await self.call(self._catalog.fail_list, part, Failure(error.reason, error.retry))
            return
        if page.found is not None and page.found < (page.total or 0):
            failure = Failure("incomplete", True)
            await self.call(self._catalog.fail_list, part, failure, page.found)
        else:
            await self.call(self._catalog.finish_list, part, page.found)

    async def _fetch(self, client: Client, source: Source) -> bool:
        """Fetches the chosen covers that are not stored; returns whether there were any."""
        done = 0
        start = time.monotonic()

        def progress() -> str:
            seconds = time.monotonic() - start
            rate = self.stored / seconds if seconds else 0.0
            left = f" · ETA {duration((to_fetch - done) / rate)}" if rate else ""
            return f"fetching: {done:,} of {to_fetch:,} covers · {rate:.1f}/s{left}"

        async def record() -> None:
            """Records results; one transaction takes all that arrived during the last one."""
            nonlocal done
            while True:
                batch = [await self._results.get()]
                while len(batch) < BATCH and not self._results.empty():
                    batch.append(self._results.get_nowait())
                await self.call(self._catalog.store_covers, batch)
                done += len(batch)
                self.stored += sum(isinstance(result, Stored) for _, result in batch)
                for _ in batch:
                    self._covers.task_done()

        to_fetch = await self.call(self._catalog.count_to_fetch)
        if not to_fetch:
            return False
        async with asyncio.TaskGroup() as group:
            workers = [self._download(client, source) for _ in range(self._concurrency)]
            workers += [record(), self._keep_metadata(), self._show(progress)]
            tasks = [group.create_task(worker) for worker in workers]
            after = 0
            while batch := await self.call(self._catalog.covers_to_fetch, after, BATCH):
                for cover in batch:
                    await self._covers.put(cover)
                after = batch[-1].album
            await self._covers.join()
            for task in tasks:
                task.cancel()
        return True

    async def _download(self, client: Client, source: Source) -> None:
        loop = asyncio.get_running_loop()
        folder = self._catalog.folder

        async def store_answer(cover: Cover, answer: Answer) -> None:
            stored = await loop.run_in_executor(
                self._checkers, store.store, folder, cover.key, answer
            )
            picture = answer.urls[1] if len(answer.urls) > 1 else answer.urls[0]
            stored = replace(stored, picture_url=picture, release=source.release_of(answer.urls))
            await self._results.put((cover, stored))

        async def keep(answer: Answer) -> None:
            # Whatever ends the run, a file that is written is recorded with where it is from.
            task = asyncio.create_task(store_answer(cover, answer))
            self._storing.add(task)
            task.add_done_callback(self._storing.discard)
            await asyncio.shield(task)

        while True:
            cover = await self._covers.get()
            found = await loop.run_in_executor(self._checkers, store.find, folder, cover)
            if found is not None:
                await self._results.put((cover, found))
                continue
            try:
                await fetch_cover(client, source.cover_urls(cover), keep)
            except FetchError as error:
                await self._results.put((cover, Failure(error.reason, error.retry)))

    async def _write_metadata(self) -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._writer, write_metadata, self._catalog.folder)

    async def _keep_metadata(self) -> None:
        took = 0.0
        while True:
            await asyncio.sleep(max(_METADATA_S, _METADATA_SHARE * took))
            start = time.monotonic()
            await self._write_metadata()
            took = time.monotonic() - start

    async def _show(self, line: Callable[[], str]) -> None:
        while True:
            self._progress.show(line())
            await asyncio.sleep(1)
