"""Layers of the GANs: resampling, normalisation, equalised learning rate.

Pictures are NHWC. Sections are those of Karras et al. 2018 (arXiv 1710.10196) unless another source
is named. Convolutions are computed in a given `dtype` and return it. The layers between them keep
the dtype of their input, and compute means and variances in float32. Parameters are float32.
"""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from dac.networks.convolutions import conv

BASE_RESOLUTION = 4  # the smallest resolution of features
LEAKY_SLOPE = 0.2  # official code, networks.py: leaky_relu
NORM_EPSILON = 1e-8  # section 4.2
STDDEV_GROUP = 4  # official code, networks.py: minibatch_stddev_layer
BATCH_NORM_EPSILON = 1e-5  # improved_wgan_training, tflib/ops/batchnorm.py
# Both official codes sample with the statistics of a large batch and keep no running averages. Ours
# accompany the moving average of the generator and look back about as far: half-life 69 updates.
BATCH_NORM_MOMENTUM = 0.99


def resolutions(final: int) -> tuple[int, ...]:
    """Returns the resolutions of a network's features: 4, 8, ... up to `final`, a power of two."""
    return tuple(2**e for e in range(2, final.bit_length()))


def feature_maps(resolution: int, fmap_base: int, fmap_max: int) -> int:
    """Returns min(fmap_base / 2^(log2(resolution) - 1), fmap_max), the width (appendix A).

    This is ProGAN's rule. With fmap_base 2048 it is also that of DCGAN and WGAN-GP.
    """
    return min(2 * fmap_base // resolution, fmap_max)


def leaky_relu(x: jax.Array) -> jax.Array:
    """Leaky ReLU with slope 0.2; any shape."""
    return jax.nn.leaky_relu(x, LEAKY_SLOPE)


def pixel_norm(x: jax.Array) -> jax.Array:
    """Scales each feature vector to unit mean square (section 4.2); `[..., C]` to `[..., C]`."""
    exact = x.astype(jnp.float32)
    mean_square = jnp.mean(jnp.square(exact), axis=-1, keepdims=True)
    return (exact * jax.lax.rsqrt(mean_square + NORM_EPSILON)).astype(x.dtype)


def upsample(x: jax.Array) -> jax.Array:
    """Doubles height and width by repeating pixels; `[B, H, W, C]` to `[B, 2H, 2W, C]`."""
    return jnp.repeat(jnp.repeat(x, 2, axis=1), 2, axis=2)


def downsample(x: jax.Array) -> jax.Array:
    """Halves height and width by the mean of 2x2 pixels; `[B, H, W, C]` to `[B, H/2, W/2, C]`."""
    b, h, w, c = x.shape
    return x.reshape(b, h // 2, 2, w // 2, 2, c).mean(axis=(2, 4))


def minibatch_stddev(x: jax.Array, group_size: int = STDDEV_GROUP) -> jax.Array:
    """Appends a map with the standard deviation over each group of samples (section 3).

    Groups are consecutive samples, not strided ones as in the official code. A batch that is split
    over devices in multiples of `group_size` then has the same groups on any number of devices.

    Args:
      x: features `[B, H, W, C]`; B is a multiple of `group_size`, or smaller than it.
      group_size: samples per group.

    Returns:
      `[B, H, W, C + 1]`.
    """
    b, h, w, c = x.shape
    group_size = min(group_size, b)
    groups = x.astype(jnp.float32).reshape(b // group_size, group_size, h, w, c)
    stddev = jnp.sqrt(jnp.var(groups, axis=1) + NORM_EPSILON)  # [B/G, H, W, C]
    statistic = jnp.mean(stddev, axis=(1, 2, 3))  # [B/G]
    maps = jnp.repeat(statistic, group_size)[:, None, None, None].astype(x.dtype)
    return jnp.concatenate([x, jnp.broadcast_to(maps, (b, h, w, 1))], axis=-1)


def batch_norm(
    x: jax.Array, name: str, scale_init: nn.initializers.Initializer = nn.initializers.ones
) -> jax.Array:
    """Batch norm as submodule `name` of the module whose `__call__` calls it; `[..., C]`.

    If the collection `batch_stats` is mutable, as in training, it normalises by the statistics of
    the batch over all devices of the axis `data`, and updates the running averages. Otherwise it
    normalises by the running averages, so that a picture does not depend on the others.
    """
    norm = nn.BatchNorm(
        momentum=BATCH_NORM_MOMENTUM,
        epsilon=BATCH_NORM_EPSILON,
        scale_init=scale_init,
        axis_name="data",
        name=name,
    )
    by_running_average = not norm.is_mutable_collection("batch_stats")
    return norm(x.astype(jnp.float32), use_running_average=by_running_average).astype(x.dtype)


class Conv(nn.Module):
    """Convolution; `[B, H, W, I]` to `[B, H', W', features]`, by `convolve` in `dtype`."""

    features: int
    kernel_size: int
    kernel_init: nn.initializers.Initializer
    use_bias: bool = False
    convolve: Callable[..., jax.Array] = conv
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Applies the layer."""
        shape = (self.kernel_size, self.kernel_size, x.shape[-1], self.features)
        x = self.convolve(x, self.param("kernel", self.kernel_init, shape), dtype=self.dtype)
        if self.use_bias:
            bias = self.param("bias", nn.initializers.zeros, (self.features,))
            x = x + bias.astype(self.dtype)
        return x


class EqualizedDense(nn.Module):
    """Dense layer with equalised learning rate (section 4.1), float32; `[B, I]` to `[B, features]`.

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
    or H/2 with `conv_downsample`. The bias comes after the resampling. Computed in `dtype`.
    """

    features: int
    kernel_size: int = 3
    gain: float = 2**0.5
    convolve: Callable[..., jax.Array] = conv
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Applies the layer."""
        shape = (self.kernel_size, self.kernel_size, x.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.normal(1.0), shape)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        fan_in = shape[0] * shape[1] * shape[2]
        x = self.convolve(x, kernel * (self.gain / fan_in**0.5), dtype=self.dtype)
        return x + bias.astype(self.dtype)
