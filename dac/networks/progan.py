"""ProGAN (Karras et al. 2018, arXiv 1710.10196), conditional.

Both networks hold the parameters of all resolutions from the start. A call computes the part that
its static `resolution` needs. `alpha` fades in the newest resolution and may be traced.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from dac.networks import convolutions, layers
from dac.networks.conditioning import Conditions, join_conditions, project_conditions
from dac.networks.gan import Gan
from dac.networks.layers import (
    BASE_RESOLUTION,
    EqualizedConv,
    EqualizedDense,
    feature_maps,
    leaky_relu,
    pixel_norm,
    resolutions,
)


def active_modules(resolution: int) -> frozenset[str]:
    """Returns the names of the top-level modules that `resolution` computes with."""
    grown = [r for r in resolutions(resolution) if r > BASE_RESOLUTION]
    faded = [r for r in (resolution // 2, resolution) if r >= BASE_RESOLUTION]
    return frozenset(
        ["conditions", "dense_4x4", "conv_4x4", "output"]
        + [f"block_{r}x{r}" for r in grown]
        + [f"{rgb}_{r}x{r}" for r in faded for rgb in ("to_rgb", "from_rgb")]
    )


class LatentsTo4x4(nn.Module):
    """Dense layer with equalised learning rate; `[B, Z]` to `[B, 4, 4, features]`.

    It has one bias per map, not one per output, and a gain of sqrt(2)/4: official code,
    networks.py, G_paper.
    """

    features: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Applies the layer."""
        shape = (x.shape[-1], 16 * self.features)
        kernel = self.param("kernel", nn.initializers.normal(1.0), shape)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        x = x @ (kernel * (2**0.5 / 4 / shape[0] ** 0.5))
        return x.reshape(-1, BASE_RESOLUTION, BASE_RESOLUTION, self.features) + bias


class GeneratorBlock(nn.Module):
    """Doubles the resolution; `[B, H, W, C]` to `[B, 2H, 2W, features]`."""

    features: int
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Applies the block."""
        up = convolutions.upsample_conv
        conv_up = EqualizedConv(self.features, convolve=up, dtype=self.dtype, name="conv_up")
        x = pixel_norm(leaky_relu(conv_up(x)))
        conv = EqualizedConv(self.features, dtype=self.dtype, name="conv")
        return pixel_norm(leaky_relu(conv(x)))


class CriticBlock(nn.Module):
    """Halves the resolution; `[B, H, W, C]` to `[B, H/2, W/2, features]`."""

    features: int
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Applies the block."""
        x = leaky_relu(EqualizedConv(x.shape[-1], dtype=self.dtype, name="conv")(x))
        down = convolutions.conv_downsample
        conv_down = EqualizedConv(self.features, convolve=down, dtype=self.dtype, name="conv_down")
        return leaky_relu(conv_down(x))


class Generator(nn.Module):
    """Turns standard normal latents into pictures; see `Gan` for the contract."""

    resolution: int
    fmap_base: int
    fmap_max: int
    dtype: jnp.dtype = jnp.float32
    condition_scale: float = 1.0

    @nn.compact
    def __call__(
        self,
        latents: jax.Array,
        conditions: Conditions,
        resolution: int,
        alpha: jax.Array | float,
        truncation: jax.Array | float = 1.0,
    ) -> jax.Array:
        """Generates pictures; the output is linear."""
        x = join_conditions(truncation * pixel_norm(latents), conditions, self.condition_scale)
        maps = feature_maps(BASE_RESOLUTION, self.fmap_base, self.fmap_max)
        x = pixel_norm(leaky_relu(LatentsTo4x4(maps, name="dense_4x4")(x)))
        x = EqualizedConv(maps, dtype=self.dtype, name="conv_4x4")(x)
        x = pixel_norm(leaky_relu(x))

        features = {BASE_RESOLUTION: x}
        for r in resolutions(self.resolution if self.is_initializing() else resolution)[1:]:
            width = feature_maps(r, self.fmap_base, self.fmap_max)
            x = features[r] = GeneratorBlock(width, self.dtype, name=f"block_{r}x{r}")(x)

        def to_rgb(r):
            name = f"to_rgb_{r}x{r}"
            rgb = EqualizedConv(3, 1, gain=1.0, dtype=self.dtype, name=name)
            return rgb(features[r]).astype(jnp.float32)

        if self.is_initializing():
            return {r: to_rgb(r) for r in features}[self.resolution]
        if resolution == BASE_RESOLUTION:
            return to_rgb(resolution)
        old = layers.upsample(to_rgb(resolution // 2))
        return old + alpha * (to_rgb(resolution) - old)


class Critic(nn.Module):
    """Turns pictures into scores; see `Gan` for the contract."""

    resolution: int
    fmap_base: int
    fmap_max: int
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(
        self, images: jax.Array, conditions: Conditions, resolution: int, alpha: jax.Array | float
    ) -> jax.Array:
        """Scores pictures."""

        def width(r):
            return feature_maps(r, self.fmap_base, self.fmap_max)

        def from_rgb(pictures, r):
            conv = EqualizedConv(width(r), 1, dtype=self.dtype, name=f"from_rgb_{r}x{r}")
            return leaky_relu(conv(pictures))

        if self.is_initializing():
            resolution = self.resolution
            for r in resolutions(resolution // 4):  # the two paths below create the others
                from_rgb(jnp.zeros((1, r, r, 3)), r)
        x = from_rgb(images, resolution)
        for r in reversed(resolutions(resolution)[1:]):
            x = CriticBlock(width(r // 2), self.dtype, name=f"block_{r}x{r}")(x)
            if r == resolution:
                old = from_rgb(layers.downsample(images), r // 2)
                x = old + jnp.asarray(alpha, self.dtype) * (x - old)

        x = layers.minibatch_stddev(x)
        maps = width(BASE_RESOLUTION)
        x = leaky_relu(EqualizedConv(maps, dtype=self.dtype, name="conv_4x4")(x))
        x = x.astype(jnp.float32).reshape(x.shape[0], -1)
        x = leaky_relu(EqualizedDense(maps, name="dense_4x4")(x))
        score = EqualizedDense(1, gain=1.0, name="output")(x)[:, 0]
        return score + project_conditions(x, conditions)


GAN = Gan(
    generator=Generator,
    critic=Critic,
    least_resolution=BASE_RESOLUTION,
    critic_group=layers.STDDEV_GROUP,
    active_modules=active_modules,
)
