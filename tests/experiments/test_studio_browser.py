"""Tests of the page in Chromium, as people use it."""

import dataclasses
import shutil
import signal
import socket
import subprocess
import sys
import urllib.parse
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dac.covers.conditions import FIELDS
from dac.making.make import make
from dac.making.save import save_cover
from dac.making.settings import Record, read_record
from dac.models import load_model, save_model
from tests.conftest import ONE_DEVICE, small_config
from tests.test_sampling import make_run

pytest.importorskip("gradio", reason="the page needs the extra `studio`")
sync_api = pytest.importorskip("playwright.sync_api", reason="it needs the extra `browser`")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
if CHROMIUM is None:
    pytest.skip("it needs Chromium: apt-get install chromium", allow_module_level=True)

PRINT = 3000
SECONDS = 60_000  # milliseconds; machines of tests are busy
HOSTILE = "<b>Iron</b> ${alert(1)} {{x}}"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model folder of random numbers."""
    folder = tmp_path_factory.mktemp("page") / "model"
    save_model(make_run(small_config(), conditions=FIELDS), folder)
    return folder


@pytest.fixture(scope="module")
def address(model):
    """The page, served by the command."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "experiments.studio", f"--model={model}", f"--port={port}"]
    with subprocess.Popen(
        command, cwd=Path(__file__).parents[2], env=ONE_DEVICE, stdout=subprocess.PIPE, text=True
    ) as server:
        line = server.stdout.readline()
        assert line == f"http://127.0.0.1:{port} (Ctrl-C stops)\n"
        yield f"http://127.0.0.1:{port}"
        server.send_signal(signal.SIGINT)
        assert server.wait(30) == 0


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser, address):
    """Returns a function that opens the page; then checks that no page failed or went elsewhere."""
    contexts, requests, errors = [], [], []

    def open_page(query="", **options):
        context = browser.new_context(**options)
        contexts.append(context)
        context.set_default_timeout(SECONDS)
        opened = context.new_page()
        opened.on("request", lambda request: requests.append(request.url))
        opened.on("pageerror", lambda error: errors.append(str(error)))
        opened.on("dialog", lambda dialog: errors.append(f"dialog: {dialog.message}"))
        opened.on(
            "console",
            lambda said: errors.append(said.text) if said.type == "error" else None,
        )
        opened.goto(address + query)
        opened.wait_for_selector("#counter img")
        return opened

    yield open_page
    for context in contexts:
        context.close()
    assert len(requests) > 10
    assert [url for url in requests if not url.startswith((address, "data:", "blob:"))] == []
    assert errors == []


def counter_has(page, text):
    page.locator("#counter", has_text=text).wait_for()


def pictures(page):
    return [image.get_attribute("src") for image in page.locator("#wall img").all()]


def download(page, button, path):
    with page.expect_download() as waiting:
        page.click(button)
    waiting.value.save_as(path)
    return waiting.value.suggested_filename


