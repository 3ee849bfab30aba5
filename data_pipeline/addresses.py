"""Which addresses may be asked: public ones by https, hosts that the user named, this machine."""

import ipaddress
from typing import Any
from urllib.request import getproxies

from aiohttp.abc import ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from dac.errors import UserError


def is_loopback(host: str) -> bool:
    """Returns whether a host name or address is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_allowed(url: URL, trusted: frozenset[str]) -> bool:
    """Returns whether a URL may be asked, as far as can be told before its name is resolved.

    Args:
      url: the URL.
      trusted: hosts, without ports, that the user named; they may have private addresses.
    """
    host = url.host or ""
    secure = url.scheme == "https" or (url.scheme == "http" and is_loopback(host))
    # Spellings of an address such as 2130706433 and 127.1 may pass for names.
    is_address = ":" in host or host.replace(".", "").isdigit()
    public = host in trusted or not is_address or _is_public(host)
    return bool(host) and secure and public and not url.user


def by_https(url: URL) -> URL:
    """Returns the https form of an http URL, unless it is of this machine."""
    insecure = url.scheme == "http" and not is_loopback(url.host or "")
    return url.with_scheme("https") if insecure and url.port in (None, 80) else url


class ForbiddenAddressError(OSError):
    """A host name resolves to a private address."""


class Resolver(ThreadedResolver):
    """Resolves names; rejects private addresses, which no public service has reason to use."""

    def __init__(self, trusted: frozenset[str]):
        super().__init__()
        self._trusted = trusted

    async def resolve(self, host: str, *args: Any, **kwargs: Any) -> list[ResolveResult]:
        """Returns the allowed addresses of a name."""
        found = await super().resolve(host, *args, **kwargs)
        allowed = [one for one in found if host in self._trusted or _is_public(one["host"])]
        if not allowed:
            raise ForbiddenAddressError(f"{host} is in a private network")
        return allowed


def find_proxies() -> dict[str, URL]:
    """Returns the proxies of the environment by the scheme of the requests.

    aiohttp's own way to find them would also send the passwords of .netrc.

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


def _is_public(address: str) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return (getattr(found, "ipv4_mapped", None) or found).is_global
