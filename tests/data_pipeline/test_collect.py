"""Tests of a run in this process, with services on loopback."""

import asyncio
import contextlib
import io
import json
import os
import signal
import threading
import time

from aiohttp import web
from PIL import Image

from data_pipeline import collect, metadata, store
from data_pipeline.albums import Album, List
from data_pipeline.catalog import Catalog
from data_pipeline.choice import Choice
from data_pipeline.collect import Collector
from data_pipeline.http import Client
from data_pipeline.musicbrainz import MusicBrainz
from data_pipeline.progress import Progress
from tests.loopback import Site

KEYS = [f"{i:08x}-2a7d-3f0a-8a1f-3f1f5c0c6a5e" for i in range(3)]


def jpeg():
    data = io.BytesIO()
    Image.effect_noise((64, 64), 100).save(data, "JPEG")
    return data.getvalue()


def run(folder, respond, during=None):
    """Fetches the covers of three albums that are listed already."""

    async def collect_all(catalog):
        options = {"trusted": frozenset({"127.0.0.1"})}
        async with Site(respond) as site, Client("Test/1", {}, **options) as client:
            source = MusicBrainz(client, "https://unused.example", site.url, 500)
            collector = Collector(catalog, 2, Progress())
            task = asyncio.create_task(collector.run(client, source, Choice(genres=("dub",))))
            if during is not None:
                await during(collector)
            with contextlib.suppress(asyncio.CancelledError):
                await task

    with contextlib.closing(Catalog(folder, "musicbrainz")) as catalog:
        store.prepare(folder)
        catalog.store_albums(Album(key, genres=("dub",)) for key in KEYS)
        catalog.add_lists([List("genre", "dub", label="dub")])
        catalog.finish_list(catalog.next_list(["dub"], (0, 9999)), 3)
        asyncio.run(collect_all(catalog))
    return [json.loads(line) for line in (folder / "metadata.jsonl").read_text().splitlines()]


def test_metadata_is_written_by_one_at_a_time(tmp_path, monkeypatch):
    """The run ends while the periodic writer is at work."""
    writing, times = threading.Lock(), []
    write = metadata.write_metadata

    def slow_write(folder):
        assert writing.acquire(blocking=False), "two write at once"
        with contextlib.closing(contextlib.ExitStack()) as stack:
            stack.callback(writing.release)
            time.sleep(0.5)
            write(folder)
        times.append(time.monotonic())

    async def respond(request, number):
        await asyncio.sleep(0.3)
        return web.Response(body=jpeg(), content_type="image/jpeg")

    monkeypatch.setattr(collect, "write_metadata", slow_write)
    monkeypatch.setattr(collect, "_METADATA_S", 0.0)
    monkeypatch.setattr(collect, "_METADATA_SHARE", 0.0)
    assert len(run(tmp_path, respond)) == 3
    assert len(times) > 1


def test_file_that_is_being_written_at_the_end_is_recorded_with_its_source(tmp_path, monkeypatch):
    started = threading.Event()
    write = store.store

    def slow_store(folder, key, answer):
        started.set()
        time.sleep(0.5)
        return write(folder, key, answer)

    async def stop(collector):
        await asyncio.to_thread(started.wait)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(collect.store, "store", slow_store)
    respond = lambda r, n: web.Response(body=jpeg(), content_type="image/jpeg")  # noqa: E731
    lines = run(tmp_path, respond, stop)
    files = list((tmp_path / "images").rglob("*.jpg"))
    assert 1 <= len(lines) == len(files) <= 3
    assert all("picture_url" in line for line in lines)
