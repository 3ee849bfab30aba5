import asyncio
import email.utils
import itertools
import time

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from dac.errors import UserError
from data_pipeline.addresses import is_loopback
from data_pipeline.answers import Answer, FetchError, read_json
from data_pipeline.hosts import Host, UnavailableError, retry_after
from data_pipeline.http import Client
from tests.loopback import Site

WEEK = 7 * 86_400  # the longest accepted pause


async def keep(answer: Answer) -> bytes:
    return answer.body


def fetch(handler, *, path="/", read=keep, max_bytes=1000, headers=None, **options):
    """Fetches from a site; returns the body or the error, and the site."""

    async def run():
        async with Site(handler) as site:
            options.setdefault("trusted", frozenset({"127.0.0.1"}))
            async with Client("Test/1", {}, **options) as client:
                try:
                    url = site.url + path
                    got = await client.fetch(url, read, max_bytes=max_bytes, headers=headers)
                except (FetchError, UnavailableError) as error:
                    got = error
        return got, site

    return asyncio.run(run())


# Waiting ----------------------------------------------------------------------------------------


@given(st.integers(0, 10**8))
def test_retry_after_in_seconds(seconds):
    assert retry_after({"Retry-After": str(seconds)}) == min(seconds, WEEK)


@given(st.integers(0, 10**6), st.integers(-(10**6), 10**6))
def test_retry_after_as_a_date_uses_the_server_clock(seconds, skew):
    now = 1_750_000_000 + skew
    dates = [email.utils.formatdate(when, usegmt=True) for when in (now, now + seconds)]
    assert retry_after({"Date": dates[0], "Retry-After": dates[1]}) == min(seconds, WEEK)


@given(st.text())
def test_invalid_retry_after_is_none_or_seconds(value):
    seconds = retry_after({"Retry-After": value})
    assert seconds is None or seconds >= 0


def test_turns_are_spaced_with_many_waiting():
    host = Host("a.example", interval=0.02)

    async def run():
        times = []

        async def one():
            await host.turn()
            times.append(time.monotonic())

        await asyncio.gather(*(one() for _ in range(15)))
        return times

    times = asyncio.run(run())
    assert min(b - a for a, b in itertools.pairwise(times)) > 0.018


def test_pause_also_holds_turns_that_already_wait():
    host = Host("a.example", interval=0.05)

    async def run():
        times = []

        async def one():
            await host.turn()
            times.append(time.monotonic())

        waiting = asyncio.gather(*(one() for _ in range(4)))
        await asyncio.sleep(0.07)  # two have had their turn
        host.pause(0.3)
        begin = time.monotonic()
        await waiting
        return begin, times

    begin, times = asyncio.run(run())
    assert [t for t in times if t > begin] == times[2:]
    assert min(times[2:]) >= begin + 0.3


def test_waiting_turn_is_refused_when_a_long_pause_follows():
    host = Host("a.example", interval=0.0)
    host.pause(0.1)

    def refuse():
        if host.paused_until - time.monotonic() > 60:
            raise FetchError("paused")

    async def run():
        waiting = [asyncio.create_task(host.turn(refuse)) for _ in range(3)]
        await asyncio.sleep(0.05)
        host.pause(86_400)
        return await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 5)

    assert [str(error) for error in asyncio.run(run())] == ["paused"] * 3


# Allowed addresses ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org/",
        "file:///etc/passwd",
        "https://10.0.0.1/",
        "https://192.168.1.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://127.0.0.2/",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[fd00::1]/",
        "https://2130706433/",  # 127.0.0.1
        "https://127.1/",
        "https://user:password@example.org/",
        "//example.org:0/",
        "https:///",
    ],
)
def test_redirect_to_a_forbidden_address_is_not_followed(url, monkeypatch):
    def handler(request, number):
        return web.Response(status=302, headers={"Location": url})

    monkeypatch.setattr("data_pipeline.hosts._BACKOFF_S", 0.001)
    error, site = fetch(handler)
    assert isinstance(error, FetchError)
    assert error.reason in ("forbidden_address", "bad_redirect")
    assert {path for _, path, _ in site.asked} == {"/"}


def test_redirect_to_http_is_asked_by_https(monkeypatch):
    """Its host does not exist: asked by http, it would be forbidden before it is looked up."""

    def handler(request, number):
        return web.Response(status=302, headers={"Location": "http://nowhere.invalid/x"})

    monkeypatch.setattr("data_pipeline.hosts._BACKOFF_S", 0.001)
    error, _ = fetch(handler)
    assert error.reason == "unreachable"


