"""Tests of what the page does, without a browser; what comes from a page is hostile."""

import asyncio
import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dac.covers.conditions import FIELDS
from dac.covers.finishing import FINISHES
from dac.errors import UserError
from dac.making.make import draw, make
from dac.making.save import save_cover
from dac.making.settings import MAX_TURNS, Record, Settings, read_record
from dac.models import save_model
from tests.conftest import ONE_DEVICE
from tests.test_sampling import make_run

pytest.importorskip("gradio", reason="the page needs the extra `studio`")

from experiments.studio import links, markup, press, wall
from experiments.studio.page import Page, Visit
from experiments.studio.press import PRINT, Press
from experiments.studio.wall import COVERS, MAX_HISTORY, MIDDLE

HOSTILE = "<img src=x onerror=alert(1)> ${alert(2)} {{value}} ../../etc/passwd"


@pytest.fixture
def printer(config):
    return Press(make_run(config, conditions=FIELDS))


@pytest.fixture
def page(printer, tmp_path):
    """A page, made while a loop runs: without one, Gradio makes its own and leaves it open."""

    async def make_page() -> Page:
        return Page(printer, tmp_path)

    return asyncio.run(make_page())


def test_a_wall_that_the_visitor_left_is_not_printed(page):
    left = wall.first_wall(True)
    shown = wall.set_name("title", left, "Echo")
    visit = Visit(drawn=shown)  # as while `shown` is on its way
    _, *printed = page.print_wall(left, visit)
    assert printed == []
    _, counter, *strips = page.print_wall(shown, visit)
    assert "Echo" in counter[page.parts.counter]
    assert len(strips) == 3
    _, *printed_again = page.print_wall(shown, visit)
    assert printed_again == []
    assert len([*page.print_wall(left, Visit())]) == 5  # what the page came with


def test_new_covers_differ_by_their_seeds_alone():
    first = wall.set_name("artist", wall.set_genres(wall.first_wall(True), ["dub"]), " Echo ")
    new = wall.new_covers(wall.vary(first))
    assert len({cover.seed for cover in new.covers}) == COVERS
    for cover in new.covers:
        assert dataclasses.replace(cover, seed=0) == first.cover
    assert first.cover.artist == "Echo"


def test_variations_stand_around_the_cover_and_are_steps_from_it():
    first = wall.pick(wall.first_wall(True), "7")
    near = wall.vary(first)
    assert near.cover == near.covers[MIDDLE] == first.cover
    assert len({cover.toward for cover in near.covers}) == COVERS
    again = wall.vary(wall.pick(near, "0"), "far")
    ((*before, (_, step)),) = {cover.toward for cover in again.covers[:1]}
    assert tuple(before) == near.covers[0].toward
    assert step > near.covers[0].toward[0][1]


def test_variations_can_be_told_from_the_cover_and_the_far_ones_are_farther(printer):
    first = wall.first_wall(False)
    distances = []
    for step in ("near", "far"):
        covers = wall.vary(first, step).covers
        run = printer.run
        drawn = np.stack(
            [*make(run, [dataclasses.replace(c, finish="none") for c in covers], print)]
        )
        others = np.delete(drawn, MIDDLE, axis=0).astype(float)
        distances.append(np.abs(others - drawn[MIDDLE]).mean())
    assert 0 < distances[0] < distances[1]


def test_the_history_has_each_picked_cover_once_the_latest_first():
    seen = wall.first_wall(True)
    for index in ("1", "2", "1"):
        seen = wall.pick(seen, index)
    assert [cover.seed for cover in seen.history] == [1, 2]
    assert wall.recall(seen, "1").cover.seed == 2
    for _ in range(MAX_HISTORY):
        seen = wall.pick(wall.new_covers(seen), "0")
    assert len(seen.history) == MAX_HISTORY


@pytest.mark.parametrize(
    "action",
    [
        lambda w: wall.pick(w, "9"),
        lambda w: wall.pick(w, "-1"),
        lambda w: wall.pick(w, 1),
        lambda w: wall.pick(w, ["0"]),
        lambda w: wall.pick(w, "9" * 5000),
        lambda w: wall.recall(w, "0"),
        lambda w: wall.vary(w, "further"),
        lambda w: wall.set_name("artist", w, "x" * 201),
        lambda w: wall.set_name("artist", w, {"a": 1}),
        lambda w: wall.set_genres(w, [str(i) for i in range(7)]),
        lambda w: wall.set_genres(w, "dub"),
        lambda w: wall.set_weights(wall.set_genres(w, ["dub"]), -1),
        lambda w: wall.set_year(w, 99999),
        lambda w: wall.set_year(w, "soon"),
        lambda w: wall.set_year(w, float("nan")),
        lambda w: wall.set_layout(w, "x" * 2000),
        lambda w: wall.vary(wall.change(w, toward=((1, 0.1),) * MAX_TURNS)),
        lambda w: wall.restore(w, Record("m", (Settings(genre={str(i): 1.0 for i in range(7)}),))),
    ],
)
def test_what_no_page_sends_is_refused_in_one_line(action):
    with pytest.raises(UserError) as error:
        action(wall.first_wall(True))
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 200


