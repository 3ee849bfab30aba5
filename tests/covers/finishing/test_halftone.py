import numpy as np
import pytest

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


# Each channel shows the ink that takes its light, and black.
@pytest.mark.parametrize(("channel", "angle"), [(0, CYAN), (1, MAGENTA), (2, YELLOW)])
def test_the_screen_of_each_ink_has_its_angle_and_pitch(spectrum, channel, angle):
    plane = spectrum[..., channel]
    y, x = np.mgrid[:SIZE, :SIZE] - SIZE // 2
    near = np.hypot(x, y) > 5  # the slow variation of the whole
    middle = SIZE // 2
    peaks = plane * near
    for _ in range(2):
        row, column = np.unravel_index(peaks.argmax(), peaks.shape)
        frequency = np.hypot(row - middle, column - middle)
        turn = np.degrees(np.arctan2(row - middle, column - middle)) % 90
        assert frequency == pytest.approx(1 / PITCH, abs=1.5)
        assert min(abs(turn - a) % 90 for a in (angle, BLACK)) < 1 or turn > 89 > angle + 88
        # A square screen has four peaks: look for the other ink's.
        turns = np.degrees(np.arctan2(y, x)) % 90
        apart = np.abs((turns - turn + 45) % 90 - 45)
        peaks = peaks * (apart > 5)
        angle, previous = (angle, turn) if abs(turn - BLACK) < 1 else (BLACK, turn)
    assert {round(previous) % 90, round(turn) % 90} <= {int(angle), int(BLACK), 0, 15, 75}