def test_answer_tells_all_urls_that_were_asked():
    async def urls(answer):
        return answer.urls

    def handler(request, number):
        if request.path == "/":
            return web.Response(status=307, headers={"Location": "/picture"})
        return web.Response(text="good")

    asked, site = fetch(handler, read=urls)
    assert asked == (f"{site.url}/", f"{site.url}/picture")


def test_proxy_of_the_environment_is_used(monkeypatch):
    """Also one in a private network; the server itself is not contacted."""

    async def run():
        async with Site(lambda r, n: web.Response(text=f"for {r.url}")) as proxy:
            monkeypatch.setenv("http_proxy", proxy.url.replace("127.0.0.1", "localhost"))
            monkeypatch.delenv("no_proxy", raising=False)
            async with Client("Test/1", {}, trusted=frozenset({"127.0.0.1"})) as client:
                return await client.fetch("http://127.0.0.1:9/x", keep, max_bytes=100)

    assert asyncio.run(run()) == b"for http://127.0.0.1:9/x"


@pytest.mark.parametrize("direct", ["localhost", "localhost,127.0.0.1,::1"])
def test_hosts_without_a_proxy_are_not_trusted_for_that(monkeypatch, direct):
    monkeypatch.setattr("data_pipeline.hosts._BACKOFF_S", 0.001)
    monkeypatch.setenv("no_proxy", direct)

    def handler(request, number):
        away = f"http://localhost:{request.url.port}/private"
        return web.Response(status=302, headers={"Location": away})

    error, site = fetch(handler)
    assert error.reason == "forbidden_address"
    assert {path for _, path, _ in site.asked} == {"/"}


def test_a_proxy_is_no_redirect_target(monkeypatch):
    monkeypatch.setattr("data_pipeline.hosts._BACKOFF_S", 0.001)

    async def run():
        async with Site(lambda r, n: web.Response(text="secret")) as proxy:
            address = proxy.url.replace("127.0.0.1", "localhost")
            monkeypatch.setenv("http_proxy", address)
            monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
            to = {"Location": f"{address}/admin"}
            client = Client("Test/1", {}, trusted=frozenset({"127.0.0.1"}))
            async with Site(lambda r, n: web.Response(status=302, headers=to)) as site, client:
                with pytest.raises(FetchError, match="forbidden_address"):
                    await client.fetch(site.url, keep, max_bytes=100)
            return proxy.asked

    assert asyncio.run(run()) == []


@pytest.mark.parametrize("name", ["https_proxy", "all_proxy"])
@pytest.mark.parametrize("value", ["socks5://127.0.0.1:1080", "http://[::1", "http://a:b"])
def test_unusable_proxies_are_refused(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match="http://host:port"):
        Client("Test/1", {})


def test_name_that_resolves_to_a_private_address_is_rejected(monkeypatch):
    monkeypatch.setattr("data_pipeline.hosts._BACKOFF_S", 0.001)

    async def run():
        async with Client("Test/1", {}) as client:
            with pytest.raises(FetchError, match="forbidden_address"):
                await client.fetch("https://localhost:1/", keep, max_bytes=10)

    asyncio.run(run())


def test_redirect_to_another_host_drops_the_token():
    async def run():
        async with Site(lambda r, n: web.Response(text="here")) as other:
            away = f"http://localhost:{other.url.rpartition(':')[2]}/x"

            def handler(request, number):
                return web.Response(status=307, headers={"Location": away})

            async with Site(handler) as first:
                trusted = frozenset({"127.0.0.1", "localhost"})
                async with Client("Test/1", {}, trusted=trusted) as client:
                    headers = {"Authorization": "Bearer secret"}
                    body = await client.fetch(first.url, keep, max_bytes=10, headers=headers)
        return body, first.asked, other.asked

    body, first, other = asyncio.run(run())
    assert body == b"here"
    assert first[0][2]["Authorization"] == "Bearer secret"
    assert "Authorization" not in other[0][2]
    assert other[0][2]["User-Agent"] == "Test/1"


@pytest.mark.parametrize(
    ("host", "loopback"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("a.b", False)]
)
def test_is_loopback(host, loopback):
    assert is_loopback(host) is loopback


# Responses --------------------------------------------------------------------------------------


