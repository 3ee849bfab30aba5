import numpy as np
import pytest
from scipy import ndimage

from dac.covers.finishing.halftone import ANGLES, INKS, PITCH, print_halftone

SIZE = 1000
CYAN, MAGENTA, YELLOW, BLACK = ANGLES


@pytest.fixture(scope="module")
def spectrum() -> np.ndarray:
    """Magnitudes of a flat grey print, [S, S, 3], without its mean; frequency 0 in the middle."""
    grey = np.full((16, 16, 3), 110, np.uint8)
    printed = print_halftone(grey, SIZE, np.random.default_rng(0)).astype(float)
    window = np.outer(np.hanning(SIZE), np.hanning(SIZE))[..., None]
    printed = (printed - printed.mean((0, 1))) * window
    return np.abs(np.fft.fftshift(np.fft.fft2(printed, axes=(0, 1)), (0, 1)))


def test_the_inks_have_the_angles_of_offset_printing():
    assert (CYAN, MAGENTA, YELLOW, BLACK) == (15, 75, 0, 45)
    assert list(INKS[:3].argmin(1)) == [0, 1, 2]  # each takes its own light
    assert INKS[3].max() < 0.2


def at(plane: np.ndarray, frequency: float, angle: np.ndarray) -> np.ndarray:
    """Magnitudes at frequencies in cycles a side, in directions in degrees."""
    turn = np.radians(angle)
    places = SIZE // 2 + frequency * np.stack([np.sin(turn), np.cos(turn)])
    return ndimage.map_coordinates(plane, places, order=1)


# Each channel shows the ink that takes its light, and black.
@pytest.mark.parametrize(("channel", "ink"), [(0, CYAN), (1, MAGENTA), (2, YELLOW)])
def test_the_screen_of_each_ink_has_its_angle_and_pitch(spectrum, channel, ink):
    plane = spectrum[..., channel]
    for angle in (ink, BLACK):
        directions = angle + np.linspace(-14, 14, 281)
        found = directions[at(plane, 1 / PITCH, directions).argmax()]
        assert found == pytest.approx(angle, abs=0.6)
        frequencies = np.linspace(60, 200, 561)
        strengths = np.array([at(plane, f, np.array([angle])) for f in frequencies]).ravel()
        assert frequencies[strengths.argmax()] == pytest.approx(1 / PITCH, abs=1)
        assert strengths.max() > 50 * np.median(plane)
