"""Printing by transparent inks: a picture cleaned, separated into plates, screened and printed.

A print is a function on the unit square: its dots and grain are fractions of its side. So a small
print is the large one seen from further away.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy import ndimage

from dac.covers.finishing.colour import flatten

# Side of the plates. Their edges are about a fifth of a screen's dot wide.
PLATE = 512
# Pixels that are printed at once: few enough for the processor's cache.
_STRIP = 2**18
# Tints below the first share stay paper, above one minus it solid: no press holds such dots.
_LEAST_DOT = 0.03
# Area of a dot of each radius in a cell of side 1, round and cut off where it leaves the cell.
_RADII = np.linspace(0, math.sqrt(0.5), 256)
_LENS = np.maximum(_RADII, 0.5)
_AREAS = np.pi * _RADII**2 - 4 * (
    _LENS**2 * np.arccos(0.5 / _LENS) - 0.5 * np.sqrt(_LENS**2 - 0.25)
)


class Plate(NamedTuple):
    """What one ink prints.

    Attributes:
      ink: transmittance, `[3]` encoded in 0..1.
      coverage: share of the paper that is inked, `[P, P]` in 0..1.
      angle: of the screen, in degrees.
      shift: misregistration to the right and down, in sides of the print.
      film: thickness of the ink, `[N, N]` in 0..1; None: even.
    """

    ink: np.ndarray
    coverage: np.ndarray
    angle: float
    shift: tuple[float, float] = (0.0, 0.0)
    film: np.ndarray | None = None


def clean(picture: np.ndarray) -> np.ndarray:
    """Smooths away a picture's noise and sharpens its edges, as a painter would.

    A Kuwahara filter with soft weights: each pixel becomes the mean of the calmest of the
    neighbourhoods around it (G. Papari et al., "Artistic edge and corner enhancing smoothing",
    IEEE Transactions on Image Processing 16(10), 2007).

    Args:
      picture: `[R, R, 3]` uint8.

    Returns:
      `[P, P, 3]` float32 in 0..1; P is 512, or R if that is more.
    """
    side = max(PLATE, len(picture))
    planes = np.stack([resize(plane, side) for plane in picture.transpose(2, 0, 1)]) / 255
    for reach in (0.65, 0.5):  # in pixels of the picture
        sigma = max(reach * side / len(picture), 1.0)
        planes = _kuwahara(planes, sigma)
    return flatten(np.clip(planes.transpose(1, 2, 0), 0, 1))


def _kuwahara(planes: np.ndarray, sigma: float) -> np.ndarray:
    """Returns `[3, P, P]` filtered with eight Gaussian neighbourhoods of width `sigma`."""

    def blur(plane: np.ndarray) -> np.ndarray:
        return ndimage.gaussian_filter(plane, sigma, mode="nearest", truncate=2.5)

    means = np.stack([blur(plane) for plane in planes])
    variance = blur(np.square(planes).sum(0)) - np.square(means).sum(0)
    reach = math.ceil(2 * sigma)
    side = planes.shape[-1]
    means = np.pad(means, ((0, 0), (reach, reach), (reach, reach)), mode="edge")
    # The power makes the calmest neighbourhood count almost alone; the constant is the variance
    # of noise that is not worth a distinction.
    weight = np.pad((np.maximum(variance, 0) + 1e-3) ** -4.0, reach, mode="edge")
    total, weights = 0.0, 0.0
    for turn in range(8):
        angle = turn * math.pi / 4
        y = reach + round(1.6 * sigma * math.sin(angle))
        x = reach + round(1.6 * sigma * math.cos(angle))
        here = weight[y : y + side, x : x + side]
        total = total + here * means[:, y : y + side, x : x + side]
        weights = weights + here
    return total / weights


def resize(plane: np.ndarray, size: int, rows: tuple[int, int] | None = None) -> np.ndarray:
    """Returns a plane, `[P, P]`, at another size, or some of the rows of that, float32."""
    first, last = rows or (0, size)
    scale = len(plane) / size
    return np.asarray(
        Image.fromarray(plane.astype(np.float32)).resize(
            (size, last - first),
            Image.Resampling.BICUBIC,
            box=(0, first * scale, len(plane), last * scale),
        )
    )


def strips(size: int) -> Iterator[tuple[int, int]]:
    """Yields the first and last rows (exclusive) of the parts of a print."""
    step = max(1, _STRIP // size)
    for first in range(0, size, step):
        yield first, min(first + step, size)


def separate(picture: np.ndarray, inks: np.ndarray, paper: np.ndarray) -> np.ndarray:
    """Finds how much of each ink gives a picture's colours, seen from afar.

    The mean of a print whose inks fall on each other by chance is a product (M. E. Demichel, Le
    Procédé 26, 1924), and linear in each ink: so each in turn has a best share by least squares.
    Encoded values are averaged, as by the programs that show a large picture small. On paper, too,
    tints look darker than in linear light: an n of 2.2 in J. A. C. Yule and W. J. Nielsen, "The
    penetration of light into paper and its effect on halftone reproduction" (1951).

    Args:
      picture: `[..., 3]` in 0..1.
      inks: transmittances, `[..., I, 3]` in 0..1. The first ones take what they can.
      paper: `[3]` in 0..1.

    Returns:
      Shares of the paper, `[..., I]` in 0..1.
    """
    absorbed = 1 - inks
    count = inks.shape[-2]
    shape = np.broadcast_shapes(picture.shape, absorbed[..., 0, :].shape)
    left = np.ones((count, *shape), picture.dtype)  # of the light, by each ink
    shares = np.zeros((count, *shape[:-1]), picture.dtype)
    for _ in range(8):
        for i in range(count):
            below = paper * np.prod(np.delete(left, i, axis=0), axis=0)
            full = below * absorbed[..., i, :]
            best = ((below - picture) * full).sum(-1) / ((full * full).sum(-1) + 1e-9)
            shares[i] = np.clip(best, 0, 1)
            left[i] = 1 - shares[i][..., None] * absorbed[..., i, :]
    return np.moveaxis(shares, 0, -1)


def press(plates: Sequence[Plate], paper: np.ndarray, pitch: float, size: int) -> np.ndarray:
    """Prints plates on each other in round dots.

    Args:
      plates: in the order of printing.
      paper: `[3]` in 0..1.
      pitch: distance of the dots, in sides of the print.
      size: S, side of the print in pixels.

    Returns:
      `[S, S, 3]` uint8.
    """
    radii = [_moved(dot_radius(plate.coverage), plate.shift) for plate in plates]
    picture = np.empty((size, size, 3), np.uint8)
    for rows in strips(size):
        part = [np.full((rows[1] - rows[0], size), 255 * light, np.float32) for light in paper]
        for plate, radius in zip(plates, radii, strict=True):
            inked = _dots(resize(radius, size, rows), plate, pitch, size, rows)
            if plate.film is not None:
                inked *= resize(plate.film, size, rows)
            for channel, transmitted in zip(part, plate.ink, strict=True):
                channel *= 1 - np.float32(1 - transmitted) * inked
        for i, channel in enumerate(part):
            picture[rows[0] : rows[1], :, i] = channel + 0.5
    return picture


def dot_radius(coverage: np.ndarray) -> np.ndarray:
    """Returns the radius of dots, in cells, that cover a share of the paper."""
    radius = np.interp(coverage, _AREAS, _RADII)
    radius[coverage < _LEAST_DOT] = -0.25
    radius[coverage > 1 - _LEAST_DOT] = 1.0
    return radius.astype(np.float32)


def _moved(plane: np.ndarray, shift: tuple[float, float]) -> np.ndarray:
    """Returns a plane moved to the right and down, in sides of it."""
    by = (shift[1] * len(plane), shift[0] * len(plane))
    return ndimage.shift(plane, by, order=1, mode="nearest")


def _dots(
    radius: np.ndarray, plate: Plate, pitch: float, size: int, rows: tuple[int, int]
) -> np.ndarray:
    """Returns how much of each pixel the dots cover, `[rows, S]` in 0..1."""
    x = (np.arange(size) + 0.5) / size - plate.shift[0]
    y = (np.arange(*rows) + 0.5) / size - plate.shift[1]
    cos, sin = (f(math.radians(plate.angle)) / pitch for f in (math.cos, math.sin))
    u = np.add.outer((y * sin).astype(np.float32), (x * cos).astype(np.float32))
    v = np.add.outer((y * cos).astype(np.float32), (-x * sin).astype(np.float32))
    # The distance from the nearest dot's centre.
    u -= np.rint(u)
    v -= np.rint(v)
    u *= u
    v *= v
    u += v
    np.sqrt(u, out=u)
    # The edge of a dot is one pixel wide.
    inked = (radius - u) * np.float32(pitch * size) + np.float32(0.5)
    return np.clip(inked, 0, 1, out=inked)
