"""Layers of trained classifiers. Pictures are NHWC float32."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

# By layer, its kernel `[kH, kW, I, O]` and its bias `[O]`, float32.
Weights = dict[str, tuple[np.ndarray, np.ndarray]]


def fold_batch_norm(
    tensors: Mapping[str, np.ndarray], kernel: str, norm: str, epsilon: float
) -> tuple[np.ndarray, np.ndarray]:
    """Merges a convolution without a bias and the batch norm after it, as at inference.

    Args:
      tensors: PyTorch's, by name.
      kernel: name of the kernel, `[O, I, kH, kW]`.
      norm: name of the batch norm.
      epsilon: of the batch norm.

    Returns:
      The kernel `[kH, kW, I, O]` and the bias `[O]`, float32.

    Raises:
      KeyError: a tensor is missing.
    """
    scale, offset, mean, variance = (
        tensors[f"{norm}.{part}"].astype(np.float64)
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    scale = scale / np.sqrt(variance + epsilon)
    folded = tensors[kernel].astype(np.float64).transpose(2, 3, 1, 0) * scale
    return folded.astype(np.float32), (offset - mean * scale).astype(np.float32)


def conv(
    x: jax.Array,
    weights: tuple[jax.Array, jax.Array],
    stride: int = 1,
    padding: str = "VALID",
) -> jax.Array:
    """Convolution with a bias; a 1x1 kernel without stride is a matrix product."""
    kernel, bias = weights
    if kernel.shape[:2] == (1, 1) and stride == 1:
        return x @ kernel[0, 0] + bias
    strides, numbers = (stride, stride), ("NHWC", "HWIO", "NHWC")
    out = jax.lax.conv_general_dilated(x, kernel, strides, padding, dimension_numbers=numbers)
    return out + bias


def depthwise_conv(
    x: jax.Array, weights: tuple[jax.Array, jax.Array], stride: int = 1
) -> jax.Array:
    """Convolution of each map by itself, with a kernel `[k, k, 1, C]` and padding `SAME`.

    It is a sum of shifted pictures, which XLA fuses into one loop. Its own grouped convolution is
    many times slower on CPUs.
    """
    kernel, bias = weights
    size = kernel.shape[0]
    pads = jax.lax.padtype_to_pads(x.shape[1:3], (size, size), (stride, stride), "SAME")
    padded = jnp.pad(x, ((0, 0), *pads, (0, 0)))
    rows, columns = (-(-n // stride) for n in x.shape[1:3])
    out = bias
    for i in range(size):
        for j in range(size):
            part = padded[:, i : i + rows * stride : stride, j : j + columns * stride : stride]
            out = out + part * kernel[i, j, 0]
    return out


def max_pool(x: jax.Array, stride: int, padding: str = "VALID") -> jax.Array:
    """Maximum of 3x3 windows."""
    return jax.lax.reduce_window(
        x, -jnp.inf, jax.lax.max, (1, 3, 3, 1), (1, stride, stride, 1), padding
    )


def mean_pool(x: jax.Array) -> jax.Array:
    """Mean of 3x3 windows with a stride of 1; what is outside the picture is not counted."""

    def window_sums(x):
        return jax.lax.reduce_window(x, 0.0, jax.lax.add, (1, 3, 3, 1), (1, 1, 1, 1), "SAME")

    return window_sums(x) / window_sums(jnp.ones_like(x[:1, :, :, :1]))
