"""A polite HTTP client: rate limits, pauses, retries and bounds on everything.

Servers are untrusted. Whatever they send, redirect targets, bytes read and time spent are limited.
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
from urllib.request import getproxies, proxy_bypass

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from dac.errors import UserError

_T = TypeVar("_T")

MAX_REDIRECTS = 5
MAX_TRIES = 5  # per request, not counting pauses and outages of the host
_REDIRECTS = (301, 302, 303, 307, 308)
_TRY_AGAIN = (408, 425, 429)  # and 5xx; any other 4xx would only repeat
_PAUSING = (429, 503)
_PAUSES = tuple(f"http_{status}" for status in _PAUSING)

# Exponential backoff: base and maximum.
_BACKOFF_S = 0.5
_MAX_BACKOFF_S = 60.0

# Requests are spaced this much wider than the rate requires, as clocks and networks are inexact.
_RATE_MARGIN = 1.02

# A host counts as down after this many requests in a row failed on their first try. All requests to
# it then wait between tries.
_DOWN_AFTER = 20

_MAX_PAUSES = 20  # per request

_DNS_CACHE_S = 600
_CONNECT_S = 10.0
_SILENCE_SHARE = 3  # a request may receive nothing for a third of its time
_MAX_PAUSE_S = 7 * 86_400.0  # anything longer is a mistake
_MAX_COUNT = 10**9  # larger counts are invalid


class FetchError(Exception):
    """A request failed.

    Attributes:
      reason: one word, such as "timeout", "http_404" or "malformed_json".
      retry: whether a retry may succeed.
    """

    def __init__(self, reason: str, retry: bool = True):
        super().__init__(reason)
        self.reason = reason
        self.retry = retry


class UnavailableError(Exception):
    """A host asked for a pause longer than `max_wait`, or was down for longer.

    Attributes:
      seconds: the remaining pause in seconds, 0 if unknown.
    """

    def __init__(self, host: str, seconds: float, why: str):
        super().__init__(f"{host} {why}")
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class Answer:
    """A final response: no redirect, no reason to retry.

    Attributes:
      status: 2xx, or a 4xx that a retry would not change.
      type: the content type in lower case, without parameters.
      body: the body, at most `max_bytes` long.
      urls: the URLs that were asked: the first one, and where it redirected to.
    """

    status: int
    type: str
    body: bytes
    urls: tuple[str, ...] = ()


@dataclass(slots=True)
class _Host:
    """The state of a host; times are on the monotonic clock.

    Attributes:
      name: the host name, with the port unless it is the default.
      interval: the seconds between requests.
      free_at: when the rate limit allows the next request.
      paused_until: when the current pause ends.
      answered: whether any response was usable so far.
      failures: the number of failed requests since the last usable response.
      failing_since: the time of the first of these failures.
      outages: the number of backoffs since the last usable response.
      outage_until: when the last backoff ends.
      queue: the lock held by the next request.
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
        """Waits until a request may be sent (a token bucket of size one).

        Args:
          refuse: called before each wait; raises an error if the wait would be too long.
        """
        async with self.queue:
            # Both times may change during the sleep.
            while (left := max(self.free_at, self.paused_until) - time.monotonic()) > 0:
                refuse()
                await asyncio.sleep(left)
            self.free_at = time.monotonic() + self.interval

    def pause(self, seconds: float) -> bool:
        """Starts or extends a pause; returns whether it grew by more than a second."""
        until = time.monotonic() + seconds
        longer = until > max(self.paused_until, time.monotonic()) + 1
        self.paused_until = max(self.paused_until, until)
        return longer

    def back_off(self) -> None:
        """Pauses with exponential backoff; requests refused at the same time count once."""
        now = time.monotonic()
        if now >= self.outage_until:
            self.outages += 1
            self.outage_until = now + backoff(self.outages)
            self.paused_until = max(self.paused_until, self.outage_until)

    def succeeded(self) -> None:
        """Records a usable response."""
        self.answered, self.failures, self.outages = True, 0, 0

    def failed(self) -> None:
        """Records a failed request."""
        if not self.failures:
            self.failing_since = time.monotonic()
        self.failures += 1


