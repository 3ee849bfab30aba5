"""Runs the services on loopback, logs their requests and applies the faults to their answers."""

import asyncio
import collections
import concurrent.futures
import contextlib
import dataclasses
import functools
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from aiohttp import web

from tests.cover_services.catalogue import Catalogue
from tests.cover_services.cover_art_archive import CoverArtArchive
from tests.cover_services.faults import FaultPlan
from tests.cover_services.ids import stable_hash
from tests.cover_services.musicbrainz import MusicBrainz
from tests.cover_services.options import SERVICES, Options
from tests.cover_services.spoiling import SENT_BADLY, send_badly, spoil
from tests.cover_services.spotify import Spotify


@contextlib.contextmanager
def serve(catalogue: Catalogue, **options: Any) -> Iterator["Services"]:
    """Runs the services in a thread, by default on free ports of 127.0.0.1.

    Args:
        catalogue: what the services know.
        **options: fields of `Options`.
    """
    services = Services(catalogue, Options(**options))
    started: concurrent.futures.Future[None] = concurrent.futures.Future()

    def run() -> None:
        try:
            asyncio.run(services.run(lambda: started.set_result(None)))
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)

    thread = threading.Thread(target=run, name="cover services")
    thread.start()
    started.result()
    try:
        yield services
    finally:
        services.stop()
        thread.join()


@dataclasses.dataclass(slots=True)
class Record:
    """A request in the log. It is added on arrival; `status` is None until it is answered."""

    monotonic: float
    wall: float
    service: str
    method: str
    path_qs: str
    status: int | None = None
    fault: str | None = None


class Services:
    """The six services. `serve` runs them.

    Attributes:
        catalogue: what the services know.
        options: how they behave.
        log: the requests in the order of their arrival.
        urls: the root URL of each service, once they run.
        spotify: the state of Spotify: its app, its tokens and its quota.
    """

    def __init__(self, catalogue: Catalogue, options: Options):
        self.catalogue, self.options = catalogue, options
        self.log: list[Record] = []
        self.urls: dict[str, str] = {}
        self.faults = options.faults
        self.spotify = Spotify(catalogue, options, self.urls)
        archive = CoverArtArchive(catalogue, self.urls)
        self._handlers = {
            "musicbrainz": MusicBrainz(catalogue, options).answer,
            "coverart": archive.redirect,
            "archive": archive.picture,
            "spotify_token": self.spotify.token,
            "spotify": self.spotify.api,
            "spotify_images": self.spotify.image,
        }

    @property
    def musicbrainz_url(self) -> str:
        """The root of MusicBrainz's web service."""
        return self.urls["musicbrainz"] + "/ws/2"

    @property
    def coverart_url(self) -> str:
        """The root of the Cover Art Archive."""
        return self.urls["coverart"]

    @property
    def spotify_api_url(self) -> str:
        """The root of Spotify's Web API."""
        return self.urls["spotify"] + "/v1"

    @property
    def spotify_token_url(self) -> str:
        """The URL at which Spotify issues tokens."""
        return self.urls["spotify_token"] + "/api/token"

    @property
    def faults(self) -> Mapping[str, float] | Collection[str]:
        """The faults, as in `Options`. Setting them clears the history of faults."""
        return self._faults

    @faults.setter
    def faults(self, faults: Mapping[str, float] | Collection[str]) -> None:
        options = self.options
        self._plan = FaultPlan(
            faults,
            options.fault_rate,
            options.fault_seed,
            options.persistent,
            options.fault_services,
        )
        self._faults = faults

    def counts(self) -> collections.Counter[str]:
        """Returns the number of requests to each service."""
        return collections.Counter(record.service for record in list(self.log))

    async def run(self, on_start: Callable[[], None]) -> None:
        """Serves until `stop` is called. Calls `on_start` once all services listen."""
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()
        async with contextlib.AsyncExitStack() as stack:
            for i, service in enumerate(SERVICES):
                server = web.Server(functools.partial(self._handle, service), access_log=None)
                # A test that ends does not wait for answers in progress.
                runner = web.ServerRunner(server, shutdown_timeout=0.05)
                await runner.setup()
                stack.push_async_callback(runner.cleanup)
                port = self.options.port and self.options.port + i
                site = web.TCPSite(runner, "127.0.0.1", port, backlog=1024)
                await site.start()
                self.urls[service] = f"http://127.0.0.1:{runner.addresses[0][1]}"
            on_start()
            await self._stopped.wait()

    def stop(self) -> None:
        """Ends `run`. May be called from any thread."""
        self._loop.call_soon_threadsafe(self._stopped.set)

    async def _handle(self, service: str, request: web.BaseRequest) -> web.StreamResponse:
        """Answers a request: the service's own answer, or that answer with a fault."""
        url, options = request.raw_path, self.options
        record = Record(time.monotonic(), time.time(), service, request.method, url)
        if options.keep_log:
            self.log.append(record)
        if url.startswith("/redirect-loop/"):  # where the fault `redirect_loop` leads
            record.status, record.fault = 302, "redirect_loop"
            to = "/redirect-loop/" + ("b" if url.endswith("a") else "a")
            return web.Response(status=302, headers={"Location": to})

        answer = await self._handlers[service](request)
        fault = self._plan.choose(service, url)
        # An error of the service has no content to spoil, but another error may replace it.
        if fault and (answer.status < 400 or fault.startswith("http_")):
            chance = stable_hash("spoil", options.fault_seed, url)
            if fault in SENT_BADLY:
                record.status, record.fault = answer.status, fault
                return await send_badly(fault, request, answer, chance, options.stall_seconds)
            if spoiled := spoil(fault, answer, chance, options.retry_after):
                answer, record.fault = spoiled, fault
        record.status = answer.status
        return web.Response(
            status=answer.status,
            body=answer.encoded(),
            headers=answer.headers,
            content_type=answer.content_type,
        )
