"""A small HTTP server on loopback for a single test."""

import asyncio
import time

from aiohttp import web


class Site:
    """A server on loopback that records its requests.

    Args:
        handler: called with a request and its number, from 1; returns the response or a coroutine.

    Attributes:
        asked: the time, path and headers of each request.
        url: the root of the server.
    """

    def __init__(self, handler):
        self.asked = []
        self._handler = handler

    async def __aenter__(self):
        app = web.Application()
        app.router.add_get("/{path:.*}", self._answer)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *error):
        await self._runner.cleanup()

    async def _answer(self, request):
        self.asked.append((time.monotonic(), request.path, dict(request.headers)))
        answer = self._handler(request, len(self.asked))
        return await answer if asyncio.iscoroutine(answer) else answer
