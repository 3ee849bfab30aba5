"""ProGAN (Karras et al. 2018, arXiv 1710.10196), conditional.

Both players hold the parameters of all resolutions from the start; a call computes the part that
its static `resolution` needs. `alpha` fades the newest resolution in and may be traced.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from dac.networks import layers
from dac.networks.conditioning import ConditionEmbedding, Conditions
from dac.networks.layers import EqualizedConv, EqualizedDense, leaky_relu, pixel_norm

BASE_RESOLUTION = 4


def resolutions(final: int) -> tuple[int, ...]:
    """The resolutions that a network grows through: 4, 8, ... up to `final`."""
    return tuple(2**e for e in range(2, final.bit_length()))


def feature_maps(resolution: int, fmap_base: int, fmap_max: int) -> int:
    """Width at a resolution: min(fmap_base / 2^(log2(resolution) - 1), fmap_max) (appendix A)."""
    return min(2 * fmap_base // resolution, fmap_max)


def active_modules(resolution: int) -> frozenset[str]:
    """Names of the top-level modules of either player that `resolution` computes with."""
    grown = [r for r in resolutions(resolution) if r > BASE_RESOLUTION]
    faded = [r for r in (resolution // 2, resolution) if r >= BASE_RESOLUTION]
    return frozenset(
        ["conditions", "dense_4x4", "conv_4x4", "output"]
        + [f"block_{r}x{r}" for r in grown]
        + [f"{rgb}_{r}x{r}" for r in faded for rgb in ("to_rgb", "from_rgb")]
    )


def multiply_adds(resolution: int, fmap_base: int, fmap_max: int) -> int:
    """Products of one critic call on one picture, in its convolutions; the generator's are alike.

    Counted as computed, resampling fused: to tell how much longer a higher resolution takes.
    """
    total = 0
    for r in resolutions(resolution)[1:]:
        wide, narrow = (feature_maps(s, fmap_base, fmap_max) for s in (r // 2, r))
        total += r * r * 9 * narrow * narrow + (r // 2) ** 2 * 16 * narrow * wide
    maps = feature_maps(BASE_RESOLUTION, fmap_base, fmap_max)
    return total + 16 * 10 * maps * maps


class GeneratorBlock(nn.Module):
    """Doubles the resolution; `[B, H, W, C]` to `[B, 2H, 2W, features]`."""

    features: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Applies the block."""
        up = EqualizedConv(self.features, convolve=layers.upsample_conv, name="conv_up")
        x = pixel_norm(leaky_relu(up(x)))
        return pixel_norm(leaky_relu(EqualizedConv(self.features, name="conv")(x)))


class CriticBlock(nn.Module):
    """Halves the resolution; `[B, H, W, C]` to `[B, H/2, W/2, features]`."""

    features: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Applies the block."""
        x = leaky_relu(EqualizedConv(x.shape[-1], name="conv")(x))
        down = EqualizedConv(self.features, convolve=layers.conv_downsample, name="conv_down")
        return leaky_relu(down(x))


class Generator(nn.Module):
    """Latents and conditions to pictures.

    Attributes:
      resolution: the final resolution; the parameters are those of 4x4 up to it.
      fmap_base: width at 4x4 before the cap, times 2.
      fmap_max: cap of the width.
    """

    resolution: int
    fmap_base: int
    fmap_max: int

    @nn.compact
    def __call__(
        self, latents: jax.Array, conditions: Conditions, resolution: int, alpha: jax.Array | float
    ) -> jax.Array:
        """Generates pictures.

        Args:
          latents: `[B, Z]` float32, standard normal.
          conditions: see `ConditionEmbedding`.
          resolution: of the pictures, static.
          alpha: weight of the newest resolution's picture in [0, 1].

        Returns:
          `[B, resolution, resolution, 3]`, in [-1, 1] by training only: clip before saving.
        """
        embedding = ConditionEmbedding(latents.shape[-1], name="conditions")(conditions)
        x = jnp.concatenate([pixel_norm(latents), pixel_norm(embedding)], axis=-1)
        maps = feature_maps(BASE_RESOLUTION, self.fmap_base, self.fmap_max)
        # sqrt(2)/4 as in the official code: the 4x4 layer is a dense one over 16 times the maps.
        x = EqualizedDense(16 * maps, gain=2**0.5 / 4, name="dense_4x4")(x)
        x = pixel_norm(leaky_relu(x.reshape(-1, 4, 4, maps)))
        x = pixel_norm(leaky_relu(EqualizedConv(maps, name="conv_4x4")(x)))

        features = {BASE_RESOLUTION: x}
        for r in resolutions(self.resolution if self.is_initializing() else resolution)[1:]:
            width = feature_maps(r, self.fmap_base, self.fmap_max)
            x = features[r] = GeneratorBlock(width, name=f"block_{r}x{r}")(x)

        def to_rgb(r):
            return EqualizedConv(3, 1, gain=1.0, name=f"to_rgb_{r}x{r}")(features[r])

        if self.is_initializing():
            return {r: to_rgb(r) for r in features}[self.resolution]
        if resolution == BASE_RESOLUTION:
            return to_rgb(resolution)
        old = layers.upsample(to_rgb(resolution // 2))
        return old + alpha * (to_rgb(resolution) - old)


class Critic(nn.Module):
    """Pictures and conditions to scores, higher for real; attributes as `Generator`'s."""

    resolution: int
    fmap_base: int
    fmap_max: int

    @nn.compact
    def __call__(
        self, images: jax.Array, conditions: Conditions, resolution: int, alpha: jax.Array | float
    ) -> jax.Array:
        """Scores pictures.

        The condition enters by projection (Miyato and Koyama 2018, arXiv 1802.05637), scaled by
        1/sqrt(width) as in stylegan2-ada-pytorch.

        Args:
          images: `[B, resolution, resolution, 3]` in [-1, 1].
          conditions: see `ConditionEmbedding`.
          resolution: of the pictures, static.
          alpha: weight of the newest resolution's features in [0, 1].

        Returns:
          `[B]`.
        """

        def width(r):
            return feature_maps(r, self.fmap_base, self.fmap_max)

        def from_rgb(pictures, r):
            return leaky_relu(EqualizedConv(width(r), 1, name=f"from_rgb_{r}x{r}")(pictures))

        if self.is_initializing():
            resolution = self.resolution
            for r in resolutions(resolution // 4):  # those that the two paths below leave out
                from_rgb(jnp.zeros((1, r, r, 3)), r)
        x = from_rgb(images, resolution)
        for r in reversed(resolutions(resolution)[1:]):
            x = CriticBlock(width(r // 2), name=f"block_{r}x{r}")(x)
            if r == resolution:
                old = from_rgb(layers.downsample(images), r // 2)
                x = old + alpha * (x - old)

        x = layers.minibatch_stddev(x)
        maps = width(BASE_RESOLUTION)
        x = leaky_relu(EqualizedConv(maps, name="conv_4x4")(x))
        x = leaky_relu(EqualizedDense(maps, name="dense_4x4")(x.reshape(x.shape[0], -1)))
        score = EqualizedDense(1, gain=1.0, name="output")(x)[:, 0]
        embedding = ConditionEmbedding(maps, name="conditions")(conditions)
        return score + jnp.sum(x * embedding, axis=-1) / maps**0.5
