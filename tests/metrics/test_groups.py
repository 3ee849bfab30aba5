import numpy as np

from dac.metrics import groups

GROUPS = np.arange(4)


def draw(seed, between, count=400, width=30):
    """Vectors of 4 groups, whose means have a variance of `between` in each dimension."""
    means = np.random.default_rng(9).normal(0, np.sqrt(between), (4, width))
    of = np.arange(count) % 4
    vectors = np.random.default_rng(seed).normal(size=(count, width)) + means[of]
    return groups.moments(np.array_split(vectors, 7), of, 4), vectors, of, means


def test_moments_are_those_of_each_group():
    found, vectors, of, _ = draw(0, 0.5)
    for group in range(4):
        own = vectors[of == group]
        np.testing.assert_allclose(found.means[group], own.mean(axis=0))
        np.testing.assert_allclose(found.within()[group], own.var(axis=0, ddof=1).sum())
    without = groups.moments([vectors], np.where(of == 3, -1, of), 4)
    assert without.counts.tolist() == [100, 100, 100, 0]
    np.testing.assert_allclose(without.means[:3], found.means[:3])


def test_share_between_groups_is_unbiased():
    for between in (0.0, 0.01, 0.5):
        shares = [draw(seed, between, count=60)[0].between_share(GROUPS) for seed in range(200)]
        means = draw(0, between)[3]
        true = means.var(axis=0, ddof=1).sum()
        error = np.std(shares) / np.sqrt(len(shares))
        assert abs(np.mean(shares) - true / (true + 30)) < 4 * error + 2e-3


def test_slope_is_unbiased_by_noise():
    """Real groups differ by less than the noise of their means, as genres do."""
    real = [draw(seed, 0.05, count=400)[0] for seed in range(60)]
    ignoring = [draw(seed, 0.0, count=400)[0] for seed in range(60)]
    for generated, expected in ((real, 1), (ignoring, 0)):
        slopes = [
            groups.slope(generated[i], real[(i + 1) % 60], real[(i + 2) % 60], GROUPS)
            for i in range(60)
        ]
        assert abs(np.median(slopes) - expected) < 0.15
    over = groups.moments([draw(0, 0.5)[1] * 2], draw(0, 0.5)[2], 4)
    assert abs(groups.slope(over, draw(1, 0.5)[0], draw(2, 0.5)[0], GROUPS) - 2) < 0.1