@pytest.mark.parametrize(
    "changes",
    [
        {"genre": {"no such genre": 1.0}},
        {"finish": "gold"},
        {"layout": "no such layout"},
        {"font": HOSTILE},
        {"ink": "red"},
        {"artist": "\u200b"},
    ],
)
def test_settings_that_do_not_exist_here_are_refused_before_anything_is_drawn(printer, changes):
    with pytest.raises(UserError):
        printer.proofs([Settings(typeset=True, **changes)])


def test_a_link_brings_a_cover_back():
    cover = Settings(
        5, {"dub": 1.0, "r&b": 0.3}, 1979, HOSTILE, "椎名林檎 & 100% #1", ((3, 0.18),), typeset=True
    )
    assert links.read_link(links.link_of(cover, "m")) == Record("m", (cover,))
    assert (
        wall.restore(wall.first_wall(True), links.read_link(links.link_of(cover, "m"))).cover
        == cover
    )
    assert links.read_link("?__theme=dark") is None
    assert links.read_link("") is None
    assert links.read_link("?" + "&".join("abcdefghijklmno")) is None


@pytest.mark.parametrize(
    "query",
    [
        "?cover={",
        "?cover=%00",
        "?cover=" + "[" * 9999,
        '?cover={"format":1,"model":"m","same":{"seed":-1},"covers":[{}]}',
        '?cover={"format":1,"model":"m","same":{"__class__":1},"covers":[{}]}',
        "?cover=" + "x" * 30_000,
        None,
        7,
    ],
)
def test_a_damaged_link_is_refused_in_one_line(query):
    with pytest.raises(UserError, match=r"^the link .*[^\n]$") as error:
        links.read_link(query)
    assert len(str(error.value)) < 200


def test_an_upload_is_read_and_removed_and_errors_tell_no_folder(tmp_path):
    path = tmp_path / "cover.png"
    record = Record("m", (Settings(3),))
    save_cover(np.zeros((8, 8, 3), np.uint8), path, record)
    assert links.read_upload(str(path)) == record
    assert not path.exists()
    for content in (b"", b"GIF89a", b"\x89PNG\r\n\x1a\n" + bytes(99)):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"^cover\.png is no PNG") as error:
            links.read_upload(str(path))
        assert str(tmp_path) not in str(error.value)
        assert not path.exists()


def test_a_sheet_comes_back_as_it_is_and_a_cover_among_its_variations():
    covers = tuple(Settings(seed, size=512, bleed=3.0) for seed in range(16))
    sheet = wall.restore(wall.first_wall(True), Record("m", covers, columns=4))
    assert sheet.covers == tuple(Settings(seed) for seed in range(COVERS))
    one = wall.restore(wall.first_wall(True), Record("m", covers[7:8]))
    assert one.cover == one.covers[MIDDLE] == Settings(7)


def test_texts_are_never_html():
    cover = Settings(artist=HOSTILE, title="'\"><script>", genre={"<b>": 1.0})
    told = markup.counter(cover, 1, "data:,", links.link_of(cover, "'\"<m>"), printed=True)
    told += markup.status(HOSTILE, bad=True) + markup.strip(HOSTILE, [(HOSTILE, HOSTILE, "")], "")
    assert "<img src=x" not in told
    assert "<script" not in told
    assert "<b>&lt;b&gt;" not in told
    assert told.count("onerror=") == told.count("&lt;img src=x onerror=")


def test_a_download_carries_its_settings_and_can_be_made_again_to_the_byte(printer, tmp_path):
    cover = Settings(
        3, {"dub": 2.0, "ambient": 1.0}, 1979, "Iron Hollow", "../../x", ((9, 0.4),), 0.8,
        finish="none", typeset=True,
    )  # fmt: skip
    path = printer.save(cover, ".png", tmp_path)
    assert path.parent.parent == tmp_path
    assert path.name == "iron-hollow-x-3.png"
    record = read_record(path)
    assert record == Record(printer.model, (dataclasses.replace(cover, size=PRINT),))
    with Image.open(path) as picture:
        assert picture.size == (PRINT, PRINT)
    (again,) = make(printer.run, record.covers, pytest.fail)
    save_cover(again, tmp_path / "again.png", record)
    assert (tmp_path / "again.png").read_bytes() == path.read_bytes()
    with pytest.raises(UserError, match="saved as"):
        printer.save(cover, ".exe", tmp_path)


