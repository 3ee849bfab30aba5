"""WGAN-GP's residual networks (Gulrajani et al. 2017, arXiv 1704.00028), conditional.

At 64x64 with fmap_base 2048 and fmap_max 512 they are those of the official code
(igul222/improved_wgan_training, gan_64x64.py, GoodGenerator and GoodDiscriminator): 512, 512, 256,
128 and 64 maps at 4x4 to 64x64. The generator has batch norm. The critic has layer norm, the
official default, because the gradient penalty needs scores that do not depend on other samples.
Three things differ. Conditions are joined to the latents and projected onto the critic's features.
Other resolutions have a block less or more. Batch norm keeps running averages (see
`layers.batch_norm`).
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp

from dac.networks import convolutions, layers
from dac.networks.conditioning import Conditions, join_conditions, project_conditions
from dac.networks.gan import Gan
from dac.networks.layers import BASE_RESOLUTION, Conv, feature_maps, resolutions

LAYER_NORM_EPSILON = 1e-5  # official code, tflib/ops/layernorm.py
# Uniform weights with variance 4 / (fan-in + fan-out) before a ReLU and half of that elsewhere:
# official code, tflib/ops/conv2d.py (he_init) and tflib/ops/linear.py.
HE = nn.initializers.variance_scaling(2.0, "fan_avg", "uniform")
GLOROT = nn.initializers.variance_scaling(1.0, "fan_avg", "uniform")


def _layer_norm(x: jax.Array, name: str) -> jax.Array:
    """Normalises each sample over its positions and maps; one scale and offset per map."""
    norm = nn.LayerNorm(epsilon=LAYER_NORM_EPSILON, reduction_axes=(1, 2, 3), name=name)
    return norm(x.astype(jnp.float32)).astype(x.dtype)


class GeneratorBlock(nn.Module):
    """Residual block that doubles the resolution; `[B, H, W, C]` to `[B, 2H, 2W, features]`."""

    features: int
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Applies the block."""
        conv = functools.partial(Conv, dtype=self.dtype)
        # A 1x1 convolution commutes with upsampling; before it, it costs a quarter.
        shortcut = conv(self.features, 1, GLOROT, use_bias=True, name="shortcut")(x)
        x = nn.relu(layers.batch_norm(x, "norm_up"))
        x = conv(self.features, 3, HE, convolve=convolutions.upsample_conv, name="conv_up")(x)
        x = nn.relu(layers.batch_norm(x, "norm"))
        x = conv(self.features, 3, HE, use_bias=True, name="conv")(x)
        return layers.upsample(shortcut) + x


class CriticBlock(nn.Module):
    """Residual block that halves the resolution; `[B, H, W, C]` to `[B, H/2, W/2, features]`."""

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
        down = functools.partial(conv, use_bias=True, convolve=convolutions.conv_downsample)
        return shortcut + down(self.features, 3, HE, name="conv_down")(x)


class Generator(nn.Module):
    """Turns latents, standard normal, into pictures; see `Gan` for the contract."""

    resolution: int
    fmap_base: int
    fmap_max: int
    dtype: jnp.dtype = jnp.float32
    condition_scale: float = 1.0

    @nn.compact
    def __call__(
        self, latents: jax.Array, conditions: Conditions, truncation: jax.Array | float = 1.0
    ) -> jax.Array:
        """Generates pictures in [-1, 1]."""

        def width(r):
            return feature_maps(r, self.fmap_base, self.fmap_max)

        maps = width(BASE_RESOLUTION)
        x = join_conditions(truncation * latents, conditions, self.condition_scale)
        x = nn.Dense(16 * maps, kernel_init=GLOROT, name="dense_4x4")(x)
        x = x.reshape(-1, BASE_RESOLUTION, BASE_RESOLUTION, maps)
        for r in resolutions(self.resolution)[1:]:
            x = GeneratorBlock(width(r), self.dtype, name=f"block_{r}x{r}")(x)
        x = nn.relu(layers.batch_norm(x, "norm"))
        x = Conv(3, 3, HE, use_bias=True, dtype=self.dtype, name="output")(x)
        return jnp.tanh(x.astype(jnp.float32))


class Critic(nn.Module):
    """Turns pictures into scores; see `Gan` for the contract."""

    resolution: int
    fmap_base: int
    fmap_max: int
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, images: jax.Array, conditions: Conditions) -> jax.Array:
        """Scores pictures."""

        def width(r):
            return feature_maps(r, self.fmap_base, self.fmap_max)

        maps = width(self.resolution)
        x = Conv(maps, 3, GLOROT, use_bias=True, dtype=self.dtype, name="input")(images)
        for r in reversed(resolutions(self.resolution)[1:]):
            x = CriticBlock(width(r // 2), self.dtype, name=f"block_{r}x{r}")(x)
        x = x.astype(jnp.float32)
        output = nn.Dense(1, kernel_init=GLOROT, name="output")
        scores = output(x.reshape(x.shape[0], -1))[:, 0]
        return scores + project_conditions(x.sum(axis=(1, 2)), conditions)


GAN = Gan(generator=Generator, critic=Critic, least_resolution=8, critic_group=1)
