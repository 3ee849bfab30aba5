"""DCGAN (Radford et al. 2016, arXiv 1511.06434), conditional.

At 64x64 with fmap_base 2048 and fmap_max 1024 the sizes and initial values are those of the
official code (Newmu/dcgan_code, faces/train_uncond_dcgan.py): 1024, 512, 256 and 128 maps at 4x4 to
32x32, and no biases except those of batch norm. In the networks four things differ. Conditions are
joined to the latents and projected onto the critic's features. Other resolutions have a layer less
or more. Batch norm has an epsilon of 1e-5, not 1e-8, which bounds the gradients of dead features.
It also keeps running averages (see `layers.batch_norm`).
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp

from dac.networks import convolutions, layers
from dac.networks.conditioning import Conditions, join_conditions, project_conditions
from dac.networks.gan import Gan
from dac.networks.layers import BASE_RESOLUTION, Conv, feature_maps, leaky_relu, resolutions

WEIGHTS = nn.initializers.normal(0.02)  # section 4


def _scales(key, shape, dtype=jnp.float32):
    """Draws initial scales of batch norm from N(1, 0.02): official code, gain_ifn."""
    return 1 + WEIGHTS(key, shape, dtype)


class Generator(nn.Module):
    """Turns latents, uniform in [-1, 1], into pictures; see `Gan` for the contract."""

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

        def conv_up(features, name):
            up = convolutions.conv_transpose
            return Conv(features, 5, WEIGHTS, convolve=up, dtype=self.dtype, name=name)

        def activate(x, name):
            return nn.relu(layers.batch_norm(x, name, _scales))

        maps = feature_maps(BASE_RESOLUTION, self.fmap_base, self.fmap_max)
        x = join_conditions(truncation * latents, conditions, self.condition_scale)
        x = nn.Dense(16 * maps, use_bias=False, kernel_init=WEIGHTS, name="dense_4x4")(x)
        # Statistics over the batch only, so each position has its own: official code, gen.
        x = activate(x, "norm_4x4").reshape(-1, BASE_RESOLUTION, BASE_RESOLUTION, maps)
        for r in resolutions(self.resolution // 2)[1:]:
            x = conv_up(feature_maps(r, self.fmap_base, self.fmap_max), f"conv_{r}x{r}")(x)
            x = activate(x, f"norm_{r}x{r}")
        return jnp.tanh(conv_up(3, "output")(x).astype(jnp.float32))


class Critic(nn.Module):
    """Turns pictures into logits: the paper's discriminator without its sigmoid; see `Gan`."""

    resolution: int
    fmap_base: int
    fmap_max: int
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, images: jax.Array, conditions: Conditions) -> jax.Array:
        """Scores pictures."""
        down = functools.partial(convolutions.conv, stride=2, padding=((2, 2), (2, 2)))
        x = images
        for r in reversed(resolutions(self.resolution // 2)):
            width = feature_maps(r, self.fmap_base, self.fmap_max)
            name = f"conv_{r}x{r}"
            x = Conv(width, 5, WEIGHTS, convolve=down, dtype=self.dtype, name=name)(x)
            if r < self.resolution // 2:
                x = layers.batch_norm(x, f"norm_{r}x{r}", _scales)
            x = leaky_relu(x)
        x = x.astype(jnp.float32)
        output = nn.Dense(1, use_bias=False, kernel_init=WEIGHTS, name="output")
        logits = output(x.reshape(x.shape[0], -1))[:, 0]
        return logits + project_conditions(x.sum(axis=(1, 2)), conditions)


GAN = Gan(
    generator=Generator,
    critic=Critic,
    least_resolution=8,
    critic_group=None,  # batch norm
)
