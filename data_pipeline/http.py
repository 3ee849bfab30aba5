"""Fetches from services as their operators ask: rates, pauses, retries, and bounds on everything.

What comes from outside decides nothing here: where a redirect may lead, how much is read and for
how long are bounded, whatever a server says.
"""

import asyncio
import email.utils
import functools
import ipaddress
import json
import random
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

_T = TypeVar("_T")

MAX_REDIRECTS = 5
MAX_TRIES = 5  # of a request that its host fails in other ways than being down
_REDIRECTS = (301, 302, 303, 307, 308)
_TRY_AGAIN = (408, 425, 429)  # and 5xx; any other 4xx would be answered the same again
_PAUSING = (429, 503)
_PAUSES = tuple(f"http_{status}" for status in _PAUSING)

# Backoff: seconds before the second try, doubled for each further one, up to the most.
_BACKOFF_S = 0.5
_MAX_BACKOFF_S = 60.0

# Clocks and networks are not exact: the spacing of requests is this much wider than the rate asks.
_RATE_MARGIN = 1.02

# After so many requests that failed, each for the first time, without a success between them, it is
# the host that is down: all requests wait between their tries.
_DOWN_AFTER = 20

_MAX_PAUSES = 20  # that a request is told to make

_DNS_CACHE_S = 600
_CONNECT_S = 10.0
_SILENCE_SHARE = 3  # a request may be without a byte for a third of its time
_MAX_PAUSE_S = 7 * 86_400.0  # what asks for more is mistaken
_MAX_COUNT = 10**9  # of anything


class FetchError(Exception):
    """A request that gave nothing usable.

    Attributes:
      reason: one word, such as "timeout", "http_404" or "malformed_json".
      retry: whether asking again may end better.
    """

    def __init__(self, reason: str, retry: bool = True):
        super().__init__(reason)
        self.reason = reason
        self.retry = retry


