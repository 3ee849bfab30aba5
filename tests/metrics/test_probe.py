import numpy as np

from dac.metrics import probe


def test_weights_are_those_of_ridge_regression_with_the_least_error_left_out():
    random = np.random.default_rng(0)
    x = random.normal(3, (1, 2, 0.1, 1, 1), (40, 5))
    y = x @ random.normal(size=(5, 2)) + random.normal(size=(40, 2))
    z = (x - x.mean(axis=0)) / x.std(axis=0)

    def fit(z, y, ridge):
        centre = z.mean(axis=0)
        shape = (z - centre).T @ (z - centre) + ridge * len(x) * np.eye(5)
        weights = np.linalg.solve(shape, (z - centre).T @ (y - y.mean(axis=0)))
        return lambda new: (new - centre) @ weights + y.mean(axis=0)

    def left_out(ridge):
        return sum(
            np.square(fit(np.delete(z, i, 0), np.delete(y, i, 0), ridge)(z[i]) - y[i]).sum()
            for i in range(40)
        )

    best = min(probe.RIDGES, key=left_out)
    found = probe.train_probe(x, y)
    np.testing.assert_allclose(found(x), fit(z, y, best)(z), rtol=1e-6)


def test_probe_generalises_with_more_features_than_samples():
    random = np.random.default_rng(0)
    x = random.normal(size=(400, 300)).astype(np.float32)
    classes = (x[:, :3] + random.normal(0, 0.3, (400, 3))).argmax(axis=1)
    learned = probe.train_probe(x[:200], np.eye(3)[classes[:200]])
    assert np.mean(learned(x[200:]).argmax(axis=1) == classes[200:]) > 0.5  # chance is a third
    noise = probe.train_probe(x[:200], random.normal(size=(200, 1)))
    assert noise(x[200:]).std() < 0.3  # nothing is learned of nothing


def test_a_constant_feature_is_harmless():
    x = np.hstack([np.random.default_rng(0).normal(size=(30, 2)), np.full((30, 1), 7.0)])
    assert np.isfinite(probe.train_probe(x, x[:, :1])(x)).all()