def test_inks_are_of_the_cover_and_the_one_that_was_asked_for_is_among_them(printer):
    cover = Settings(1, artist="Echo", typeset=True, ink="#123456")
    inks = dict(printer.swatches(cover))
    assert len(inks) == press.INKS + 3
    assert "#123456" in inks
    for ink in inks:
        printer.proofs([dataclasses.replace(cover, ink=ink)])
    assert set(inks) != set(dict(printer.swatches(dataclasses.replace(cover, seed=2))))


def test_a_download_with_bleed_is_larger(printer, tmp_path, monkeypatch):
    monkeypatch.setattr(press, "PRINT", 300)
    path = printer.save(Settings(finish="none"), ".png", tmp_path, bleed=3.0)
    (cover,) = read_record(path).covers
    assert (cover.size, cover.bleed) == (300, 3.0)
    with Image.open(path) as picture:
        assert picture.size == (300 + 2 * 35, 300 + 2 * 35)  # 35 pixels are 3 mm at 300 dpi


def test_prints_of_a_cover_share_its_drawing(printer, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        press, "draw", lambda run, covers, albums: drawn.append(1) or draw(run, covers, albums)
    )
    cover = Settings(1, artist="Echo", title="Version", typeset=True)
    prints = [printer.preview(cover), *dict(printer.finishes(dataclasses.replace(cover, seed=1)))]
    assert len(prints) == 1 + len(FINISHES) + 1
    assert len(drawn) == 1
    list(printer.layouts(dataclasses.replace(cover, layout="corner")))
    assert len(drawn) == 1
    printer.preview(dataclasses.replace(cover, title="Other"))
    assert len(drawn) == 2


def test_jpeg_and_pdf_are_saved(printer, tmp_path, monkeypatch):
    monkeypatch.setattr(press, "PRINT", 300)
    for suffix, start in ((".jpg", b"\xff\xd8"), (".pdf", b"%PDF")):
        path = printer.save(Settings(finish="none"), suffix, tmp_path)
        assert path.read_bytes().startswith(start)


def test_names_that_the_generator_does_not_know_are_set_in_type_only(config):
    printer = Press(make_run(config, conditions=("genres",)))
    named = Settings(artist="Echo", title="Version", typeset=True)
    ((with_names,), _), ((without,), _) = (
        printer.proofs([cover]) for cover in (named, dataclasses.replace(named, typeset=False))
    )
    assert without == printer.proofs([Settings()])[0][0]
    assert with_names != without


SHOWN = """
import json, sys
from pathlib import Path
from dac.models import load_model
from experiments.studio import page
from experiments.studio.press import Press

for folder in sys.argv[1:]:
    shop = page.Page(Press(load_model(folder)), Path(folder))
    parts = shop.parts
    names = all(box.visible for box in parts.names.values())
    fonts = "fonts.googleapis" in json.dumps(shop.demo.config["components"], default=str)
    print(parts.genres.visible, parts.when.visible, names, fonts)
"""


def test_the_page_shows_only_what_the_generator_was_trained_on(config, tmp_path):
    """In a process of its own: Gradio leaves event loops to the garbage collector."""
    cases = {"all": FIELDS, "genres": ("genres",), "year": ("year",), "none": ()}
    for name, fields in cases.items():
        save_model(make_run(config, conditions=fields), tmp_path / name)
    result = subprocess.run(
        [sys.executable, "-c", SHOWN, *(str(tmp_path / name) for name in cases)],
        env=ONE_DEVICE | {"GRADIO_ANALYTICS_ENABLED": "False"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    # Names can always be set in type; no font is asked for elsewhere.
    assert result.stdout.splitlines() == [
        f"{'genres' in fields} {'year' in fields} True False" for fields in cases.values()
    ]


def test_pictures_made_before_are_kept_but_not_without_end(printer, monkeypatch):
    monkeypatch.setattr(press, "KEPT", 12)
    first = wall.first_wall(False)
    for _ in range(3):
        first = wall.new_covers(first)
        pictures, _ = printer.proofs(first.covers)
        assert printer.proofs(first.covers)[0] == pictures
        assert len(printer._pictures) <= 12
