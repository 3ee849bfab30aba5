import itertools

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from dac.covers.finishing import halftone
from dac.covers.finishing.plates import PLATE, Plate, clean, press, resize, separate

WHITE = np.ones(3)
BLACK = np.zeros(3)


def demichel(shares: np.ndarray, inks: np.ndarray, paper: np.ndarray) -> np.ndarray:
    """The mean colour of a print, summed over each combination of inks and its probability."""
    colour = np.zeros(3)
    for chosen in itertools.product((0, 1), repeat=len(inks)):
        chosen = np.array(chosen, bool)
        probability = np.prod(np.where(chosen, shares, 1 - shares))
        colour += probability * paper * np.prod(inks[chosen], axis=0)
    return colour


@hypothesis.settings(max_examples=60, deadline=None)
@hypothesis.given(st.lists(st.floats(0, 1), min_size=3, max_size=3))
def test_separations_print_the_colour_that_they_were_made_for(shares):
    inks, paper = halftone.INKS[:3].astype(float), np.array([0.95, 0.93, 0.87])
    wanted = demichel(np.array(shares), inks, paper)
    found = separate(wanted, inks, paper)
    assert ((found >= 0) & (found <= 1)).all()
    np.testing.assert_allclose(demichel(found, inks, paper), wanted, atol=0.02)


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.75, 0.85, 0.95])
def test_dots_cover_their_share_of_the_paper(share):
    plate = Plate(BLACK, np.full((64, 64), share), angle=20.0)
    printed = press([plate], WHITE, pitch=1 / 25, size=500)
    assert 1 - printed.mean() / 255 == pytest.approx(share, abs=0.012)


def test_dots_are_round():
    plate = Plate(BLACK, np.full((64, 64), 0.3), angle=0.0, shift=(0.5, 0.5))
    cell = 1 - press([plate], WHITE, pitch=1.0, size=301)[..., 0] / 255
    radius = np.sqrt(0.3 / np.pi) * 301
    y, x = np.mgrid[:301, :301] - 150
    np.testing.assert_allclose(cell, np.clip(radius - np.hypot(x, y) + 0.5, 0, 1), atol=0.15)


def test_tints_that_no_press_holds_are_paper_or_solid():
    for share, value in ((0.01, 255), (0.995, 0)):
        plate = Plate(BLACK, np.full((64, 64), share), angle=45.0)
        assert (press([plate], WHITE, pitch=1 / 20, size=400) == value).all()


def test_misregistration_moves_a_plate_and_its_film_is_thinner():
    coverage = np.zeros((64, 64))
    coverage[16:48, 16:48] = 1
    plain = press([Plate(BLACK, coverage, 45.0)], WHITE, 1 / 20, 640)
    thin = press([Plate(BLACK, coverage, 45.0, film=np.full((8, 8), 0.5))], WHITE, 1 / 20, 640)
    moved = press([Plate(BLACK, coverage, 45.0, shift=(0.125, 0.0))], WHITE, 1 / 20, 640)
    assert plain[320, 320, 0] == 0
    assert thin[320, 320, 0] == 128
    np.testing.assert_allclose(np.roll(plain, 80, axis=1), moved, atol=2)


def test_strips_of_rows_have_no_seams():
    plane = np.random.default_rng(0).normal(size=(37, 37)).astype(np.float32)
    parts = [resize(plane, 500, rows) for rows in ((0, 123), (123, 124), (124, 500))]
    np.testing.assert_allclose(np.concatenate(parts), resize(plane, 500), atol=1e-5)


def test_cleaning_removes_noise_and_sharpens_edges():
    step = np.full((64, 64, 3), 60.0)
    step[:, 31:33] = 120
    step[:, 33:] = 180
    noisy = step + np.random.default_rng(0).normal(0, 8, step.shape)
    cleaned = 255 * clean(np.clip(noisy, 0, 255).astype(np.uint8))
    assert cleaned.shape == (PLATE, PLATE, 3)
    assert cleaned[64:-64, 64:200].std((0, 1)).max() < 8 / 3

    def width(picture: np.ndarray) -> float:
        return ((picture > 75) & (picture < 165))[64:-64].sum(1).mean()

    assert width(cleaned) < 0.75 * width(resize(step[..., 0], PLATE)[..., None])
