"""Layers of the GANs: equalised learning rate, resampling fused into convolutions, normalisation.

Pictures are NHWC. Equations are those of Karras et al. 2018 (arXiv 1710.10196) unless said.
"""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

LEAKY_SLOPE = 0.2  # official code, networks.py: leaky_relu
NORM_EPSILON = 1e-8  # section 4.2
STDDEV_GROUP = 4  # official code, networks.py: minibatch_stddev_layer


def leaky_relu(x: jax.Array) -> jax.Array:
    """Leaky ReLU with slope 0.2; any shape."""
    return jax.nn.leaky_relu(x, LEAKY_SLOPE)


def pixel_norm(x: jax.Array) -> jax.Array:
    """Scales each feature vector to unit mean square (section 4.2); `[..., C]` to `[..., C]`."""
    return x * jax.lax.rsqrt(jnp.mean(jnp.square(x), axis=-1, keepdims=True) + NORM_EPSILON)


def upsample(x: jax.Array) -> jax.Array:
    """Doubles height and width by repeating pixels; `[B, H, W, C]` to `[B, 2H, 2W, C]`."""
    return jnp.repeat(jnp.repeat(x, 2, axis=1), 2, axis=2)


def downsample(x: jax.Array) -> jax.Array:
    """Halves height and width by the mean of 2x2 pixels; `[B, H, W, C]` to `[B, H/2, W/2, C]`."""
    b, h, w, c = x.shape
    return x.reshape(b, h // 2, 2, w // 2, 2, c).mean(axis=(2, 4))


def minibatch_stddev(x: jax.Array, group_size: int = STDDEV_GROUP) -> jax.Array:
    """Appends a map with the standard deviation over each group of samples (section 3).

    Groups are consecutive samples, not strided ones as in the official code, so that a batch
    split over devices in multiples of `group_size` gives the same groups on any number of them.

    Args:
      x: features `[B, H, W, C]`; B is a multiple of `group_size`, or smaller than it.
      group_size: samples a group.

    Returns:
      `[B, H, W, C + 1]`.
    """
    b, h, w, c = x.shape
    group_size = min(group_size, b)
    groups = x.reshape(b // group_size, group_size, h, w, c)
    stddev = jnp.sqrt(jnp.var(groups, axis=1) + NORM_EPSILON)  # [B/G, H, W, C]
    statistic = jnp.mean(stddev, axis=(1, 2, 3))  # [B/G]
    maps = jnp.repeat(statistic, group_size)[:, None, None, None]
    return jnp.concatenate([x, jnp.broadcast_to(maps, (b, h, w, 1))], axis=-1)


def conv(
    x: jax.Array, kernel: jax.Array, *, stride: int = 1, padding: str | tuple = "SAME"
) -> jax.Array:
    """Plain convolution; `[B, H, W, I]` with `[kH, kW, I, O]`."""
    return jax.lax.conv_general_dilated(
        x, kernel, (stride, stride), padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def upsample_conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """`conv(upsample(x), kernel)` with 16 products a pixel instead of 36.

    Each of the four output pixels of an input pixel sees only 2x2 input pixels, so the 3x3 taps
    that fall on the same one are summed first.

    Args:
      x: `[B, H, W, I]`.
      kernel: `[3, 3, I, O]`.

    Returns:
      `[B, 2H, 2W, O]`.
    """
    b, h, w, _ = x.shape

    def fold(taps, axis, phase):  # 3 taps to 2 for the even (0) or odd (1) output pixels
        first, middle, last = jnp.split(taps, 3, axis)
        pair = (first, middle + last) if phase == 0 else (first + middle, last)
        return jnp.concatenate(pair, axis)

    rows = [
        jnp.stack(
            [
                conv(
                    x,
                    fold(fold(kernel, 0, row), 1, column),
                    padding=((1 - row, row), (1 - column, column)),
                )
                for column in (0, 1)
            ],
            axis=3,
        )
        for row in (0, 1)
    ]  # two of [B, H, W, 2, O]
    return jnp.stack(rows, axis=2).reshape(b, 2 * h, 2 * w, -1)


def conv_downsample(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """`downsample(conv(x, kernel))` as one 4x4 convolution of stride 2.

    Args:
      x: `[B, H, W, I]`, H and W even.
      kernel: `[3, 3, I, O]`.

    Returns:
      `[B, H/2, W/2, O]`.
    """
    padded = jnp.pad(kernel, ((1, 1), (1, 1), (0, 0), (0, 0)))
    wide = (padded[1:, 1:] + padded[:-1, 1:] + padded[1:, :-1] + padded[:-1, :-1]) / 4
    return conv(x, wide, stride=2, padding=((1, 1), (1, 1)))


class EqualizedDense(nn.Module):
    """Dense layer with equalised learning rate (section 4.1); `[B, I]` to `[B, features]`.

    Weights start as N(0, 1) and are multiplied at run time by gain / sqrt(fan-in).
    """

    features: int
    gain: float = 2**0.5

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Applies the layer."""
        shape = (x.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.normal(1.0), shape)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        return x @ (kernel * (self.gain / shape[0] ** 0.5)) + bias


class EqualizedConv(nn.Module):
    """Convolution with equalised learning rate and optional fused resampling.

    `[B, H, W, I]` to `[B, H', W', features]`: H' is H, or 2H with `upsample_conv` for `convolve`,
    or H/2 with `conv_downsample`. The bias comes after the resampling.
    """

    features: int
    kernel_size: int = 3
    gain: float = 2**0.5
    convolve: Callable[[jax.Array, jax.Array], jax.Array] = conv

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Applies the layer."""
        shape = (self.kernel_size, self.kernel_size, x.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.normal(1.0), shape)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        fan_in = shape[0] * shape[1] * shape[2]
        return self.convolve(x, kernel * (self.gain / fan_in**0.5)) + bias