class Client:
    """A polite HTTP client; use it as an asynchronous context manager.

    Attributes:
      requests: the number of requests sent so far, by host.
      max_wait: the longest pause to wait for, in seconds.
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
          user_agent: the User-Agent header, which identifies the caller.
          rates: requests per second by host; 0 or no entry means no limit but `connections`.
          trusted: hosts, without ports, that the user named; they may have private addresses.
          connections: the maximum number of connections per host.
          timeout: the seconds that a whole request may take, including its body.
          max_wait: the longest pause to wait for, in seconds.
          pauses: the remaining seconds of pauses from an earlier process, by host.
          on_pause: called with the host and the seconds of each requested pause above a second.
        """
        self._user_agent = user_agent
        self._rates = rates
        self._trusted = trusted
        self._connections = connections
        self._timeout = timeout
        self.max_wait = max_wait
        self._on_pause = on_pause
        self._hosts: dict[str, _Host] = {}
        self._origins: dict[str, _Host] = {}  # allowed, by scheme and host
        for name, seconds in (pauses or {}).items():
            self._host(name).pause(seconds)
        self.requests: dict[str, int] = {}
        # As for Spotify's tokens. aiohttp's own way to find proxies would also read .netrc.
        self._proxies = _proxies()
        self._proxy_hosts = {url.host for url in self._proxies.values()} - trusted

    async def __aenter__(self) -> "Client":
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,
                limit_per_host=self._connections,
                ttl_dns_cache=_DNS_CACHE_S,
                resolver=_Resolver(self._trusted | self._proxy_hosts),
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
        data: Mapping[str, str] | None = None,
    ) -> _T:
        """Gets a URL, with retries, and passes the response to `read`.

        Args:
          url: an https URL, or http on loopback.
          read: converts the response; raises `FetchError` if it is unusable.
          max_bytes: the maximum length of the body.
          headers: extra headers, sent only to the URL's own origin and not to redirect targets.
          data: the fields of a form to post; such a request is not redirected.

        Returns:
          The result of `read`.

        Raises:
          FetchError: the request failed.
          UnavailableError: a host asked for a pause longer than `max_wait`, or was down for longer.
        """
        tries = pauses = 0
        failed_before = False
        while True:
            hosts: list[_Host] = []
            try:
                answer = await self._follow(_parse(url), hosts, max_bytes, headers or {}, data)
                result = await read(answer)
            except FetchError as failed:
                # The first host is responsible for the hosts that it redirects to.
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
                # Pauses are not failures of this request, up to a limit.
                pause = failed.reason in _PAUSES
                required = service is not None and self._is_required(service, hosts)
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
        url: URL,
        hosts: list[_Host],
        max_bytes: int,
        headers: Mapping[str, str],
        data: Mapping[str, str] | None,
    ) -> Answer:
        """Gets a URL and follows redirects; appends each contacted host to `hosts`."""
        first = url
        urls: list[str] = []
        for _ in range(MAX_REDIRECTS + 1):
            urls.append(str(url))
            host = self._checked_host(url)
            hosts.append(host)
            await host.turn(functools.partial(self._refuse_long_pause, host, hosts))
            self.requests[host.name] = self.requests.get(host.name, 0) + 1
            own = headers if url.origin() == first.origin() else {}
            try:
                proxy = None if proxy_bypass(url.host or "") else self._proxies.get(url.scheme)
                async with self._session.request(
                    "GET" if data is None else "POST",
                    url,
                    data=data,
                    headers=own,
                    allow_redirects=False,
                    proxy=proxy,
                ) as response:
                    if response.status in _REDIRECTS:
                        if data is not None:
                            raise FetchError("bad_redirect")
                        try:
                            url = _secure(url.join(URL(response.headers["Location"])))
                        except (KeyError, ValueError) as error:
                            raise FetchError("bad_redirect") from error
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
                forbidden = isinstance(error.os_error, _ForbiddenAddressError)
                raise FetchError("forbidden_address" if forbidden else "unreachable") from error
            except (aiohttp.ClientPayloadError, aiohttp.ClientConnectionError, OSError) as error:
                raise FetchError("cut_off") from error
            except (aiohttp.ClientError, ValueError) as error:
                raise FetchError("not_http") from error
        raise FetchError("too_many_redirects")

    def _checked_host(self, url: URL) -> _Host:
        """Returns the host of a URL; raises `FetchError` if requests to it are forbidden."""
        origin = f"{url.scheme}://{url.raw_authority}"
        if origin not in self._origins:
            name = url.host or ""
            try:
                private = not _is_public(ipaddress.ip_address(name))
            except ValueError:
                # The resolver checks the addresses of names. Other spellings of an address, such
                # as 2130706433 and 127.1, may pass for names.
                private = name.replace(".", "").isdigit()
            secure = url.scheme == "https" or (url.scheme == "http" and is_loopback(name))
            private = private and name not in self._trusted
            # A proxy may be in a private network, but is no page to fetch.
            if not name or not secure or url.user or private or name in self._proxy_hosts:
                raise FetchError("forbidden_address")
            self._origins[origin] = self._host(url.host_port_subcomponent)
        return self._origins[origin]

    def _host(self, name: str) -> _Host:
        if name not in self._hosts:
            rate = self._rates.get(name)
            self._hosts[name] = _Host(name, _RATE_MARGIN / rate if rate else 0.0)
        return self._hosts[name]

    async def _pause(self, host: _Host, headers: Mapping[str, str]) -> None:
        """Pauses for as long as a host asks, or backs off if it gives no time."""
        seconds = retry_after(headers)
        if seconds is None:
            host.back_off()
            return
        if host.pause(seconds) and self._on_pause is not None:
            await self._on_pause(host.name, seconds)

    def _refuse_long_pause(self, host: _Host, hosts: list[_Host]) -> None:
        """Raises an error if a host's pause is longer than `max_wait`."""
        left = host.paused_until - time.monotonic()
        if left > self.max_wait:
            if self._is_required(host, hosts):
                if host.paused_until <= host.outage_until:  # a backoff; the host asked for nothing
                    raise _down(host)
                raise UnavailableError(host.name, left, "asked for a long pause")
            raise FetchError("paused")  # other covers can still be fetched

    def _is_required(self, host: _Host, hosts: list[_Host]) -> bool:
        """Returns whether the run must end if a host is unavailable.

        The run needs the hosts that the user named, the hosts that these redirect to first, and the
        first host of any request once it has answered. It does not need the many servers behind
        them (the Cover Art Archive redirects to archive.org, which redirects to one of its
        machines), or a host that is only in a cover's URL and never answered.
        """
        named = hosts[0].name.partition(":")[0] in self._trusted
        return (named and host in hosts[:2]) or (host is hosts[0] and host.answered)

    def _wait_for(self, host: _Host, unreachable: bool) -> None:
        """Makes all requests wait for a host that is down, or gives up on it."""
        down = time.monotonic() - host.failing_since
        if unreachable and not host.answered and host.outages >= MAX_TRIES:
            raise UnavailableError(
                host.name, 0, "cannot be reached: check the address and the network"
            )
        if down > self.max_wait:
            raise _down(host)
        host.back_off()


