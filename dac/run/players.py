"""The networks that a config names, their variables, and the latents of the generator."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import ml_collections

from dac.covers.conditions import Album, encode
from dac.networks import dcgan, progan, wgan_gp
from dac.networks.gan import Gan

Variables = dict[str, dict[str, Any]]  # of a Flax module: `params`, and maybe `batch_stats`

GANS = {"progan": progan.GAN, "wgan_gp": wgan_gp.GAN, "dcgan": dcgan.GAN}


def gan_of(config: ml_collections.ConfigDict) -> Gan:
    """Returns the GAN of a config."""
    return GANS[config.gan]


def make_players(
    config: ml_collections.ConfigDict, precision: str | None = None
) -> tuple[nn.Module, nn.Module]:
    """Returns the generator and the critic of a config.

    Args:
      config: the config of the run.
      precision: of their convolutions and activations; `config.precision` by default.
    """
    gan = gan_of(config)
    dtype = jnp.bfloat16 if (precision or config.precision) == "bf16" else jnp.float32
    options = (config.resolution, config.fmap_base, config.fmap_max, dtype)
    return gan.generator(*options, config.condition_scale), gan.critic(*options)


def init_generator(config: ml_collections.ConfigDict, num_genres: int) -> Variables:
    """Returns the initial variables of the generator, a function of config.seed.

    Args:
      config: the config of the run.
      num_genres: size of the genre vocabulary.
    """
    generator, _ = make_players(config)
    key, _ = jax.random.split(jax.random.key(config.seed))
    return generator.init(
        key, draw_latents(config, key[None]), *_init_arguments(config, num_genres)
    )


def init_critic(config: ml_collections.ConfigDict, num_genres: int) -> Variables:
    """Returns the initial variables of the critic; see `init_generator`."""
    _, critic = make_players(config)
    _, key = jax.random.split(jax.random.key(config.seed))
    images = jnp.zeros((1, config.resolution, config.resolution, 3))
    return critic.init(key, images, *_init_arguments(config, num_genres))


def _init_arguments(config, num_genres):
    conditions = encode([Album()], config.conditions, num_genres)
    return conditions, *gan_of(config).stage(config.resolution, 1.0)


def draw_latents(config: ml_collections.ConfigDict, keys: jax.Array) -> jax.Array:
    """Returns a latent for each key, `[len(keys), config.latent_size]` float32.

    `config.latent_distribution` is standard normal (ProGAN, WGAN-GP) or uniform in [-1, 1] (DCGAN).
    """
    shape = (config.latent_size,)
    if config.latent_distribution == "uniform":
        return jax.vmap(lambda k: jax.random.uniform(k, shape, minval=-1.0, maxval=1.0))(keys)
    return jax.vmap(lambda k: jax.random.normal(k, shape))(keys)
