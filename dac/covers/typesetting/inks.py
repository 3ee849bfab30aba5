"""Colours of letters and of their grounds, and the contrast between them.

Contrast is that of WCAG 2.2: (L1 + 0.05) / (L2 + 0.05) of the relative luminances L1 >= L2, see
https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio.
"""

import numpy as np
from PIL import Image

from dac.errors import UserError

Colour = tuple[int, int, int]

# WCAG 2.2, success criterion 1.4.3, asks for 4.5; the rest is for rounding to 8 bits.
MIN_CONTRAST = 4.65
PAPER: Colour = (244, 239, 228)
BLACK: Colour = (20, 18, 18)
_PURE: tuple[Colour, Colour] = ((255, 255, 255), (0, 0, 0))
_PALETTE_SIDE = 64  # pixels a side of the picture whose palette is taken
_PALETTE_SIZE = 10

_CODES = np.arange(256) / 255
# sRGB to linear light (IEC 61966-2-1), as in the definition of relative luminance.
_LINEAR = np.where(_CODES <= 0.04045, _CODES / 12.92, ((_CODES + 0.055) / 1.055) ** 2.4)
_LINEAR = _LINEAR.astype(np.float32)
# Each channel's share of the relative luminance, for each code.
_RED, _GREEN, _BLUE = (_LINEAR * np.float32(w) for w in (0.2126, 0.7152, 0.0722))
# Rows toned at a time: few enough to stay in the processor's cache.
_ROWS = 64


def luminance(colours: np.ndarray | Colour) -> np.ndarray:
    """Returns the relative luminance of sRGB colours `[..., 3]` uint8, from 0 to 1."""
    colours = np.asarray(colours, np.uint8)
    return _RED[colours[..., 0]] + _GREEN[colours[..., 1]] + _BLUE[colours[..., 2]]


def contrast(a: np.ndarray | float, b: np.ndarray | float) -> np.ndarray:
    """Returns the contrast of two relative luminances, from 1 to 21."""
    return (np.maximum(a, b) + 0.05) / (np.minimum(a, b) + 0.05)


def parse(text: str) -> Colour:
    """Reads a colour.

    Raises:
      UserError: if it isn't of the form "#rrggbb".
    """
    digits = text.removeprefix("#")
    if len(text) != 7 or len(digits) != 6 or not set(digits.lower()) <= set("0123456789abcdef"):
        raise UserError(f"no ink {text[:40]!r}; an ink is '#rrggbb', such as '#f4efe4'")
    red, green, blue = bytes.fromhex(digits)
    return red, green, blue


def palette_of(picture: np.ndarray) -> list[Colour]:
    """Returns the main colours of a picture `[T, T, 3]` uint8, the most frequent first."""
    small = Image.fromarray(picture).resize((_PALETTE_SIDE, _PALETTE_SIDE), Image.Resampling.BOX)
    few = small.quantize(_PALETTE_SIZE, Image.Quantize.MEDIANCUT)
    colours = np.asarray(few.getpalette(), np.uint8).reshape(-1, 3)
    counts = sorted(few.getcolors(), reverse=True)
    return [tuple(map(int, colours[index])) for _, index in counts]


def saturation(colour: Colour) -> float:
    """Returns how far a colour is from grey, from 0 to 1."""
    return (max(colour) - min(colour)) / 255


def neutral(ground: Colour) -> Colour:
    """Returns paper or black, or pure white or black, whichever can be read on a ground."""
    on = luminance(ground)
    for pair in ((PAPER, BLACK), _PURE):
        best = max(pair, key=lambda colour: float(contrast(on, luminance(colour))))
        if contrast(on, luminance(best)) >= MIN_CONTRAST:
            break
    return best


def shade(colour: Colour, ground: Colour) -> Colour:
    """Returns the nearest shade of a colour that can be read on a ground."""
    red, green, blue = toned(np.asarray([[colour]], np.uint8), ground)[0, 0]
    return int(red), int(green), int(blue)


def legible_range(ink: Colour) -> tuple[float, float]:
    """Returns the relative luminances, at least and at most, that a ground of an ink may have.

    It is a range of dark grounds for a light ink, of light ones for a dark ink.
    """
    own = float(luminance(ink)) + 0.05
    darker, lighter = own / MIN_CONTRAST - 0.05, own * MIN_CONTRAST - 0.05
    # An ink of middle luminance has little room on both sides; it gets the larger.
    return (0.0, max(darker, 0.0)) if darker > 1 - lighter else (min(lighter, 1.0), 1.0)


def toned(pixels: np.ndarray, ink: Colour, weights: np.ndarray | float = 1.0) -> np.ndarray:
    """Darkens highlights or lightens shadows, as in a darkroom, until an ink can be read.

    Only pixels too close to the ink change: brighter ones keep their hue and get the largest
    luminance that is legible, darker ones are mixed with white up to the smallest.

    Args:
      pixels: `[h, w, 3]` uint8.
      ink: the colour of the letters.
      weights: from 0 (no change) to 1 (legible), broadcast to `[h, w]`.

    Returns:
      `[h, w, 3]` uint8.
    """
    result = pixels.copy()
    tone(result, ink, weights)
    return result


def tone(pixels: np.ndarray, ink: Colour, weights: np.ndarray | float = 1.0) -> None:
    """Tones pixels in place, as `toned` does."""
    weights = np.broadcast_to(np.asarray(weights, np.float32), pixels.shape[:2])
    for top in range(0, len(pixels), _ROWS):
        rows = slice(top, top + _ROWS)
        if weights[rows].any():
            _tone_rows(pixels[rows], ink, weights[rows])


def _tone_rows(pixels: np.ndarray, ink: Colour, weights: np.ndarray) -> None:
    """Tones a few rows of pixels in place."""
    low, high = legible_range(ink)
    light = luminance(pixels)
    at = (weights > 0) & ((light < low) | (light > high))
    linear, light, weights = _LINEAR[pixels[at]], light[at], weights[at]
    if high < 1:
        # Scaling linear light by a factor scales the luminance by it.
        linear *= (1 - weights * (1 - high / light))[:, None]
    else:
        linear += (1 - linear) * (weights * (low - light) / (1 - light))[:, None]
    pixels[at] = _ENCODED[(linear * (len(_ENCODED) - 1) + 0.5).astype(np.int32)]


def _encoded(steps: int) -> np.ndarray:
    """Returns a table from linear light to sRGB codes."""
    light = np.linspace(0, 1, steps)
    codes = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.rint(codes * 255).astype(np.uint8)


_ENCODED = _encoded(1 << 14)
