"""Everything that training changes, as one tree whose shape never does."""

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import ml_collections
import optax

from dac.networks.progan import Critic, Generator

Params = dict[str, Any]


@flax.struct.dataclass
class GanState:
    """The clock, both players, their optimizers, and the generator's moving average.

    Parameters are float32, a subtree for each top-level module of the network. Each module has an
    optimizer state of its own, so that a step can update the modules in use and leave the others.

    Attributes:
      step: int32 scalar, updates of each player so far.
      images_seen: int32 scalar, covers that the critic has been shown.
      generator: parameters by module.
      critic: parameters by module.
      generator_ema: moving average of `generator`, which samples are drawn from.
      generator_optimizer: optax state by module.
      critic_optimizer: optax state by module.
    """

    step: jax.Array
    images_seen: jax.Array
    generator: Params
    critic: Params
    generator_ema: Params
    generator_optimizer: Params
    critic_optimizer: Params


def make_players(config: ml_collections.ConfigDict) -> tuple[Generator, Critic]:
    """Returns both networks of a config."""
    sizes = (config.resolution, config.fmap_base, config.fmap_max)
    return Generator(*sizes), Critic(*sizes)


def make_optimizer(
    config: ml_collections.ConfigDict, learning_rate: float
) -> optax.GradientTransformation:
    """Returns Adam at a learning rate."""
    return optax.adam(learning_rate, b1=config.adam_b1, b2=config.adam_b2, eps=config.adam_epsilon)


def init_optimizer(optimizer: optax.GradientTransformation, params: Params) -> Params:
    """Returns a fresh optimizer state for each module."""
    return {name: optimizer.init(module) for name, module in params.items()}


def init_state(config: ml_collections.ConfigDict, num_genres: int) -> GanState:
    """Returns the state at the start of a run, a pure function of config.seed.

    Args:
      config: of the run.
      num_genres: size of the genre vocabulary.
    """
    generator, critic = make_players(config)
    size = config.resolution
    conditions = {"genres": jnp.zeros((1, num_genres)), "genres_known": jnp.zeros((1,), bool)}
    generator_key, critic_key = jax.random.split(jax.random.key(config.seed))
    latents, images = jnp.zeros((1, config.latent_size)), jnp.zeros((1, size, size, 3))
    generator_params = generator.init(generator_key, latents, conditions, size, 1.0)["params"]
    critic_params = critic.init(critic_key, images, conditions, size, 1.0)["params"]
    optimizer = make_optimizer(config, 0.0)  # its state does not depend on the learning rate
    return GanState(
        step=jnp.int32(0),
        images_seen=jnp.int32(0),
        generator=generator_params,
        critic=critic_params,
        generator_ema=jax.tree.map(jnp.copy, generator_params),
        generator_optimizer=init_optimizer(optimizer, generator_params),
        critic_optimizer=init_optimizer(optimizer, critic_params),
    )
