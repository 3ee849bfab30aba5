"""WGAN-GP's residual networks (Gulrajani et al. 2017, arXiv 1704.00028), conditional.

Those of the official code at 64x64 (igul222/improved_wgan_training, gan_64x64.py, GoodGenerator
and GoodDiscriminator) with fmap_base 2048 and fmap_max 512: widths of 512, 512, 256, 128 and 64 at
4x4 to 64x64. The generator has batch norm; the critic has layer norm, the official default, which
never mixes the samples that the gradient penalty is measured on one by one. Departures: batch norm
keeps running averages (see `layers.batch_norm`); other resolutions take a block less or more; and
the conditions, which are joined to the latents and projected on the critic's features.
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp

from dac.networks import layers
from dac.networks.conditioning import Conditions, join_conditions, project_conditions
from dac.networks.layers import BASE_RESOLUTION, Conv, feature_maps, resolutions

LAYER_NORM_EPSILON = 1e-5  # official code, tflib/ops/layernorm.py
# Uniform, of variance 4 / (fan-in + fan-out) before a ReLU and half of it elsewhere: official code,
# tflib/ops/conv2d.py (he_init) and tflib/ops/linear.py.
HE = nn.initializers.variance_scaling(2.0, "fan_avg", "uniform")
GLOROT = nn.initializers.variance_scaling(1.0, "fan_avg", "uniform")


def _layer_norm(x: jax.Array, name: str) -> jax.Array:
    """Normalises each sample over its positions and maps; a scale and an offset a map."""
    return nn.LayerNorm(epsilon=LAYER_NORM_EPSILON, reduction_axes=(1, 2, 3), name=name)(x)


class GeneratorBlock(nn.Module):
    """Residual, doubles the resolution; `[B, H, W, C]` to `[B, 2H, 2W, features]`."""

    features: int
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Applies the block."""
        conv = functools.partial(Conv, dtype=self.dtype)
        # A 1x1 convolution gives the same before upsampling as after it, for a quarter of the cost.
        shortcut = conv(self.features, 1, GLOROT, use_bias=True, name="shortcut")(x)
        x = nn.relu(layers.batch_norm(x, "norm_up"))
        x = conv(self.features, 3, HE, convolve=layers.upsample_conv, name="conv_up")(x)
        x = nn.relu(layers.batch_norm(x, "norm"))
        x = conv(self.features, 3, HE, use_bias=True, name="conv")(x)
        return layers.upsample(shortcut) + x


class CriticBlock(nn.Module):
    """Residual, halves the resolution; `[B, H, W, C]` to `[B, H/2, W/2, features]`."""

    features: int
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Applies the block."""
        conv = functools.partial(Conv, dtype=self.dtype)
        shortcut = layers.downsample(x)
        shortcut = conv(self.features, 1, GLOROT, use_bias=True, name="shortcut")(shortcut)
        x = nn.relu(_layer_norm(x, "norm"))
        x = conv(x.shape[-1], 3, HE, name="conv")(x)
        x = nn.relu(_layer_norm(x, "norm_down"))
        down = functools.partial(conv, use_bias=True, convolve=layers.conv_downsample)
        return shortcut + down(self.features, 3, HE, name="conv_down")(x)


class Generator(nn.Module):
    """Latents and conditions to pictures.

    Attributes:
      resolution: of the pictures, a power of two from 8 up.
      fmap_base: width at 4x4 before the cap, times 2.
      fmap_max: cap of the width.
      dtype: that convolutions are computed in; parameters and all else are float32.
    """

    resolution: int
    fmap_base: int
    fmap_max: int
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(
        self, latents: jax.Array, conditions: Conditions, resolution: int, alpha: jax.Array | float
    ) -> jax.Array:
        """Generates pictures; in training mode where `batch_stats` is mutable.

        Args:
          latents: `[B, Z]` float32, standard normal.
          conditions: see `ConditionEmbedding`; none for an unconditional network.
          resolution: that of the network, static; here as ProGAN has it, and so is `alpha`.
          alpha: not used.

        Returns:
          `[B, resolution, resolution, 3]` float32 in [-1, 1].
        """

        def width(r):
            return feature_maps(r, self.fmap_base, self.fmap_max)

        maps = width(BASE_RESOLUTION)
        x = join_conditions(latents, conditions)
        x = nn.Dense(16 * maps, kernel_init=GLOROT, name="dense_4x4")(x)
        x = x.reshape(-1, BASE_RESOLUTION, BASE_RESOLUTION, maps)
        for r in resolutions(self.resolution)[1:]:
            x = GeneratorBlock(width(r), self.dtype, name=f"block_{r}x{r}")(x)
        x = nn.relu(layers.batch_norm(x, "norm"))
        return jnp.tanh(Conv(3, 3, HE, use_bias=True, dtype=self.dtype, name="output")(x))


class Critic(nn.Module):
    """Pictures and conditions to scores, higher for real; attributes as `Generator`'s."""

    resolution: int
    fmap_base: int
    fmap_max: int
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(
        self, images: jax.Array, conditions: Conditions, resolution: int, alpha: jax.Array | float
    ) -> jax.Array:
        """Scores pictures, each by itself.

        Args:
          images: `[B, resolution, resolution, 3]` float32 in [-1, 1].
          conditions: see `ConditionEmbedding`; none for an unconditional network.
          resolution: that of the network, static; here as ProGAN has it, and so is `alpha`.
          alpha: not used.

        Returns:
          `[B]` float32.
        """

        def width(r):
            return feature_maps(r, self.fmap_base, self.fmap_max)

        maps = width(self.resolution)
        x = Conv(maps, 3, GLOROT, use_bias=True, dtype=self.dtype, name="input")(images)
        for r in reversed(resolutions(self.resolution)[1:]):
            x = CriticBlock(width(r // 2), self.dtype, name=f"block_{r}x{r}")(x)
        output = nn.Dense(1, kernel_init=GLOROT, name="output")
        scores = output(x.reshape(x.shape[0], -1))[:, 0]
        return scores + project_conditions(x.mean(axis=(1, 2)), conditions)
