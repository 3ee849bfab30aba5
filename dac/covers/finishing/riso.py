"""Riso: two or three spot inks from the cover's own palette, slightly out of register."""

import itertools

import numpy as np

from dac.covers.finishing.colour import from_oklab, oklab, palette, paper_for
from dac.covers.finishing.plates import Plate, clean, press, resize, separate

# Distance of the dots, in sides of the print.
PITCH = 1 / 170
# Of the screens, in degrees, darkest ink first: the usual distance of 30, so that no moiré shows.
ANGLES = (45.0, 75.0, 15.0)
# How much purer than the colours of the picture the inks may be: tints dilute them.
PURITY = (1.1, 1.7)
# Standard deviation of a plate's place, in sides of the print: half a millimetre on A3.
REGISTER = 1.5e-3
# Side of the grain: two pixels of a print of 3000.
GRAIN = 1500


def print_riso(picture: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Prints `[R, R, 3]` uint8 in spot inks as `[size, size, 3]` uint8."""
    plates, paper = riso_plates(picture, rng)
    return press(plates, paper, PITCH, size)


def riso_plates(picture: np.ndarray, rng: np.random.Generator) -> tuple[list[Plate], np.ndarray]:
    """Returns the plates for `[R, R, 3]` uint8, darkest ink first, and the paper, `[3]` in 0..1."""
    cleaned = clean(picture)
    paper = paper_for(cleaned)
    inks = choose_inks(cleaned, paper)
    shares = np.moveaxis(separate(cleaned, inks, paper), -1, 0)
    # More contrast: areas that are almost solid or almost paper become so.
    shares = np.clip(1.15 * shares - 0.06, 0, 1)
    plates = [
        Plate(ink, share, angle, tuple(rng.normal(0, REGISTER, 2)), _film(rng))
        for ink, share, angle in zip(inks, shares, ANGLES, strict=False)
    ]
    return plates, paper


def choose_inks(picture: np.ndarray, paper: np.ndarray) -> np.ndarray:
    """Returns the two or three inks that print the picture's palette best, darkest first.

    Args:
      picture: `[P, P, 3]` in 0..1.
      paper: `[3]` in 0..1.

    Returns:
      Transmittances, `[I, 3]` in 0..1. Each ink, solid on the paper, has the lightness and the hue
      of a colour of the palette. A third ink is used if it lowers the error by a tenth.
    """
    colours, areas = palette(picture, 8)
    lab = oklab(colours)
    spots = np.concatenate([from_oklab(lab * [1, purity, purity]) for purity in PURITY])
    candidates = np.clip(spots / paper, 0.02, 1)
    chosen, least = candidates[:1], np.inf
    for count in range(2, min(3, len(candidates)) + 1):
        sets = list(itertools.combinations(range(len(candidates)), count))
        inks = candidates[sets][:, None]  # [N, 1, I, 3]
        shares = separate(colours, inks, paper)[..., None]
        printed = oklab(paper * np.prod(1 - shares * (1 - inks), axis=-2))
        # Hues count more than lightness, of which tints have enough.
        errors = np.square((printed - lab) * [1, 3, 3]).sum(-1) @ np.sqrt(areas)
        if errors.min() < 0.9 * least:
            chosen, least = inks[errors.argmin(), 0], errors.min()
    return chosen[np.argsort(oklab(chosen)[:, 0])].astype(np.float32)


def _film(rng: np.random.Generator) -> np.ndarray:
    """Returns the thickness of an ink that lies unevenly on rough paper, `[N, N]` in 0..1."""
    grain = rng.standard_normal((GRAIN, GRAIN), dtype=np.float32)
    clouds = resize(rng.normal(size=(12, 12)), GRAIN)
    return np.clip(1.25 - 0.2 * np.abs(grain) + 0.03 * clouds, 0, 1)
