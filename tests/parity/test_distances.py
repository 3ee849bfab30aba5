"""Distances and manifold figures against torch-fidelity, where it is installed."""

import numpy as np
import pytest

from dac.metrics.distances import frechet_distance, kernel_distance
from dac.metrics.manifold import manifold

torch = pytest.importorskip("torch", reason="PyTorch is missing: pip install -e '.[parity]'")
pytest.importorskip("torch_fidelity", reason="pip install torch-fidelity")
from torch_fidelity import metric_fid, metric_kid, metric_prc  # noqa: E402


@pytest.fixture(scope="module")
def sets():
    """Generated and real features, float64, as PyTorch's mathematics then has its digits."""
    random = np.random.default_rng(0)
    mix = random.normal(size=(64, 64)) / 8
    return random.normal(size=(300, 64)) @ mix + 0.1, random.normal(size=(400, 64)) @ mix


def test_frechet_distance(sets):
    statistics = [metric_fid.fid_features_to_statistics(torch.from_numpy(x)) for x in sets]
    expected = metric_fid.fid_statistics_to_metric(*statistics, verbose=False)
    found = frechet_distance(*sets)
    np.testing.assert_allclose(found, expected["frechet_inception_distance"], rtol=1e-6)


def test_kernel_distance(sets):
    """With one subset of all samples, in another order: their subsets are drawn otherwise."""
    generated, real = (x[:300] for x in sets)
    expected = metric_kid.kid_features_to_metric(
        *(torch.from_numpy(x) for x in (generated, real)),
        kid_subsets=1,
        kid_subset_size=300,
        verbose=False,
    )["kernel_inception_distance_mean"]
    np.testing.assert_allclose(kernel_distance(generated, real).mean, expected, rtol=1e-6)


def test_precision_is_the_generated_covers(sets):
    generated, real = sets
    tensors = [torch.from_numpy(x) for x in sets]
    expected = metric_prc.prc_features_to_metric(*tensors, verbose=False)
    found = manifold(real, generated)
    assert found.precision == pytest.approx(expected["precision"], abs=1e-6)
    assert found.recall == pytest.approx(expected["recall"], abs=1e-6)
    assert found.precision != found.recall
