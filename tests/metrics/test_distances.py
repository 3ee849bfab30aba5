"""Distances against straightforward writings in float64."""

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from scipy.spatial.distance import cdist

from dac.metrics import distances


def features(seed, count, width, rank=None, shift=0.0):
    """Correlated features, of a rank if one is given."""
    random = np.random.default_rng(seed)
    basis = random.normal(size=(rank or width, width)) / np.sqrt(width)
    return (random.normal(size=(count, rank or width)) @ basis + shift).astype(np.float32)


def plain_frechet_distance(a, b):
    """By the square root of a matrix."""
    a, b = np.asarray(a, np.longdouble), np.asarray(b, np.longdouble)
    means = [x.mean(axis=0) for x in (a, b)]
    one, other = (
        ((x - m).T @ (x - m) / (len(x) - 1)).astype(np.float64)
        for x, m in zip((a, b), means, strict=True)
    )
    values, vectors = np.linalg.eigh(one)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    eigenvalues = np.linalg.eigvalsh(root @ other @ root)
    trace = np.sqrt(np.maximum(eigenvalues, 0)).sum()
    return float(np.square(means[0] - means[1]).sum() + np.trace(one + other) - 2 * trace)


@pytest.mark.parametrize(
    ("counts", "width", "rank"),
    [((200, 300), 24, None), ((24, 25), 24, None), ((300, 200), 24, 10)],
)
def test_frechet_distance_matches_the_plain_formula(counts, width, rank):
    a = features(0, counts[0], width, rank)
    b = features(1, counts[1], width, rank, shift=0.3)
    expected = plain_frechet_distance(a, b)
    np.testing.assert_allclose(distances.frechet_distance(a, b), expected, rtol=1e-6)


def test_frechet_distance_with_fewer_samples_than_features():
    """All sets lie in a plane, where the plain formula needs no root of a singular matrix."""
    random = np.random.default_rng(0)
    turn = np.linalg.qr(random.normal(size=(40, 40)))[0]
    a, b = random.normal(size=(12, 6)), random.normal(size=(9, 6)) * 2 + 1
    wide = [np.hstack([x, np.zeros((len(x), 34))]) @ turn for x in (a, b)]
    expected = plain_frechet_distance(a, b)
    np.testing.assert_allclose(distances.frechet_distance(*wide), expected, rtol=1e-6)


def test_frechet_distance_of_normal_distributions_is_known():
    """Independent features of known moments, up to the sampling error that is set to zero."""
    random = np.random.default_rng(0)
    x = random.normal(size=(500, 3))
    x = (x - x.mean(axis=0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(x.T))).T  # white
    a, b = x * (1, 2, 3), x * (2, 2, 1) + (0, 1, 2)
    np.testing.assert_allclose(distances.frechet_distance(a, b), 1 + 4 + 1 + 0 + 4, rtol=1e-9)


def test_equal_sets_have_no_distance():
    for count in (10, 100):
        x = features(0, count, 20)
        assert distances.frechet_distance(x, x) < 1e-10


@hypothesis.settings(max_examples=20, deadline=None)
@hypothesis.given(st.integers(2, 40), st.integers(2, 40), st.integers(1, 30))
def test_frechet_distance_is_real_and_symmetric(n, m, width):
    a, b = features(n, n, width), features(m + 50, m, width)
    there, back = distances.frechet_distance(a, b), distances.frechet_distance(b, a)
    assert there >= 0
    np.testing.assert_allclose(there, back, rtol=1e-6, atol=1e-9)


def plain_mmd(a, b):
    def kernel(x, y):
        return (np.dot(x.astype(np.float64), y.astype(np.float64)) / len(x) + 1) ** 3

    n = len(a)
    pairs = [(i, j) for i in range(n) for j in range(n) if i != j]
    within = sum(kernel(x[i], x[j]) for x in (a, b) for i, j in pairs) / (n * (n - 1))
    return within - 2 * sum(kernel(x, y) for x in a for y in b) / n**2


def test_kernel_distance_matches_the_sums(monkeypatch):
    a, b = features(0, 30, 12), features(1, 30, 12, shift=0.2)
    value, spread = distances.kernel_distance(a, b)
    np.testing.assert_allclose(value, plain_mmd(a, b), rtol=1e-6)  # each subset is the whole set
    assert spread < 1e-12
    monkeypatch.setattr(distances, "KID_SUBSET_SIZE", 15)
    value, spread = distances.kernel_distance(a, b)
    assert distances.kernel_distance(a, b, seed=1) != (value, spread)
    assert abs(value - plain_mmd(a, b)) < 3 * spread
    assert spread > 0


def test_kernel_distance_is_unbiased():
    """Of equal distributions it is 0 on average, however few the samples are."""
    values = [
        distances.kernel_distance(
            features(0, 400, 8)[i : i + 10], features(0, 400, 8)[i + 10 :][:10]
        )
        for i in range(0, 400, 20)
    ]
    means = [mean for mean, _ in values]
    assert abs(np.mean(means)) < 3 * np.std(means) / np.sqrt(len(means))
    assert min(means) < 0 < max(means)


def test_nearest_and_mean_distance(monkeypatch):
    monkeypatch.setattr(distances, "_BLOCK", 7)  # several blocks, the last one smaller
    a, b = features(0, 25, 9, shift=100), features(1, 40, 9, shift=100)
    table = cdist(a.astype(np.float64), b.astype(np.float64))
    indices, found = distances.nearest(a, b)
    np.testing.assert_array_equal(indices, table.argmin(axis=1))
    np.testing.assert_allclose(found, table.min(axis=1), rtol=1e-6)
    within = cdist(a.astype(np.float64), a.astype(np.float64))
    expected = within.sum() / (25 * 24)
    np.testing.assert_allclose(distances.mean_distance(a), expected, rtol=1e-6)


def test_too_few_samples_are_refused():
    with pytest.raises(ValueError, match="2 samples"):
        distances.frechet_distance(np.zeros((1, 3)), np.zeros((5, 3)))
    with pytest.raises(ValueError, match="2 samples"):
        distances.kernel_distance(np.zeros((5, 3)), np.zeros((1, 3)))
