"""A polite HTTP client: rate limits, pauses, retries and bounds on everything.

Servers are untrusted. Whatever they send, redirect targets, bytes read and time spent are limited.
"""

import asyncio
import functools
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import TypeVar
from urllib.request import proxy_bypass

import aiohttp
from yarl import URL

from data_pipeline.addresses import (
    ForbiddenAddressError,
    Resolver,
    by_https,
    find_proxies,
    is_allowed,
)
from data_pipeline.answers import Answer, FetchError
from data_pipeline.hosts import Host, UnavailableError, backoff, retry_after

_T = TypeVar("_T")

MAX_REDIRECTS = 5
MAX_TRIES = 5  # per request, not counting pauses and outages of the host
_REDIRECTS = (301, 302, 303, 307, 308)
_TRY_AGAIN = (408, 425, 429)  # and 5xx; any other 4xx would only repeat
_PAUSING = (429, 503)
_PAUSES = tuple(f"http_{status}" for status in _PAUSING)
_MAX_PAUSES = 20  # per request

# Requests are spaced this much wider than the rate requires, as clocks and networks are inexact.
_RATE_MARGIN = 1.02

# A host counts as down after this many requests in a row failed on their first try. All requests to
# it then wait between tries.
_DOWN_AFTER = 20

_DNS_CACHE_S = 600
_CONNECT_S = 10.0
_SILENCE_SHARE = 3  # a request may receive nothing for a third of its time


