"""Tests of turns from one cover toward others."""

import numpy as np
import pytest

from dac.making.make import albums_of, draw, latents_of, turn
from dac.making.settings import Settings
from tests.test_sampling import make_run


def test_a_turn_goes_along_the_circle_through_both_vectors():
    a, b = np.random.default_rng(0).normal(size=(2, 64)).astype(np.float32)
    b *= np.linalg.norm(a) / np.linalg.norm(b)
    np.testing.assert_array_equal(turn(a, b, 0), a)
    np.testing.assert_allclose(turn(a, b, 1), b, rtol=1e-6)

    def angle(x, y):
        return np.arccos(np.dot(x, y) / np.linalg.norm(x) / np.linalg.norm(y))

    between = turn(a, b, 0.3)
    assert np.linalg.norm(between) == pytest.approx(np.linalg.norm(a), rel=1e-6)
    assert angle(a, between) == pytest.approx(0.3 * angle(a, b), rel=1e-5)
    assert angle(between, b) == pytest.approx(0.7 * angle(a, b), rel=1e-5)
    np.testing.assert_array_equal(turn(a, a, 0.5), a)


def test_a_cover_turns_toward_seeds_one_after_the_other(config):
    run = make_run(config, conditions=())
    covers = [
        Settings(3),
        Settings(3, toward=[[4, 0.0]]),
        Settings(3, toward=[[4, 0.3]]),
        Settings(3, toward=[[4, 0.3], [5, 1.0]]),
        Settings(5),
    ]
    latents = latents_of(run, covers)
    np.testing.assert_array_equal(latents[1], latents[0])
    np.testing.assert_allclose(latents[3], latents[4], rtol=1e-5)  # all the way
    drawn = draw(run, covers, albums_of(run, covers, pytest.fail))
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert (drawn[0] != drawn[2]).any()
    for cover, picture in zip(covers, drawn, strict=True):  # alone as among others
        alone = draw(run, [cover], albums_of(run, [cover], pytest.fail))
        np.testing.assert_array_equal(alone[0], picture)
