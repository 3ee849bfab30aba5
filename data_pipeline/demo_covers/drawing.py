"""Draws the demo covers: the genre sets the layout, the year the style of printing."""

import functools
import math
import random

import numpy as np
from PIL import Image

from data_pipeline.demo_covers.canvas import SIDE, Canvas
from data_pipeline.demo_covers.discography import FIRST_YEAR, LAST_YEAR, Album
from data_pipeline.demo_covers.layouts import STYLES

SIZE = 64
# Fraction of covers that show the artist and the title.
LETTERED_RATE = 0.6

_PAPER = (242, 234, 214)
# Black and white of the first year after ageing, and the luma weights of RGB (Rec. 601).
_OLD_BLACK = np.array([0.30, 0.22, 0.15], np.float32)
_OLD_WHITE = np.array([0.97, 0.91, 0.76], np.float32)
_LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)


def draw_cover(album: Album, seed: int = 0) -> Image.Image:
    """Returns the cover of an album, `[64, 64, 3]` RGB; deterministic."""
    rng = random.Random(f"cover {seed} {album.album_id}")
    # An album with two genres uses the layout of the first and the colours of the second.
    _, layout = STYLES[album.genres[0]]
    palette, _ = STYLES[album.genres[-1]]
    lettered = rng.random() < LETTERED_RATE
    canvas = Canvas(palette.ground)
    layout(canvas, palette.jittered(rng), rng, album if lettered else None)
    return _printed(canvas.image, album.release_year, rng)


def _printed(art: Image.Image, year: int, rng: random.Random) -> Image.Image:
    """Reduces a drawing to its final size, in the print style of its year.

    Older covers have a wider paper margin, more faded inks and stronger grain, all linear in the
    year. In addition, inks are richest around 1985, covers before 1988 show the ring of the record,
    and covers after 1990 have a shine.
    """
    age = (LAST_YEAR - year) / (LAST_YEAR - FIRST_YEAR)

    margin = round(age * 0.085 * SIDE)
    sheet = Image.new("RGB", (SIDE, SIDE), _PAPER)
    inner = SIDE - 2 * margin
    if margin:
        art = art.resize((inner, inner), Image.Resampling.BILINEAR)
    sheet.paste(art, (margin, margin))
    rgb = np.asarray(sheet.reduce(SIDE // SIZE), np.float32) / 255

    grey = (rgb @ _LUMINANCE)[..., None]
    eighties = math.exp(-(((year - 1985) / 9) ** 2))
    rgb = grey + (rgb - grey) * (1.0 - 0.4 * age + 0.25 * eighties)
    # Fading: black turns brown, white turns yellow.
    rgb = rgb * (1 - age + age * (_OLD_WHITE - _OLD_BLACK)) + age * _OLD_BLACK

    grain, ring, shine = _textures()
    x, y = (rng.randrange(SIZE) for _ in range(2))
    rgb += 0.045 * age * np.roll(grain, (y, x), (0, 1))
    rgb += 0.16 * max(0.0, (1988 - year) / 38) * ring * rng.uniform(0.6, 1)
    rgb += 0.22 * max(0.0, (year - 1990) / 35) * shine
    return Image.fromarray((np.clip(rgb, 0, 1) * 255).round().astype(np.uint8))


@functools.cache
def _textures() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the grain ~ N(0, 1), the record's ring and the shine, each `[64, 64, 1]`."""
    grain = np.random.Generator(np.random.Philox(0)).normal(size=(SIZE, SIZE))
    y, x = (np.mgrid[:SIZE, :SIZE] + 0.5) / SIZE
    ring = np.exp(-(((np.hypot(x - 0.5, y - 0.5) - 0.43) / 0.016) ** 2))
    shine = np.clip(1 - (x + y) / 0.9, 0, 1)
    return tuple(t[..., None].astype(np.float32) for t in (grain, ring, shine))
