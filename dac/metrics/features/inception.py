"""InceptionV3 up to its pooled features, as FID is defined (Heusel et al. 2017).

The graph is that of TensorFlow's `inception-2015-12-05`, which differs from the paper (Szegedy et
al. 2015, arXiv 1512.00567) and from later weights: means of windows do not count what is outside
the picture, and the last block takes the maximum of windows in place of the mean. The weights are
a conversion of that graph to PyTorch, `pt_inception-2015-12-05-6726825d.pth` (mseitzer/pytorch-fid)
or `weights-inception-2015-12-05-6726825d.pth` (toshas/torch-fidelity), with the same names.
"""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from dac.metrics.features import layers

SIDE = 299  # pixels
WIDTH = 2048
BATCH_NORM_EPSILON = 1e-3

Branch = Callable[..., jax.Array]


def convert(tensors: Mapping[str, np.ndarray]) -> layers.Weights:
    """Returns the network's weights, from the tensors of either file.

    Raises:
      KeyError: a tensor is missing.
    """
    names = [name.removesuffix(".conv.weight") for name in tensors if name.endswith(".conv.weight")]
    return {
        name: layers.fold_batch_norm(
            tensors, f"{name}.conv.weight", f"{name}.bn", BATCH_NORM_EPSILON
        )
        for name in names
    }


def features(weights: layers.Weights, images: jax.Array) -> jax.Array:
    """Returns features, `[B, 2048]` float32, of pictures `[B, R, R, 3]` uint8."""

    def conv(x, name, stride=1, padding="VALID"):
        return jax.nn.relu(layers.conv(x, weights[name], stride, padding))

    x = resize(images.astype(jnp.float32), SIDE)
    x = (x - 128.0) / 128.0
    x = conv(x, "Conv2d_1a_3x3", 2)
    x = conv(x, "Conv2d_2a_3x3")
    x = conv(x, "Conv2d_2b_3x3", padding="SAME")
    x = layers.max_pool(x, 2)
    x = conv(x, "Conv2d_3b_1x1")
    x = conv(x, "Conv2d_4a_3x3")
    x = layers.max_pool(x, 2)  # 35x35
    for block, apply in (
        *((f"Mixed_5{letter}", _block_35) for letter in "bcd"),
        ("Mixed_6a", _to_17),
        *((f"Mixed_6{letter}", _block_17) for letter in "bcde"),
        ("Mixed_7a", _to_8),
        ("Mixed_7b", _block_8),
        ("Mixed_7c", _last_block),
    ):
        x = apply(x, _branches(conv, block))
    return jnp.mean(x, axis=(1, 2))


def resize(x: jax.Array, side: int) -> jax.Array:
    """Resizes pictures `[B, H, W, C]` as TensorFlow 1 did: bilinear, pixel i at i * H / side.

    There is no antialiasing filter: tensorflow/core/kernels/resize_bilinear_op.cc.
    """

    def weights(size):
        place = np.arange(side) * (size / side)
        low = np.floor(place).astype(int)
        matrix = np.zeros((side, size), np.float32)
        np.add.at(matrix, (np.arange(side), low), 1 - (place - low))
        np.add.at(matrix, (np.arange(side), np.minimum(low + 1, size - 1)), place - low)
        return matrix

    return jnp.einsum("ih,jw,bhwc->bijc", weights(x.shape[1]), weights(x.shape[2]), x)


def _branches(conv: Branch, block: str) -> Branch:
    """Returns a function that applies convolutions of a block, named by their suffixes, in turn."""

    def apply(x, *suffixes, stride=1, padding="SAME"):
        """`stride` and `padding` are those of the last convolution."""
        for suffix in suffixes[:-1]:
            x = conv(x, f"{block}.branch{suffix}", padding="SAME")
        return conv(x, f"{block}.branch{suffixes[-1]}", stride, padding)

    return apply


def _joined(*parts: jax.Array) -> jax.Array:
    return jnp.concatenate(parts, axis=-1)


def _block_35(x: jax.Array, branch: Branch) -> jax.Array:
    return _joined(
        branch(x, "1x1"),
        branch(x, "5x5_1", "5x5_2"),
        branch(x, "3x3dbl_1", "3x3dbl_2", "3x3dbl_3"),
        branch(layers.mean_pool(x), "_pool"),
    )


def _to_17(x: jax.Array, branch: Branch) -> jax.Array:
    return _joined(
        branch(x, "3x3", stride=2, padding="VALID"),
        branch(x, "3x3dbl_1", "3x3dbl_2", "3x3dbl_3", stride=2, padding="VALID"),
        layers.max_pool(x, 2),
    )


def _block_17(x: jax.Array, branch: Branch) -> jax.Array:
    return _joined(
        branch(x, "1x1"),
        branch(x, "7x7_1", "7x7_2", "7x7_3"),
        branch(x, *(f"7x7dbl_{i}" for i in range(1, 6))),
        branch(layers.mean_pool(x), "_pool"),
    )


def _to_8(x: jax.Array, branch: Branch) -> jax.Array:
    return _joined(
        branch(x, "3x3_1", "3x3_2", stride=2, padding="VALID"),
        branch(x, "7x7x3_1", "7x7x3_2", "7x7x3_3", "7x7x3_4", stride=2, padding="VALID"),
        layers.max_pool(x, 2),
    )


def _block_8(x: jax.Array, branch: Branch) -> jax.Array:
    return _ends_8(x, branch, layers.mean_pool(x))


def _last_block(x: jax.Array, branch: Branch) -> jax.Array:
    return _ends_8(x, branch, layers.max_pool(x, 1, "SAME"))


def _ends_8(x: jax.Array, branch: Branch, pooled: jax.Array) -> jax.Array:
    middle = branch(x, "3x3_1")
    double = branch(x, "3x3dbl_1", "3x3dbl_2")
    return _joined(
        branch(x, "1x1"),
        branch(middle, "3x3_2a"),
        branch(middle, "3x3_2b"),
        branch(double, "3x3dbl_3a"),
        branch(double, "3x3dbl_3b"),
        branch(pooled, "_pool"),
    )