@dataclass(eq=False)
class Client:
    """A polite HTTP client; use it as an asynchronous context manager."""

    user_agent: str  # identifies the caller
    rates: Mapping[str, float]  # requests a second by host; 0 or no entry: no limit
    _: KW_ONLY
    trusted: frozenset[str] = frozenset()  # hosts that the user named; they may be private
    connections: int = 8  # at most, per host
    timeout: float = 60.0  # seconds that a whole request may take, including its body
    max_wait: float = 900.0  # the longest pause to wait for, in seconds
    pauses: Mapping[str, float] = field(default_factory=dict)  # seconds left, by host
    # Called with the host and the seconds of each requested pause above a second.
    on_pause: Callable[[str, float], Awaitable[None]] | None = None
    requests: Counter[str] = field(default_factory=Counter, init=False)  # sent so far, by host

    def __post_init__(self):
        self._hosts: dict[str, Host] = {}
        for name, seconds in self.pauses.items():
            self._host(name).pause(seconds)
        self._proxies = find_proxies()
        # They may be in a private network, but are no pages to fetch.
        self._proxy_hosts = {url.host for url in self._proxies.values()} - self.trusted

    async def __aenter__(self) -> "Client":
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,
                limit_per_host=self.connections,
                ttl_dns_cache=_DNS_CACHE_S,
                resolver=Resolver(self.trusted | self._proxy_hosts),
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": self.user_agent},
            timeout=aiohttp.ClientTimeout(
                total=self.timeout,
                sock_connect=min(_CONNECT_S, self.timeout),
                sock_read=self.timeout / _SILENCE_SHARE,
            ),
        )
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._session.close()

    async def fetch(
        self,
        url: str,
        read: Callable[[Answer], Awaitable[_T]],
        *,
        max_bytes: int,
        headers: Mapping[str, str] | None = None,
    ) -> _T:
        """Gets a URL, with retries, and passes the response to `read`.

        Args:
          url: an https URL, or http on loopback.
          read: converts the response; raises `FetchError` if it is unusable.
          max_bytes: the maximum length of the body.
          headers: extra headers, sent only to the URL's own origin and not to redirect targets.

        Returns:
          The result of `read`.

        Raises:
          FetchError: the request failed.
          UnavailableError: a host asked for a pause longer than `max_wait`, or was down for longer.
        """
        try:
            start = URL(url)
        except ValueError as error:
            raise FetchError("bad_url", retry=False) from error
        service = self._checked_host(start)  # responsible for the hosts that it redirects to
        tries = pauses = 0
        failed_before = False
        while True:
            hosts: list[Host] = []
            try:
                answer = await self._follow(start, hosts, max_bytes, headers or {})
                result = await read(answer)
            except FetchError as failed:
                if failed.reason == "paused":
                    raise
                if not failed.retry:
                    service.succeeded()
                    raise
                if not failed_before:
                    service.failed()
                failed_before = True
                # Pauses are not failures of this request, up to a limit.
                pause = failed.reason in _PAUSES
                required = self._is_required(service, hosts)
                unreachable = failed.reason == "unreachable" and len(hosts) == 1 and required
                pauses += pause
                tries += not pause and not unreachable
                if tries == MAX_TRIES or pauses == _MAX_PAUSES:
                    raise
                if required and (unreachable or service.failures > _DOWN_AFTER):
                    self._wait_for(service, unreachable)
                else:
                    await asyncio.sleep(backoff(tries))
            else:
                for host in hosts:
                    host.succeeded()
                return result

    async def _follow(
        self,
        start: URL,
        hosts: list[Host],
        max_bytes: int,
        headers: Mapping[str, str],
    ) -> Answer:
        """Gets a URL and follows redirects; appends each contacted host to `hosts`."""
        url, urls = start, []
        for _ in range(MAX_REDIRECTS + 1):
            host = self._checked_host(url)
            urls.append(str(url))
            hosts.append(host)
            await host.turn(functools.partial(self._refuse_long_pause, host, hosts))
            self.requests[host.name] += 1
            try:
                async with self._session.get(
                    url,
                    headers=headers if url.origin() == start.origin() else {},
                    allow_redirects=False,
                    proxy=self._proxy_for(url),
                ) as response:
                    if response.status in _REDIRECTS:
                        url = _target(url, response)
                        continue
                    if response.status in _PAUSING:
                        await self._pause(host, response.headers)
                        self._refuse_long_pause(host, hosts)
                    if response.status in _TRY_AGAIN or response.status >= 500:
                        raise FetchError(f"http_{response.status}")
                    body = await _read_body(response, max_bytes)
                    return Answer(response.status, response.content_type, body, tuple(urls))
            except TimeoutError as error:
                raise FetchError("timeout") from error
            except aiohttp.ClientConnectorError as error:
                forbidden = isinstance(error.os_error, ForbiddenAddressError)
                raise FetchError("forbidden_address" if forbidden else "unreachable") from error
            except (aiohttp.ClientPayloadError, aiohttp.ClientConnectionError, OSError) as error:
                raise FetchError("cut_off") from error
            except (aiohttp.ClientError, ValueError) as error:
                raise FetchError("not_http") from error
        raise FetchError("too_many_redirects")

    def _checked_host(self, url: URL) -> Host:
        """Returns the host of a URL; raises `FetchError` if it must not be asked."""
        if url.host in self._proxy_hosts or not is_allowed(url, self.trusted):
            raise FetchError("forbidden_address")
        return self._host(url.host_port_subcomponent or "")

    def _proxy_for(self, url: URL) -> URL | None:
        proxy = self._proxies.get(url.scheme)
        return None if proxy is None or proxy_bypass(url.host or "") else proxy

    def _host(self, name: str) -> Host:
        if name not in self._hosts:
            rate = self.rates.get(name)
            self._hosts[name] = Host(name, _RATE_MARGIN / rate if rate else 0.0)
        return self._hosts[name]

    async def _pause(self, host: Host, headers: Mapping[str, str]) -> None:
        """Pauses for as long as a host asks, or backs off if it gives no time."""
        seconds = retry_after(headers)
        if seconds is None:
            host.back_off()
        elif host.pause(seconds) and self.on_pause is not None:
            await self.on_pause(host.name, seconds)

    def _refuse_long_pause(self, host: Host, hosts: list[Host]) -> None:
        """Raises an error if a host's pause is longer than `max_wait`."""
        left = host.paused_until - time.monotonic()
        if left <= self.max_wait:
            return
        if not self._is_required(host, hosts):
            raise FetchError("paused")  # other covers can still be fetched
        if host.paused_until <= host.outage_until:  # a backoff; the host asked for nothing
            raise host.down()
        raise UnavailableError(host.name, left, "asked for a long pause")

    def _is_required(self, host: Host, hosts: list[Host]) -> bool:
        """Returns whether the run must end if a host is unavailable.

        The run needs the hosts that the user named, the hosts that these redirect to first, and the
        first host of any request once it has answered. It does not need the many servers behind
        them (the Cover Art Archive redirects to archive.org, which redirects to one of its
        machines), or a host that is only in a cover's URL and never answered.
        """
        named = hosts[0].name.partition(":")[0] in self.trusted
        return (named and host in hosts[:2]) or (host is hosts[0] and host.answered)

    def _wait_for(self, host: Host, unreachable: bool) -> None:
        """Makes all requests wait for a host that is down, or gives up on it."""
        if unreachable and not host.answered and host.outages >= MAX_TRIES:
            raise UnavailableError(
                host.name, 0, "cannot be reached: check the address and the network"
            )
        if time.monotonic() - host.failing_since > self.max_wait:
            raise host.down()
        host.back_off()


def _target(url: URL, response: aiohttp.ClientResponse) -> URL:
    """Returns where a response redirects to."""
    try:
        return by_https(url.join(URL(response.headers["Location"])))
    except (KeyError, ValueError) as error:
        raise FetchError("bad_redirect") from error


async def _read_body(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    """Reads a body; raises `FetchError` above `max_bytes`, whatever Content-Length says."""
    if (response.content_length or 0) > max_bytes:
        raise FetchError("too_large")
    try:
        await response.content.readexactly(max_bytes + 1)
    except asyncio.IncompleteReadError as whole:
        return whole.partial
    raise FetchError("too_large")
