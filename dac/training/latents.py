"""What the generator starts from: random latents, each a function of a key of its own."""

import jax
import jax.numpy as jnp
import ml_collections


def draw_latents(config: ml_collections.ConfigDict, keys: jax.Array) -> jax.Array:
    """Returns a latent for each key, `[len(keys), config.latent_size]` float32.

    Standard normal (ProGAN, WGAN-GP) or uniform in [-1, 1] (DCGAN), by
    `config.latent_distribution`.
    """
    shape = (config.latent_size,)
    if config.latent_distribution == "uniform":
        return jax.vmap(lambda k: jax.random.uniform(k, shape, minval=-1.0, maxval=1.0))(keys)
    return jax.vmap(lambda k: jax.random.normal(k, shape))(keys)


def fixed_latents(
    config: ml_collections.ConfigDict, seed: int, first: int, count: int
) -> jax.Array:
    """Latents `first` to `first + count` of the endless row of a seed; `[count, Z]`."""
    key = jax.random.key(seed)
    keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(first, first + count))
    return draw_latents(config, keys)