def test_body_above_the_size_limit_is_rejected_even_compressed(monkeypatch):
    monkeypatch.setattr("data_pipeline.hosts._BACKOFF_S", 0.001)

    def compressed(request, number):
        answer = web.Response(body=b"0" * 500_000)
        answer.enable_compression(web.ContentCoding.gzip)
        return answer

    for handler in (lambda r, n: web.Response(body=b"0" * 1001), compressed):
        error, _ = fetch(handler)
        assert isinstance(error, FetchError)
        assert error.reason == "too_large"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 422])
def test_permanent_errors_are_not_retried(status):
    error, site = fetch(lambda r, n: web.Response(status=status), read=read_json)
    assert (error.reason, error.retry) == (f"http_{status}", False)
    assert len(site.asked) == 1


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503])
def test_transient_errors_are_retried(status, monkeypatch):
    monkeypatch.setattr("data_pipeline.hosts._BACKOFF_S", 0.001)
    body, site = fetch(lambda r, n: web.Response(status=status if n < 4 else 200, text="good"))
    assert body == b"good"
    assert len(site.asked) == 4


def test_request_is_given_up_after_five_attempts(monkeypatch):
    monkeypatch.setattr("data_pipeline.hosts._BACKOFF_S", 0.001)
    error, site = fetch(lambda r, n: web.Response(status=500))
    assert (error.reason, error.retry) == ("http_500", True)
    assert len(site.asked) == 5


def test_unreachable_host_ends_the_run(monkeypatch):
    monkeypatch.setattr("data_pipeline.hosts._BACKOFF_S", 0.001)

    async def run():
        async with Client("Test/1", {}, trusted=frozenset({"127.0.0.1"})) as client:
            with pytest.raises(UnavailableError, match="cannot be reached"):
                await client.fetch("http://127.0.0.1:9/", keep, max_bytes=10)

    asyncio.run(run())


def test_host_that_refuses_every_request_counts_as_down(monkeypatch):
    monkeypatch.setattr("data_pipeline.hosts._BACKOFF_S", 0.01)

    async def run():
        handler = lambda r, n: web.Response(status=503, headers={"Retry-After": "0"})  # noqa: E731
        async with Site(handler) as site:
            options = {"trusted": frozenset({"127.0.0.1"}), "max_wait": 0.3, "connections": 40}
            async with Client("Test/1", {}, **options) as client:
                requests = (client.fetch(f"{site.url}/{i}", keep, max_bytes=9) for i in range(40))
                return await asyncio.gather(*requests, return_exceptions=True)

    errors = asyncio.run(run())
    assert {type(error) for error in errors} == {UnavailableError}
    assert "has been down" in str(errors[0])


@pytest.mark.parametrize("away", [503, None])
def test_unavailable_redirect_target_does_not_end_the_run(away, monkeypatch):
    monkeypatch.setattr("data_pipeline.hosts._BACKOFF_S", 0.001)

    async def run():
        headers = {"Retry-After": "86400"}
        async with Site(lambda r, n: web.Response(status=away or 200, headers=headers)) as other:
            port = other.url.rpartition(":")[2] if away else "9"  # nothing listens there
            ends = {"/": "/next", "/next": f"http://localhost:{port}/x"}

            def handler(request, number):
                return web.Response(status=307, headers={"Location": ends[request.path]})

            async with Site(handler) as first:
                trusted = frozenset({"127.0.0.1", "localhost"})
                async with Client("Test/1", {}, trusted=trusted) as client:
                    with pytest.raises(FetchError) as error:
                        await client.fetch(first.url, keep, max_bytes=10)
        return error.value, len(other.asked)

    error, asked = asyncio.run(run())
    assert error.retry
    assert error.reason == ("paused" if away else "unreachable")
    assert asked == (1 if away else 0)


def test_pause_longer_than_max_wait_ends_the_run():
    paused = []

    async def on_pause(host, seconds):
        paused.append(seconds)

    def handler(request, number):
        return web.Response(status=429, headers={"Retry-After": "86400"})

    error, site = fetch(handler, max_wait=60.0, on_pause=on_pause)
    assert isinstance(error, UnavailableError)
    assert error.seconds == pytest.approx(86400)
    assert paused == [86400]
    assert len(site.asked) == 1


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b"[" * 100_000, b"\xff", b"NaN", b"3"])
def test_json_that_is_not_an_object_is_malformed(body):
    with pytest.raises(FetchError, match="malformed_json"):
        asyncio.run(read_json(Answer(200, "application/json", body)))