class UnavailableError(Exception):
    """A host that wants to be left alone, or is down, for longer than is waited for.

    Attributes:
      seconds: how long from now, where it says.
    """

    def __init__(self, host: str, seconds: float, why: str):
        super().__init__(f"{host} {why}")
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that is neither a redirect nor a reason to try again.

    Attributes:
      status: 2xx, or a 4xx that asking again would not change.
      type: the content type, lower case, without parameters.
      body: at most as long as was allowed.
    """

    status: int
    type: str
    body: bytes


@dataclass(slots=True)
class _Host:
    """What is known of a host; times are of the monotonic clock.

    Attributes:
      name: with its port, where that is not the usual one.
      interval: seconds between requests.
      free_at: when the next request may be sent.
      paused_until: no request is sent before.
      answered: whether it ever gave something usable.
      failures: requests that failed since it last did.
      failing_since: when the first of these was.
      outages: how often it was waited for since, without having said for how long.
      outage_until: until when it last was.
      queue: held by the request whose turn is next.
    """

    name: str
    interval: float
    free_at: float = 0.0
    paused_until: float = 0.0
    answered: bool = False
    failures: int = 0
    failing_since: float = 0.0
    outages: int = 0
    outage_until: float = 0.0
    queue: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def turn(self, refuse: Callable[[], None] = lambda: None) -> None:
        """Waits until a request may be sent: a token bucket that holds one token.

        Args:
          refuse: is asked before each wait; raises an error if it is too long.
        """
        async with self.queue:
            # Both times may move while this sleeps.
            while (left := max(self.free_at, self.paused_until) - time.monotonic()) > 0:
                refuse()
                await asyncio.sleep(left)
            self.free_at = time.monotonic() + self.interval

    def pause(self, seconds: float) -> bool:
        """Sends nothing for so long; returns whether that is over a second more than planned."""
        until = time.monotonic() + seconds
        longer = until > max(self.paused_until, time.monotonic()) + 1
        self.paused_until = max(self.paused_until, until)
        return longer

    def back_off(self) -> None:
        """Sends nothing for a while that doubles; one request speaks for all refused together."""
        now = time.monotonic()
        if now >= self.outage_until:
            self.outages += 1
            self.outage_until = now + backoff(self.outages)
            self.pause(self.outage_until - now)

    def succeeded(self) -> None:
        """Notes that an answer was usable."""
        self.answered, self.failures, self.outages = True, 0, 0

    def failed(self) -> None:
        """Notes that an answer was not."""
        if not self.failures:
            self.failing_since = time.monotonic()
        self.failures += 1


class Client:
    """An HTTP client with manners; use it as an asynchronous context manager.

    Attributes:
      requests: sent so far, by host.
      max_wait: seconds; pauses above it are not waited for.
    """

    def __init__(
        self,
        user_agent: str,
        rates: Mapping[str, float],
        *,
        trusted: frozenset[str] = frozenset(),
        connections: int = 8,
        timeout: float = 60.0,
        max_wait: float = 900.0,
        pauses: Mapping[str, float] | None = None,
        on_pause: Callable[[str, float], Awaitable[None]] | None = None,
    ):
        """Prepares a client.

        Args:
          user_agent: says honestly who asks.
          rates: requests a second by host; 0, or no entry, is no limit but `connections`.
          trusted: hosts, without ports, that the user named: their addresses may be private.
          connections: at most so many to a host.
          timeout: seconds for a request as a whole, its body included.
          max_wait: seconds; pauses above it are not waited for.
          pauses: seconds that hosts are still to be left alone, from an earlier process.
          on_pause: is told of each pause above a second that a host asks for, and its seconds.
        """
        self._user_agent = user_agent
        self._rates = rates
        self._trusted = trusted
        self._connections = connections
        self._timeout = timeout
        self.max_wait = max_wait
        self._on_pause = on_pause
        self._hosts: dict[str, _Host] = {}
        self._origins: dict[str, _Host] = {}  # schemes and hosts that requests may go to
        for name, seconds in (pauses or {}).items():
            self._host(name).pause(seconds)
        self.requests: dict[str, int] = {}

    async def __aenter__(self) -> "Client":
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,
                limit_per_host=self._connections,
                ttl_dns_cache=_DNS_CACHE_S,
                resolver=_Resolver(self._trusted),
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": self._user_agent},
            timeout=aiohttp.ClientTimeout(
                total=self._timeout,
                sock_connect=min(_CONNECT_S, self._timeout),
                sock_read=self._timeout / _SILENCE_SHARE,
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
        """Gets a URL, again where that helps, until `read` can make something of the answer.

        Args:
          url: https, or http on loopback.
          read: raises `FetchError` where the answer is unusable.
          max_bytes: a longer body is not read.
          headers: sent to the URL's own host only, not along redirects to others.

        Returns:
          What `read` returns.

        Raises:
          FetchError: it gave nothing usable.
          UnavailableError: a host is to be left alone, or was down, for longer than `max_wait`.
        """
        tries = pauses = 0
        failed_before = False
        while True:
            hosts: list[_Host] = []
            try:
                answer = await self._follow(_parse(url), hosts, max_bytes, headers or {})
                result = await read(answer)
            except FetchError as failed:
                # Who was asked first answers for those that it redirects to.
                service = hosts[0] if hosts else None
                if failed.reason == "paused":
                    raise
                if not failed.retry:
                    if service is not None:
                        service.succeeded()
                    raise
                if service is not None and not failed_before:
                    service.failed()
                failed_before = True
                # A pause is the host's wish, not this request's failure; up to a point.
                pause = failed.reason in _PAUSES
                matters = service is not None and self._matters(service, hosts)
                unreachable = failed.reason == "unreachable" and len(hosts) == 1 and matters
                pauses += pause
                tries += not pause and not unreachable
                if tries == MAX_TRIES or pauses == _MAX_PAUSES:
                    raise
                if matters and (unreachable or service.failures > _DOWN_AFTER):
                    self._wait_for(service, unreachable)
                else:
                    await asyncio.sleep(backoff(tries))
            else:
                for host in hosts:
                    host.succeeded()
                return result

    async def _follow(
        self, url: URL, hosts: list[_Host], max_bytes: int, headers: Mapping[str, str]
    ) -> Answer:
        """Gets a URL, following its redirects; appends the hosts that were asked to `hosts`."""
        first = url
        for _ in range(MAX_REDIRECTS + 1):
            host = self._checked_host(url)
            hosts.append(host)
            await host.turn(functools.partial(self._refuse_long_pause, host, hosts))
            self.requests[host.name] = self.requests.get(host.name, 0) + 1
            own = headers if url.origin() == first.origin() else {}
            try:
                async with self._session.get(url, headers=own, allow_redirects=False) as response:
                    if response.status in _REDIRECTS:
                        try:
                            url = url.join(URL(response.headers["Location"]))
                        except (KeyError, ValueError) as error:
                            raise FetchError("bad_redirect") from error
                        continue
                    if response.status in _PAUSING:
                        await self._pause(host, response.headers)
                        self._refuse_long_pause(host, hosts)
                    if response.status in _TRY_AGAIN or response.status >= 500:
                        raise FetchError(f"http_{response.status}")
                    body = await _read_body(response, max_bytes)
                    return Answer(response.status, response.content_type, body)
            except TimeoutError as error:
                raise FetchError("timeout") from error
            except aiohttp.ClientConnectorError as error:
                forbidden = isinstance(error.os_error, _ForbiddenAddressError)
                raise FetchError("forbidden_address" if forbidden else "unreachable") from error
            except (aiohttp.ClientPayloadError, aiohttp.ClientConnectionError, OSError) as error:
                raise FetchError("cut_off") from error
            except (aiohttp.ClientError, ValueError) as error:
                raise FetchError("not_http") from error
        raise FetchError("too_many_redirects")

    def _checked_host(self, url: URL) -> _Host:
        """Returns the host of a URL; refuses where no request may go, whoever says so."""
        origin = f"{url.scheme}://{url.raw_authority}"
        if origin not in self._origins:
            name = url.host or ""
            try:
                private = not _is_public(ipaddress.ip_address(name))
            except ValueError:
                # A name: the resolver looks at its addresses. Other spellings of an address,
                # such as 2130706433 and 127.1, are not told apart from names by all.
                private = name.replace(".", "").isdigit()
            secure = url.scheme == "https" or (url.scheme == "http" and is_loopback(name))
            if not name or not secure or url.user or (private and name not in self._trusted):
                raise FetchError("forbidden_address")
            self._origins[origin] = self._host(url.host_port_subcomponent)
        return self._origins[origin]

    def _host(self, name: str) -> _Host:
        if name not in self._hosts:
            rate = self._rates.get(name)
            self._hosts[name] = _Host(name, _RATE_MARGIN / rate if rate else 0.0)
        return self._hosts[name]

    async def _pause(self, host: _Host, headers: Mapping[str, str]) -> None:
        """Leaves a host alone for as long as it asks, or, if it doesn't say, backs off."""
        seconds = retry_after(headers)
        if seconds is None:
            host.back_off()
            return
        if host.pause(seconds) and self._on_pause is not None:
            await self._on_pause(host.name, seconds)

    def _refuse_long_pause(self, host: _Host, hosts: list[_Host]) -> None:
        """Raises an error if a host is to be left alone for longer than is waited for."""
        left = host.paused_until - time.monotonic()
        if left > self.max_wait:
            if self._matters(host, hosts):
                raise UnavailableError(host.name, left, "asks for a pause")
            raise FetchError("paused")  # and let others go on

    def _matters(self, host: _Host, hosts: list[_Host]) -> bool:
        """Returns whether a run ends if it can't have a host.

        A host that the user named does, and the one that it redirects to at once; and one that is
        asked first and did answer. One of the many servers behind these does not (the Cover Art
        Archive sends to archive.org, which sends to one of its machines), nor one that a single
        cover names.
        """
        named = hosts[0].name.partition(":")[0] in self._trusted
        return (named and host in hosts[:2]) or (host is hosts[0] and host.answered)

    def _wait_for(self, host: _Host, unreachable: bool) -> None:
        """Lets all requests wait for a host that is down, or gives up on it."""
        down = time.monotonic() - host.failing_since
        if unreachable and not host.answered and host.outages >= MAX_TRIES:
            raise UnavailableError(
                host.name, 0, "can't be reached: check the address and the network"
            )
        if down > self.max_wait:
            raise UnavailableError(host.name, 0, f"has been down for {down / 60:.0f} minutes")
        host.back_off()


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Returns the seconds that an answer asks to wait; None where it doesn't say.

    RFC 9110, 10.2.3: seconds or a date. A date is read against the server's own clock where it
    tells its time.
    """
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return min(float(value[:20]), _MAX_PAUSE_S)
    try:
        until = email.utils.parsedate_to_datetime(value).timestamp()
    except (ValueError, OverflowError):
        return None
    try:
        now = email.utils.parsedate_to_datetime(headers.get("Date", "")).timestamp()
    except (ValueError, OverflowError):
        now = time.time()
    return min(max(0.0, until - now), _MAX_PAUSE_S)


async def read_json(answer: Answer) -> dict[str, Any]:
    """Reads the JSON object of an answer, whatever its content type.

    Raises:
      FetchError: it holds none; "http_404" and the like where it is an error's.
    """
    if answer.status >= 400:
        raise FetchError(f"http_{answer.status}", retry=False)
    try:
        value = json.loads(answer.body)
    except (ValueError, RecursionError) as error:
        raise FetchError("malformed_json") from error
    if not isinstance(value, dict):
        raise FetchError("malformed_json")
    return value


def dicts(value: Any) -> list[dict[str, Any]]:
    """Returns the objects of a JSON list; none where it is no list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def natural(value: Any) -> int | None:
    """Returns a JSON number that can be a number of things; None where it is none."""
    return value if isinstance(value, int) and 0 <= value < _MAX_COUNT else None


