import itertools

import numpy as np

from dac.covers.finishing.plates import press
from dac.covers.finishing.riso import ANGLES, choose_inks, riso_plates


def overprints(inks: list[np.ndarray], paper: np.ndarray) -> np.ndarray:
    """The colours of all combinations of solid inks, [2^I, 3] in 0..255."""
    kinds = itertools.product((0, 1), repeat=len(inks))
    return 255 * np.array(
        [
            paper * np.prod([i if on else 1 + 0 * i for i, on in zip(inks, k, strict=True)], axis=0)
            for k in kinds
        ]
    )


def test_a_print_is_made_of_two_or_three_transparent_inks(rough):
    plates, paper = riso_plates(rough, np.random.default_rng(0))
    assert 2 <= len(plates) <= 3
    assert [plate.angle for plate in plates] == list(ANGLES[: len(plates)])
    assert len({plate.shift for plate in plates}) == len(plates)
    ungrained = [plate._replace(film=None) for plate in plates]
    printed = press(ungrained, paper, pitch=1 / 12, size=900).reshape(-1, 3)
    colours = overprints([plate.ink for plate in plates], paper)
    apart = np.abs(printed[:, None] - colours).max(-1).min(1)
    # The rest are the edges of dots, one pixel wide.
    assert (apart <= 1).mean() > 0.9
    hit = np.abs(printed[:, None] - colours).max(-1).argmin(1)[apart <= 1]
    assert len(np.unique(hit)) >= 4


def test_the_inks_of_a_two_ink_print_are_found():
    paper = np.array([0.97, 0.95, 0.9])
    red, blue = np.array([0.9, 0.3, 0.25]), np.array([0.2, 0.35, 0.7])
    areas = np.stack([paper, paper * red, paper * blue, paper * red * blue]).reshape(2, 2, 3)
    picture = areas.repeat(32, 0).repeat(32, 1).astype(np.float32)
    inks = choose_inks(picture, paper)
    colours = overprints(list(inks), paper) / 255
    for area in areas.reshape(-1, 3):
        assert np.abs(colours - area).max(-1).min() < 0.15


def test_the_film_has_grain(rough):
    plates, _ = riso_plates(rough, np.random.default_rng(0))
    for plate in plates:
        assert 0 <= plate.film.min() < 0.6
        assert 0.95 < plate.film.mean() <= plate.film.max() <= 1
