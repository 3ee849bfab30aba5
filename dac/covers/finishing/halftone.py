"""Halftone: the four process inks, screened at the angles of offset printing."""

import numpy as np

from dac.covers.finishing.colour import paper_for
from dac.covers.finishing.plates import Plate, clean, press, separate

# Distance of the dots, in sides of the print.
PITCH = 1 / 125
# Cyan, magenta, yellow and black on coated paper, and the usual angles of their screens in degrees.
INKS = np.array(
    [[0.0, 0.63, 0.88], [0.87, 0.06, 0.50], [1.0, 0.91, 0.08], [0.13, 0.12, 0.13]], np.float32
)
ANGLES = (15.0, 75.0, 0.0, 45.0)
# Standard deviation of a plate's place, in sides of the print.
REGISTER = 4e-4


def print_halftone(picture: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Prints `[R, R, 3]` uint8 in process inks as `[size, size, 3]` uint8."""
    cleaned = clean(picture)
    paper = paper_for(cleaned)
    # Black takes over in the shadows alone, so that tints stay pure.
    black = np.clip(1.6 * (1 - cleaned.max(-1)) - 0.4, 0, 1)
    without_black = cleaned / (1 - black[..., None] * (1 - INKS[3]))
    shares = np.dstack([separate(without_black, INKS[:3], paper), black])
    plates = [
        Plate(ink, share, angle, tuple(rng.normal(0, REGISTER, 2)))
        for ink, share, angle in zip(INKS, np.moveaxis(shares, -1, 0), ANGLES, strict=True)
    ]
    return press(plates, paper, PITCH, size)
