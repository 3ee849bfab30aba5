import itertools

import numpy as np

from dac.metrics.agreement import agreement


def test_agreement_matches_all_permutations():
    fits = np.random.default_rng(0).random((6, 6)) < 0.4
    shares = [fits[np.arange(6), list(p)].mean() for p in itertools.permutations(range(6))]
    result = agreement(fits)
    assert result.share == fits.diagonal().mean()
    np.testing.assert_allclose(result.shuffled, np.mean(shares))
    np.testing.assert_allclose(result.z, (result.share - np.mean(shares)) / np.std(shares))


def test_agreement_detects_whether_conditions_are_followed():
    random = np.random.default_rng(0)
    wanted, ignoring = random.integers(8, size=(2, 500))
    partly = np.where(random.random(500) < 0.2, wanted, ignoring)  # follows a fifth of the requests
    collapsed = np.zeros(500, int)
    results = {
        name: agreement(found[:, None] == wanted)
        for name, found in {"ignoring": ignoring, "partly": partly, "collapsed": collapsed}.items()
    }
    assert results["partly"].p < 1e-6
    assert results["ignoring"].p > 0.01
    assert (results["collapsed"].z, results["collapsed"].p) == (0.0, 0.5)
    # If requests are ignored, z is standard normal.
    shuffles = (random.permutation(wanted) for _ in range(300))
    scores = [agreement(ignoring[:, None] == wanted).z for wanted in shuffles]
    assert abs(np.mean(scores)) < 0.2
    assert 0.85 < np.std(scores) < 1.15
