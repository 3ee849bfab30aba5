"""Precision, recall, density and coverage against their definitions, sample by sample."""

import dataclasses

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from dac.metrics import distances
from dac.metrics.manifold import DENSITY_NEIGHBOURS, PRECISION_NEIGHBOURS, Manifold, manifold


def plain(real, generated):
    real, generated = real.astype(np.float64), generated.astype(np.float64)
    across = cdist(generated, real)

    def radius(x, i, k):
        return np.sort(np.delete(cdist(x[i : i + 1], x)[0], i))[k - 1]

    def inside(x, others, k):
        """Whether each of the others is in each ball of x, `[others, x]`."""
        table = across if len(others) == len(generated) and x is real else across.T
        return np.stack([table[:, i] <= radius(x, i, k) for i in range(len(x))], axis=1)

    wide = inside(real, generated, DENSITY_NEIGHBOURS)
    return Manifold(
        precision=inside(real, generated, PRECISION_NEIGHBOURS).any(axis=1).mean(),
        recall=inside(generated, real, PRECISION_NEIGHBOURS).any(axis=1).mean(),
        density=wide.sum() / (DENSITY_NEIGHBOURS * len(generated)),
        coverage=wide.any(axis=0).mean(),
    )


def draw(seed, count, width=5, scale=1.0):
    return np.random.default_rng(seed).normal(0, scale, (count, width)).astype(np.float32)


@pytest.mark.parametrize(
    ("real", "generated"),
    [
        (draw(0, 50), draw(1, 40)),
        (draw(0, 40, 60), draw(1, 55, 60)),  # fewer samples than features
        (draw(0, 50), draw(1, 30, scale=0.2)),
        (draw(0, 30), draw(1, 50, scale=3)),
    ],
)
def test_figures_match_their_definitions(real, generated, monkeypatch):
    monkeypatch.setattr(distances, "_BLOCK", 16)
    found, expected = (dataclasses.astuple(f(real, generated)) for f in (manifold, plain))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_equal_sets_are_perfect():
    x = draw(0, 60) + 50
    found = manifold(x, x[::-1])
    assert (found.precision, found.recall, found.coverage) == (1, 1, 1)
    # Each sample is in its own ball, and in those of k others on average.
    assert found.density == pytest.approx((DENSITY_NEIGHBOURS + 1) / DENSITY_NEIGHBOURS)


def test_precision_is_fidelity_and_recall_is_variety():
    real = draw(0, 300)
    narrow, wide = manifold(real, draw(1, 300, scale=0.2)), manifold(real, draw(1, 300, scale=4))
    assert narrow.precision > 0.95 > 0.3 > narrow.recall
    assert wide.recall > 0.95 > 0.3 > wide.precision
    assert narrow.density > 1 > wide.density
    assert narrow.coverage < 0.3


def test_repeated_covers_are_inside_their_own_balls():
    """Balls of repeated samples have no size. Rounding must not put their samples outside."""
    real = np.repeat(draw(0, 10, 300) + 20, 8, axis=0)
    found = manifold(real, real[::8])
    assert (found.precision, found.recall, found.coverage) == (1, 1, 1)
    few = manifold(draw(0, 200), np.repeat(draw(0, 200)[:4], 50, axis=0))
    assert few.precision == 1
    assert few.recall < 0.05
    assert few.coverage < 0.2


def test_too_few_samples_are_refused():
    with pytest.raises(ValueError, match="6 samples"):
        manifold(draw(0, 5), draw(1, 50))
