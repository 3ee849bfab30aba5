"""Draws the demo covers: the genre sets what is shown, the year the palette and the printing."""

import functools
import math
import random

import numpy as np
from PIL import Image

from data_pipeline.demo_covers.canvas import Canvas
from data_pipeline.demo_covers.discography import FIRST_YEAR, LAST_YEAR, Album
from data_pipeline.demo_covers.layouts import LAYOUTS
from data_pipeline.demo_covers.palettes import palette_of

SIZES = (64, 128)
# Covers are drawn larger by this factor and reduced, for antialiasing.
OVERSAMPLING = 2
# Fraction of covers that show the artist and the title.
LETTERED_RATE = 0.6

_PAPER = (242, 234, 214)
# Black and white of the first year after ageing, and the luma weights of RGB (Rec. 601).
_OLD_BLACK = np.array([0.30, 0.22, 0.15], np.float32)
_OLD_WHITE = np.array([0.97, 0.91, 0.76], np.float32)
_LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)


def draw_cover(album: Album, seed: int = 0, size: int = SIZES[0]) -> Image.Image:
    """Returns the cover of an album, `[size, size, 3]` RGB; deterministic.

    All sizes show the same drawing; only the grain of the paper differs.
    """
    rng = random.Random(f"cover {seed} {album.album_id}")
    # An album with two genres uses a layout of the first and the colours of the second.
    layout = rng.choice(LAYOUTS[album.genres[0]])
    palette = palette_of(album.genres[-1], album.release_year).jittered(rng)
    lettered = rng.random() < LETTERED_RATE
    canvas = Canvas(palette.ground, OVERSAMPLING * size)
    layout(canvas, palette, rng, album if lettered else None)
    return _printed(canvas.image, album.release_year, rng)


def _printed(art: Image.Image, year: int, rng: random.Random) -> Image.Image:
    """Reduces a drawing to its final size, in the print style of its year.

    Older covers have a wider paper margin, more faded inks and stronger grain, all linear in the
    year. In addition, inks are richest around 1985, covers before 1988 show the ring of the record,
    and covers after 1990 have a shine.
    """
    age = (LAST_YEAR - year) / (LAST_YEAR - FIRST_YEAR)

    margin = round(age * 0.085 * art.width)
    sheet = Image.new("RGB", art.size, _PAPER)
    inner = art.width - 2 * margin
    if margin:
        art = art.resize((inner, inner), Image.Resampling.BILINEAR)
    sheet.paste(art, (margin, margin))
    rgb = np.asarray(sheet.reduce(OVERSAMPLING), np.float32) / 255

    grey = (rgb @ _LUMINANCE)[..., None]
    eighties = math.exp(-(((year - 1985) / 9) ** 2))
    rgb = grey + (rgb - grey) * (1.0 - 0.4 * age + 0.25 * eighties)
    # Fading: black turns brown, white turns yellow.
    rgb = rgb * (1 - age + age * (_OLD_WHITE - _OLD_BLACK)) + age * _OLD_BLACK

    grain, ring, shine = _textures(len(rgb))
    x, y = (int(rng.random() * len(rgb)) for _ in range(2))
    rgb += 0.045 * age * np.roll(grain, (y, x), (0, 1))
    rgb += 0.16 * max(0.0, (1988 - year) / 38) * ring * rng.uniform(0.6, 1)
    rgb += 0.22 * max(0.0, (year - 1990) / 35) * shine
    return Image.fromarray((np.clip(rgb, 0, 1) * 255).round().astype(np.uint8))


@functools.cache
def _textures(size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the grain ~ N(0, 1), the record's ring and the shine, each `[size, size, 1]`."""
    grain = np.random.Generator(np.random.Philox(0)).normal(size=(size, size))
    y, x = (np.mgrid[:size, :size] + 0.5) / size
    ring = np.exp(-(((np.hypot(x - 0.5, y - 0.5) - 0.43) / 0.016) ** 2))
    shine = np.clip(1 - (x + y) / 0.9, 0, 1)
    return tuple(t[..., None].astype(np.float32) for t in (grain, ring, shine))
