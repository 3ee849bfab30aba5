"""Colour of pictures and prints: linear light, Oklab, and the palette of a picture.

Oklab, in which equal distances look about equal: B. Ottosson, "A perceptual color space for image
processing" (2020).
"""

import numpy as np
from scipy.cluster import vq

# The luminance factor of a power law close to sRGB's curve. Being a power, it commutes with the
# products of transparent inks, so that solid prints can be multiplied as encoded values.
GAMMA = 2.2

# Linear sRGB to the responses of the cones, and their cube roots to lightness and two hues.
_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
# Difference of colours, in Oklab, across which a pixel belongs to both.
BETWEEN = 0.05
# The paper of pictures without a light colour.
CREAM = np.array([0.965, 0.94, 0.88])
# Pixels that a palette is taken from: a side of the reduced picture.
_PALETTE_SIDE = 96


def oklab(rgb: np.ndarray) -> np.ndarray:
    """Returns encoded colours, `[..., 3]` in 0..1, as lightness 0..1 and two hues, `[..., 3]`."""
    return np.cbrt(rgb**GAMMA @ _CONES.T.astype(rgb.dtype)) @ _LAB.T.astype(rgb.dtype)


def from_oklab(lab: np.ndarray) -> np.ndarray:
    """Returns the encoded colours, `[..., 3]` clipped to 0..1, of Oklab's."""
    linear = (lab @ np.linalg.inv(_LAB).T) ** 3 @ np.linalg.inv(_CONES).T
    return np.clip(linear, 0, 1) ** (1 / GAMMA)


def palette(picture: np.ndarray, colours: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the main colours of a picture, by k-means in Oklab, dark to light.

    The first centres are the most frequent colour and then always the one farthest from all, so
    that small accents are found. For them, too, a colour counts by the square root of its area.

    Args:
      picture: `[R, R, 3]` in 0..1.
      colours: the most that are returned; a flat picture has fewer.

    Returns:
      The colours, `[K, 3]` in 0..1, and their shares of the picture, `[K]`.
    """
    step = -(-len(picture) // _PALETTE_SIDE)
    pixels = oklab(picture[step // 2 :: step, step // 2 :: step].reshape(-1, 3).astype(float))
    cells, areas = np.unique(pixels.round(2), axis=0, return_counts=True)
    often = areas > min(2, areas.max() - 1)
    cells, areas = cells[often], areas[often]
    points = np.repeat(cells, np.ceil(np.sqrt(areas)).astype(int), axis=0)
    centres = cells[[areas.argmax()]]
    while len(centres) < min(colours, len(cells)):
        far = np.square(cells[:, None] - centres).sum(-1).min(1)
        centres = np.concatenate([centres, cells[[far.argmax()]]])
    centres, _ = vq.kmeans2(points, centres, minit="matrix", missing="raise")
    nearest, _ = vq.vq(pixels, centres)
    shares = np.bincount(nearest, minlength=len(centres)) / len(pixels)
    order = np.argsort(centres[:, 0])
    return from_oklab(centres[order]), shares[order]


def memberships(picture: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """Returns how much each pixel of `[..., 3]` belongs to `[K, 3]` colours, `[..., K]`."""
    lab, centres = oklab(picture), oklab(colours)
    distances = np.stack([np.square(lab - centre).sum(-1) for centre in centres])
    weights = np.exp((distances.min(0) - distances) / (2 * BETWEEN**2))
    return np.moveaxis(weights / weights.sum(0), 0, -1)


def flatten(picture: np.ndarray) -> np.ndarray:
    """Returns `[P, P, 3]` in 0..1 with most of the noise in its flat colours removed."""
    colours = palette(picture, 10)[0].astype(np.float32)
    return 0.3 * picture + 0.7 * (memberships(picture, colours) @ colours)


def paper_for(picture: np.ndarray) -> np.ndarray:
    """Returns a paper in the tone of a picture's lightest colour, `[3]` in 0..1."""
    light, *hues = oklab(palette(picture, 8)[0][-1])
    if light < 0.8:
        return CREAM
    hues = np.array(hues) * min(1.0, 0.035 / (np.hypot(*hues) + 1e-9))
    return from_oklab(np.array([max(light, 0.95), *hues]))
