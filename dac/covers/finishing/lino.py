"""Lino: few flat inks with cut edges, printed from light to dark as a reduction linocut."""

import numpy as np
from scipy import ndimage

from dac.covers.finishing.colour import memberships, palette
from dac.covers.finishing.plates import PLATE, clean, resize, strips

COLOURS = 6
# Side of the ink's texture: its specks are about five pixels of a print of 3000.
TEXTURE = 750


def print_lino(picture: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Prints `[R, R, 3]` uint8 in flat inks as `[size, size, 3]` uint8."""
    colours, blocks = cut_blocks(picture, rng)
    films = [_film(rng) for _ in blocks]
    printed = np.empty((size, size, 3), np.uint8)
    for first, last in strips(size):
        part = np.empty((3, last - first, size), np.float32)
        part[:] = 255 * colours[0][:, None, None]
        for colour, block, film in zip(colours[1:], blocks, films, strict=True):
            # The edge is one pixel wide.
            inked = resize(block, size, (first, last)) * np.float32(size) + np.float32(0.5)
            np.clip(inked, 0, 1, out=inked)
            inked *= resize(film, size, (first, last))
            for channel, value in zip(part, 255 * colour, strict=True):
                channel += inked * (np.float32(value) - channel)
        for i, channel in enumerate(part):
            printed[first:last, :, i] = channel + 0.5
    return printed


def cut_blocks(
    picture: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Cuts a block for each colour but the lightest, which is the paper.

    In a reduction linocut each block keeps what prints in its colour or in a darker one. So no
    third colour comes between two that touch.

    Args:
      picture: `[R, R, 3]` uint8.
      rng: of the gouge's cuts.

    Returns:
      The colours, `[K, 3]` in 0..1, light to dark, and for each but the first its block,
      `[P, P]`: the distance to the edge in sides of the print, positive where it prints.
    """
    cleaned = clean(picture)
    side = len(cleaned)
    colours = palette(cleaned, COLOURS)[0][::-1].astype(np.float32)
    belongs = memberships(cleaned, colours)
    width = max(0.45 * side / len(picture), 1.5)
    blocks = []
    for k in range(1, len(colours)):
        kept = ndimage.gaussian_filter(belongs[..., k:].sum(-1), width, mode="nearest", truncate=3)
        # Where the tone is between two colours, and a little elsewhere, cuts show; edges are clean.
        # The slope of an edge between flat colours is at most 0.4 / width.
        calm = np.clip(1 - 2.3 * width * np.hypot(*np.gradient(kept)), 0, 1)
        cut = kept - 0.5 + 0.2 * calm * _gouges(side, rng)
        distance = cut / np.maximum(np.hypot(*np.gradient(cut)), 0.01)
        blocks.append(np.clip(distance, -4, 4) / np.float32(side))
    return colours, blocks


def _gouges(side: int, rng: np.random.Generator) -> np.ndarray:
    """Returns cuts of a gouge around some centre: `[side, side]` ~ N(0, 1), cut off at 2.2."""
    noise = rng.standard_normal((PLATE, PLATE), dtype=np.float32)
    strokes = ndimage.gaussian_filter(noise, (1.3, 12), mode="wrap")
    strokes /= strokes.std()
    centre = rng.uniform(-1.2, 1.2, 2)
    y, x = np.mgrid[:side, :side] / side - 0.5 - centre[:, None, None]
    # Radius and arc; the arc's scale is that of a radius of 0.8.
    places = np.stack([np.hypot(x, y), 0.8 * np.arctan2(y, x)]) * PLATE
    cuts = ndimage.map_coordinates(strokes, places, np.float32, order=1, mode="grid-wrap")
    return np.clip(cuts, -2.2, 2.2)


def _film(rng: np.random.Generator) -> np.ndarray:
    """Returns the thickness of an ink that misses specks of the paper, `[N, N]` in 0..1."""
    noise = rng.standard_normal((TEXTURE, TEXTURE), dtype=np.float32)
    specks = ndimage.gaussian_filter(noise, 0.8, mode="wrap")
    clouds = resize(rng.normal(size=(9, 9)), TEXTURE)
    return np.clip(3 * (2.4 + 0.3 * clouds - specks / specks.std()), 0, 1)