def host_of(url: str) -> str:
    """Returns the name under which a URL's host is limited and counted."""
    return URL(url).host_port_subcomponent or ""


def is_loopback(host: str) -> bool:
    """Returns whether a host, a name or an address, is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _parse(url: str) -> URL:
    try:
        return URL(url)
    except ValueError as error:
        raise FetchError("bad_url", retry=False) from error


async def _read_body(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    """Reads no more of a body than is allowed, whatever length it says to have."""
    if (response.content_length or 0) > max_bytes:
        raise FetchError("too_large")
    chunks, length = [], 0
    async for chunk in response.content.iter_any():
        chunks.append(chunk)
        length += len(chunk)
        if length > max_bytes:
            raise FetchError("too_large")
    return b"".join(chunks)


def backoff(tries: int) -> float:
    """Returns seconds: exponential in the tries that failed, with jitter."""
    seconds = min(_BACKOFF_S * 2.0 ** min(tries, 16), _MAX_BACKOFF_S)
    return seconds * random.uniform(0.5, 1.0)


def _is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_global


class _ForbiddenAddressError(OSError):
    """A name leads to an address in a private network."""


class _Resolver(AbstractResolver):
    """Resolves names, but not to private addresses: no service has a reason to send us there."""

    def __init__(self, trusted: frozenset[str]):
        self._trusted = trusted
        self._resolver = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        if host not in self._trusted:
            found = [a for a in found if _is_public(ipaddress.ip_address(a["host"]))]
            if not found:
                raise _ForbiddenAddressError(f"{host} is in a private network")
        return found

    async def close(self) -> None:
        await self._resolver.close()
