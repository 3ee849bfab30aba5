"""Typesetting, tested by measuring pictures: 200 hard names, over all layouts, on hard pictures."""

import json
import random
import subprocess
import sys
import unicodedata

import numpy as np
import pytest
from PIL import Image, ImageFilter
from skimage import data

from dac.covers import typesetting
from dac.covers.typesetting import _printed, setting
from dac.covers.typesetting.fonts import PAIRINGS
from dac.covers.typesetting.manner import choose_font, choose_layout
from dac.covers.typesetting.sleeve import MARGIN
from dac.covers.typesetting.text import Name, name_of
from dac.errors import UserError
from data_pipeline.demo_covers.layouts import LAYOUTS as DEMO_GENRES
from tests.covers.typesetting.hard_names import HARD, LONG

SIDE = 512
NAMES = [(kind, name) for kind, names in HARD.items() for name in names]


def _pictures() -> list[np.ndarray]:
    def squared(picture: np.ndarray) -> np.ndarray:
        side = min(picture.shape[:2])
        square = Image.fromarray(picture[:side, :side])
        return np.asarray(square.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC))

    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    y, x = np.mgrid[:SIDE, :SIDE]
    checks = np.where(((x // 16 + y // 16) % 2)[..., None], 255, 0).astype(np.uint8)
    grey = np.full((SIDE, SIDE, 3), 118, np.uint8)  # about equally far from black and from white
    return [
        *map(squared, (data.astronaut(), data.coffee(), data.chelsea())),
        *(noise, np.broadcast_to(checks, (SIDE, SIDE, 3)).copy(), grey),
    ]


PICTURES = _pictures()


def _luminance(rgb: np.ndarray) -> np.ndarray:
    """The definition of WCAG 2.2, in its own words."""
    code = rgb.astype(np.float64) / 255
    linear = np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)
    return 0.2126 * linear[..., 0] + 0.7152 * linear[..., 1] + 0.0722 * linear[..., 2]


def _contrasts(sleeve) -> np.ndarray:
    """The contrast of each ink with the finished cover's pixels right beside its letters."""
    inked = np.zeros((SIDE, SIDE), np.uint8)
    for ink, x, y, _ in sleeve.printed:
        part = inked[y : y + ink.shape[0], x : x + ink.shape[1]]
        np.maximum(part, ink, out=part)
    found = []
    for ink, x, y, colour in sleeve.printed:
        letters = np.zeros((SIDE, SIDE), np.uint8)
        letters[y : y + ink.shape[0], x : x + ink.shape[1]] = ink
        near = np.asarray(Image.fromarray(letters).filter(ImageFilter.MaxFilter(7))) > 0
        ground = _luminance(sleeve.picture[near & (inked == 0)])
        own = _luminance(np.array(colour))
        found.append((np.maximum(own, ground) + 0.05) / (np.minimum(own, ground) + 0.05))
    return np.concatenate(found)


def test_there_are_200_hard_names():
    assert len(NAMES) >= 200
    assert len({name for _, name in NAMES}) == len(NAMES)
    assert len(typesetting.LAYOUTS) >= 10


@pytest.mark.parametrize("kind", HARD)
def test_hard_names_are_legible_whole_and_within_the_margins(kind):
    start = list(HARD).index(kind)
    for i, name in enumerate(HARD[kind]):
        # Each name is once the larger and once the smaller; neighbours meet in one cover.
        other = NAMES[(NAMES.index((kind, name)) * 7 + 3) % len(NAMES)][1]
        layout = typesetting.LAYOUTS[(start + i) % len(typesetting.LAYOUTS)]
        picture = PICTURES[(start + i) % len(PICTURES)]
        font = list(PAIRINGS)[(start + i) % len(PAIRINGS)]
        what = f"{name[:40]!r} with {other[:40]!r} as {layout} in {font}"
        before = picture.copy()
        sleeve = _printed(picture, other, name, None, None, 0, layout, font, None)
        assert np.array_equal(picture, before), what
        if sleeve is None:
            continue

        contrasts = _contrasts(sleeve)
        assert np.mean(contrasts >= 4.5) > 0.995, (what, contrasts.min())

        inner = int((MARGIN - 0.02) * SIDE)  # the obi and the tape have margins of their own
        boxes = [(x, y, x + ink.shape[1], y + ink.shape[0]) for ink, x, y, _ in sleeve.printed]
        for box in boxes:
            assert min(box) >= inner, (what, box)
            assert max(box) <= SIDE - inner, (what, box)
        if len(boxes) == 2:  # no name runs into the other
            (a, b, c, d), (e, f, g, h) = boxes
            assert c <= e or g <= a or d <= f or h <= b, (what, boxes)
        for ink, x, y, colour in sleeve.printed:  # and nothing is painted over them
            solid = sleeve.picture[y : y + ink.shape[0], x : x + ink.shape[1]][ink == 255]
            assert np.all(solid == colour), what


@pytest.mark.parametrize("kind", HARD)
def test_every_character_is_set_from_a_font_that_has_it(kind):
    compiler = setting._compiler()
    face = PAIRINGS["anton"].lead
    for text in HARD[kind]:
        name = name_of(text, face)
        if kind == "blank":
            assert name is None
            continue
        set_text = "" if name is None else "".join(c for _, c in name.clusters)
        expected = "".join(
            c
            for c in unicodedata.normalize("NFC", " ".join(text.split()))
            if unicodedata.category(c)[0] != "C" or c == "\u200d"
        )
        if name is not None and name.cased and "Ψ" not in text:
            expected = expected.upper()
        if kind not in ("left out", "marks") and "Ά" not in expected and "Α" not in expected:
            assert set_text.replace("\u200b", "") == expected, text
        if name is not None:
            # PDF/A forbids glyphs for missing characters, and Typst checks that.
            assert _pdf(compiler, name, face)


def test_a_missing_glyph_would_be_found():
    with pytest.raises(RuntimeError, match="could not be displayed"):
        _pdf(
            setting._compiler(),
            Name((("Anton", "अ"),), False, "hi", False, False),
            PAIRINGS["anton"].lead,
        )


def _pdf(compiler, name: Name, face) -> bytes:
    job = setting._job(name, face, 0.8, 0.5, 0.2, "left", False)
    data = json.dumps(job | {"page": (900, 900), "origin": (50, 50)})
    return compiler.compile(format="pdf", pdf_standards="a-2b", sys_inputs={"job": data})


@pytest.mark.parametrize("kind", ["long", "arabic", "indic", "marks", "emoji", "east asian"])
def test_nothing_is_cut(kind):
    """The ink of a setting is that of the same setting on a page with much more room."""
    for text in HARD[kind]:
        face = PAIRINGS["yellowtail"].lead
        name = name_of(text, face)
        for column in {False, name.upright}:
            ink = setting.set_type(name, face, 600, 0.5, 0.4, 0.2, column=column)
            assert ink.shape <= (0.4 * 600, 0.5 * 600)
            job, _ = setting._fitted(setting._job(name, face, 0.5, 0.4, 0.2, "left", column))
            roomy = setting._compile(job, (1200, 1200), (450, 450), 600)
            assert abs(int(ink.sum()) - int(roomy.sum())) <= 0.02 * roomy.sum(), (
                text[:20],
                column,
            )


@pytest.mark.parametrize("layout", ["corner", "centred", "poster", "split", "vertical"])
def test_on_a_calm_picture_only_letters_change_and_stay_inside(layout):
    picture = np.full((SIDE, SIDE, 3), (236, 231, 220), np.uint8)
    cover = typesetting.typeset(picture, "Sidereal Quartet", LONG, layout=layout)
    rows, columns = np.nonzero((cover != picture).any(-1))
    edge = int(MARGIN * SIDE)
    assert min(rows.min(), columns.min()) >= edge
    assert max(rows.max(), columns.max()) < SIDE - edge


@pytest.mark.parametrize("layout", typesetting.LAYOUTS)
def test_a_chosen_ink_is_used_and_legible(layout):
    for ink, colour in (
        ("#ff2200", (255, 34, 0)),
        ("#FFFFFF", (255,) * 3),
        ("#767676", (118,) * 3),
    ):
        for picture in PICTURES[2:]:
            sleeve = _printed(picture, "Nora", "Tide", None, None, 1, layout, "jost", ink)
            assert {c for *_, c in sleeve.printed} == {colour}
            assert np.mean(_contrasts(sleeve) >= 4.5) > 0.995


def test_type_is_the_same_every_time_and_changes_with_the_seed():
    def make(seed):
        return typesetting.typeset(
            PICTURES[0], "Åse Drift", "Slow Water", genre="techno", seed=seed
        )

    first = make(0)
    others = [make(seed) for seed in range(1, 6)]
    assert np.array_equal(first, make(0))
    assert any(not np.array_equal(first, other) for other in others)


@pytest.mark.parametrize("layout", typesetting.LAYOUTS)
def test_a_small_cover_is_a_preview_of_the_large(layout):
    small = np.asarray(Image.fromarray(PICTURES[1]).resize((500, 500), Image.Resampling.BICUBIC))
    large = np.repeat(np.repeat(small, 2, 0), 2, 1)
    covers = [
        typesetting.typeset(p, "Iron Hollow", "Cathedral of Rust", layout=layout)
        for p in (small, large)
    ]
    small, large = (c.reshape(50, len(c) // 50, 50, -1, 3).mean((1, 3)) for c in covers)
    assert np.abs(small - large).mean() < 2  # of 255; edges may be a pixel apart


def test_without_names_the_picture_stays():
    for artist, title in ((None, None), ("", "  "), ("\x00", "\u200b")):
        assert np.array_equal(typesetting.typeset(PICTURES[0], artist, title), PICTURES[0])


@pytest.mark.parametrize("side", [256, 257])
def test_small_and_odd_sizes(side):
    picture = np.zeros((side, side, 3), np.uint8)
    for layout in typesetting.LAYOUTS:
        assert typesetting.typeset(picture, "A", LONG, layout=layout).shape == picture.shape


@pytest.mark.parametrize("genre", [*DEMO_GENRES, "vaporwave, dream pop", "no such genre", "", None])
def test_any_genre_and_year_can_be_set(genre):
    for year in (None, 1, 1950, 1972, 1988, 2025, 9999):
        for seed in range(20):
            rng = random.Random(seed)
            assert choose_font(genre, year, rng) in typesetting.FONTS
            layout = choose_layout(genre, year, PICTURES[seed % 6][::2, ::2], 5 * seed, True, rng)
            assert layout in typesetting.LAYOUTS


def test_genres_have_their_manner():
    fonts = {
        g: {choose_font(g, None, random.Random(i)) for i in range(40)}
        for g in ("thrash metal", "techno", "")
    }
    assert not fonts["thrash metal"] & fonts["techno"]
    assert fonts[""] <= set(typesetting.FONTS)
    # No face of the eighties on a sleeve of 1962.
    assert choose_font("rock'n'roll", 1962, random.Random(0)) in ("yellowtail", "alfa-slab-one")
    early = {choose_font("space-age jazz", 1962, random.Random(i)) for i in range(40)}
    assert early
    assert not early & {"orbitron", "unbounded", "space-mono"}


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        (("cornr", None, None), "unknown layout 'cornr'; did you mean corner?"),
        ((None, "antn", None), "unknown font 'antn'; did you mean anton"),
        ((None, "\x1b[2J", None), "unknown font '\\x1b[2J'; choose of"),
        ((None, None, "red"), "no ink 'red'; an ink is '#rrggbb'"),
        ((None, None, "#12345g"), "#rrggbb"),
        ((None, None, "#１２３４５６"), "#rrggbb"),
    ],
)
def test_wrong_choices_are_named(choices, message):
    with pytest.raises(UserError) as error:
        typesetting.check_choices(*choices)
    assert message in str(error.value)


def test_wrong_pictures_and_names_are_named():
    for picture in (
        np.zeros((300, 301, 3), np.uint8),
        np.zeros((300, 300, 3)),
        np.zeros((64, 64, 3), np.uint8),
    ):
        with pytest.raises(UserError, match="typesetting takes"):
            typesetting.typeset(picture, "A", None)
    with pytest.raises(UserError, match="the title has 5000 characters; at most 1000"):
        typesetting.typeset(PICTURES[0], None, "x" * 5000)


@pytest.mark.parametrize("package", ["typst", "fontTools", "fontpkg_anton", "manimgx_fonts_cjk"])
def test_without_the_extra_there_is_one_clear_line(package):
    program = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from dac.covers import typesetting\n"
        "from dac.errors import UserError\n"
        "try: typesetting.check_choices(None, None, None)\n"
        "except UserError as error: print(error)"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert run.stdout == "typesetting needs the extra `type`: pip install -e '.[type]'\n"