def test_a_cover_is_made_varied_downloaded_and_brought_back(visit, model, tmp_path):
    page = visit(accept_downloads=True)
    assert len(set(pictures(page))) == 9
    page.fill("#artist input", HOSTILE)
    counter_has(page, HOSTILE)  # as text
    page.fill("#title input", "Cathedral")
    counter_has(page, "Cathedral")
    page.click("#genres input")
    page.keyboard.type("thra")
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    counter_has(page, "thrash metal")
    before = pictures(page)
    page.focus("#year input[type=range]")
    page.keyboard.press("ArrowRight")
    counter_has(page, "1988")
    assert pictures(page) != before
    page.click("#finishes button[value=none]")
    page.locator("#finishes button[value=none][aria-pressed=true]").wait_for()
    page.locator("#inks img").nth(2).wait_for()
    ink = page.locator("#inks button").nth(3).get_attribute("value")
    page.click(f"#inks button[value='{ink}']")
    page.locator(f"#inks button[value='{ink}'][aria-pressed=true]").wait_for()

    page.focus("#wall button[value='0']")
    for key in ("ArrowRight", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    counter_has(page, "No. 5")
    page.locator("#history img").wait_for()
    page.click("#vary")
    page.locator("#status p").wait_for(state="attached")
    page.click("#wall button[value='8']")
    counter_has(page, "No. 9")
    counter_has(page, "varied 1x")

    page.check("#bleed input")
    name = download(page, "#png", tmp_path / "cover.png")
    assert name == "b-iron-b-alert-1-x-cathedral-4.png"
    record = read_record(tmp_path / "cover.png")
    (cover,) = record.covers
    assert (cover.seed, cover.artist, cover.title) == (4, HOSTILE, "Cathedral")
    assert (cover.genre, cover.year) == ({"thrash metal": 1.0}, 1988)
    assert (cover.finish, cover.size, len(cover.toward)) == ("none", PRINT, 1)
    assert (cover.ink, cover.bleed) == (ink, 3.0)
    (again,) = make(load_model(model), record.covers, pytest.fail)
    save_cover(again, tmp_path / "again.png", record)
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / "cover.png").read_bytes()
    download(page, "#pdf", tmp_path / "cover.pdf")
    assert (tmp_path / "cover.pdf").read_bytes().startswith(b"%PDF")

    link = page.url
    other = visit()
    other.set_input_files("#upload input[type=file]", tmp_path / "cover.png")
    counter_has(other, "varied 1x")
    assert other.input_value("#artist input") == HOSTILE
    assert other.input_value("#year input[type=number]") == "1988"
    assert not other.is_checked("#when input[type=checkbox]")
    kept = {"seed": 0, "toward": ()}
    restored = links_cover(other.url)
    assert restored == dataclasses.replace(cover, size=None, bleed=0.0)
    other.click("#new")  # a remix
    other.wait_for_function("old => location.href != old", arg=other.url)
    remix = links_cover(other.url)
    assert remix.seed != cover.seed
    assert dataclasses.replace(remix, **kept) == dataclasses.replace(restored, **kept)

    third = visit(link[link.index("?") :])
    counter_has(third, "varied 1x")
    assert links_cover(third.url) == restored


def links_cover(url):
    values = urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)["cover"]
    return Record.from_json(values[0]).covers[0]


def test_two_people_at_once_get_their_own(visit, tmp_path):
    pages_of = [visit(accept_downloads=True), visit(accept_downloads=True)]
    names = ("Echo", "Hollow")
    for person, name in zip(pages_of, names, strict=True):
        person.fill("#title input", name)
        person.click("#finishes button[value=none]")
    for index, person in zip(("3", "6"), pages_of, strict=True):
        person.click(f"#wall button[value='{index}']")
    for index, person, name in zip((3, 6), pages_of, names, strict=True):
        counter_has(person, f"No. {index + 1}")
        counter_has(person, name)
        person.locator("#finishes button[value=none][aria-pressed=true]").wait_for()
        assert person.locator("#history img").count() == 1
        download(person, "#png", tmp_path / f"{name}.png")
        (cover,) = read_record(tmp_path / f"{name}.png").covers
        assert (cover.seed, cover.title, cover.finish) == (index, name, "none")


def test_after_errors_the_page_says_what_was_wrong_and_goes_on(visit, tmp_path):
    page = visit("?" + urllib.parse.urlencode({"cover": '{"<img src=x onerror=alert(1)>":1}'}))
    page.locator("#status .bad", has_text="the link can't be read").wait_for()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "<b>other.png")
    page.set_input_files("#upload input[type=file]", tmp_path / "<b>other.png")
    page.locator("#status .bad", has_text="carries no settings").wait_for()
    (tmp_path / "bad.png").write_bytes(b"no PNG")
    page.set_input_files("#upload input[type=file]", tmp_path / "bad.png")
    page.locator("#status .bad", has_text="no PNG that can be read").wait_for()
    assert str(tmp_path) not in page.inner_text("#status")
    page.fill("#artist input", "\u200b")
    page.locator("#status .bad", has_text="blank").wait_for()
    page.fill("#artist input", "Echo")
    counter_has(page, "Echo")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_a_phone_and_can_be_read(visit, scheme):
    page = visit(viewport={"width": 375, "height": 700}, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    light = page.evaluate(
        "getComputedStyle(document.querySelector('.gradio-container')).backgroundColor"
    )
    assert (light == "rgb(24, 24, 24)") == (scheme == "dark")
    unnamed = page.evaluate(
        """[...document.querySelectorAll('main :is(button, input):not([type=file])')]
        .filter(e => e.offsetParent && !e.ariaLabel && !e.innerText.trim() && !e.labels?.length)
        .map(e => e.outerHTML)"""
    )
    assert unnamed == []
