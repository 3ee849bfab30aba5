"""DCGAN (Radford et al. 2016, arXiv 1511.06434), conditional.

Sizes and initial values are those of the official code (Newmu/dcgan_code,
faces/train_uncond_dcgan.py) at 64x64 with fmap_base 2048 and fmap_max 1024: widths of 1024, 512,
256 and 128 at 4x4 to 32x32, and no biases but those of batch norm. Departures: batch norm's
epsilon is 1e-5, not 1e-8, so that a dead feature has gradients of a sound size, and it keeps
running averages (see `layers.batch_norm`); other resolutions take a layer less or more; and the
conditions, which are joined to the latents and projected on the critic's features.
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp

from dac.networks import layers
from dac.networks.conditioning import Conditions, join_conditions, project_conditions
from dac.networks.layers import BASE_RESOLUTION, Conv, feature_maps, leaky_relu, resolutions

WEIGHTS = nn.initializers.normal(0.02)  # section 4


def _scales(key, shape, dtype=jnp.float32):
    """Initial scales of batch norm, N(1, 0.02): official code, gain_ifn."""
    return 1 + WEIGHTS(key, shape, dtype)


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
          latents: `[B, Z]` float32, uniform in [-1, 1].
          conditions: see `ConditionEmbedding`; none for an unconditional network.
          resolution: that of the network, static; here as ProGAN has it, and so is `alpha`.
          alpha: not used.

        Returns:
          `[B, resolution, resolution, 3]` float32 in [-1, 1].
        """

        def conv_up(features, name):
            up = layers.conv_transpose
            return Conv(features, 5, WEIGHTS, convolve=up, dtype=self.dtype, name=name)

        def activate(x, name):
            return nn.relu(layers.batch_norm(x, name, _scales))

        maps = feature_maps(BASE_RESOLUTION, self.fmap_base, self.fmap_max)
        x = join_conditions(latents, conditions)
        x = nn.Dense(16 * maps, use_bias=False, kernel_init=WEIGHTS, name="dense_4x4")(x)
        # Over the batch alone, each position by itself: official code, gen.
        x = activate(x, "norm_4x4").reshape(-1, BASE_RESOLUTION, BASE_RESOLUTION, maps)
        for r in resolutions(self.resolution // 2)[1:]:
            x = conv_up(feature_maps(r, self.fmap_base, self.fmap_max), f"conv_{r}x{r}")(x)
            x = activate(x, f"norm_{r}x{r}")
        return jnp.tanh(conv_up(3, "output")(x))


class Critic(nn.Module):
    """Pictures and conditions to logits, higher for real; attributes as `Generator`'s.

    The paper's discriminator, without its sigmoid.
    """

    resolution: int
    fmap_base: int
    fmap_max: int
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(
        self, images: jax.Array, conditions: Conditions, resolution: int, alpha: jax.Array | float
    ) -> jax.Array:
        """Scores pictures; in training mode where `batch_stats` is mutable.

        Args:
          images: `[B, resolution, resolution, 3]` float32 in [-1, 1].
          conditions: see `ConditionEmbedding`; none for an unconditional network.
          resolution: that of the network, static; here as ProGAN has it, and so is `alpha`.
          alpha: not used.

        Returns:
          `[B]` float32.
        """
        down = functools.partial(layers.conv, stride=2, padding=((2, 2), (2, 2)))
        x = images
        for r in reversed(resolutions(self.resolution // 2)):
            width = feature_maps(r, self.fmap_base, self.fmap_max)
            name = f"conv_{r}x{r}"
            x = Conv(width, 5, WEIGHTS, convolve=down, dtype=self.dtype, name=name)(x)
            if r < self.resolution // 2:
                x = layers.batch_norm(x, f"norm_{r}x{r}", _scales)
            x = leaky_relu(x)
        output = nn.Dense(1, use_bias=False, kernel_init=WEIGHTS, name="output")
        logits = output(x.reshape(x.shape[0], -1))[:, 0]
        return logits + project_conditions(x.mean(axis=(1, 2)), conditions)