def _down(host: _Host) -> UnavailableError:
    minutes = (time.monotonic() - host.failing_since) / 60
    return UnavailableError(host.name, 0, f"has been down for {minutes:.0f} minutes")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Returns the value of the Retry-After header in seconds, None if missing or invalid.

    The header has seconds or a date (RFC 9110, 10.2.3). A date is compared with the server's own
    Date header, if there is one.
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
    """Returns the JSON object in a response of any content type.

    Raises:
      FetchError: there is no JSON object, or the status is an error ("http_404").
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
    """Returns the objects in a JSON list, empty if the value is not a list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def natural(value: Any) -> int | None:
    """Returns a JSON value if it is a valid count, else None."""
    return value if isinstance(value, int) and 0 <= value < _MAX_COUNT else None


def host_of(url: str) -> str:
    """Returns the name of a URL's host as used in `rates` and `requests`."""
    return URL(url).host_port_subcomponent or ""


def is_loopback(host: str) -> bool:
    """Returns whether a host name or address is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _secure(url: URL) -> URL:
    """Returns the https form of an http URL, unless it is of this machine."""
    insecure = url.scheme == "http" and not is_loopback(url.host or "")
    return url.with_scheme("https") if insecure and url.port in (None, 80) else url


def _proxies() -> dict[str, URL]:
    """Returns the proxies of the environment by the scheme of the requests.

    Raises:
      UserError: one is no URL of an HTTP proxy.
    """
    found = getproxies()
    proxies = {}
    for scheme in ("http", "https"):
        if not (given := found.get(scheme) or found.get("all")):
            continue
        try:
            url = URL(given if "://" in given else f"http://{given}")
            usable = url.scheme in ("http", "https") and url.host and url.port
        except ValueError:
            usable = False
        if not usable:  # it is not shown, as it may contain a password
            raise UserError(
                f"the proxy in {scheme}_proxy or all_proxy must be like http://host:port; correct "
                "the variable, or unset it"
            )
        proxies[scheme] = url
    return proxies


def _parse(url: str) -> URL:
    try:
        return URL(url)
    except ValueError as error:
        raise FetchError("bad_url", retry=False) from error


async def _read_body(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    """Reads a body; raises `FetchError` above `max_bytes`, whatever Content-Length says."""
    if (response.content_length or 0) > max_bytes:
        raise FetchError("too_large")
    try:
        await response.content.readexactly(max_bytes + 1)
    except asyncio.IncompleteReadError as whole:
        return whole.partial
    raise FetchError("too_large")


def backoff(tries: int) -> float:
    """Returns a delay in seconds, exponential in the number of failed tries, with jitter."""
    seconds = min(_BACKOFF_S * 2.0 ** min(tries, 16), _MAX_BACKOFF_S)
    return seconds * random.uniform(0.5, 1.0)


def _is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_global


class _ForbiddenAddressError(OSError):
    """A host name resolves to a private address."""


class _Resolver(AbstractResolver):
    """Resolves names; rejects private addresses, which no public service has reason to use."""

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
