"""Everything that training changes, as one tree whose shape never does."""

from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import ml_collections
import optax

from dac.covers.conditions import Album, encode
from dac.networks import dcgan, progan, wgan_gp
from dac.training.latents import draw_latents

Params = dict[str, Any]


@flax.struct.dataclass
class GanState:
    """The clock, both players, their optimizers, and the generator's moving average.

    Parameters are float32, a subtree for each top-level module of the network. Each module has an
    optimizer state of its own, so that a step can update the modules in use and leave the others.
    Batch statistics are empty for networks without batch norm.

    Attributes:
      step: int32 scalar, updates of each player so far.
      images_seen: int32 scalar, covers that the critic has been shown.
      generator: parameters by module.
      critic: parameters by module.
      generator_ema: moving average of `generator`, which samples are drawn from.
      generator_stats: running batch statistics by module.
      critic_stats: running batch statistics by module.
      generator_optimizer: optax state by module.
      critic_optimizer: optax state by module.
    """

    step: jax.Array
    images_seen: jax.Array
    generator: Params
    critic: Params
    generator_ema: Params
    generator_stats: Params
    critic_stats: Params
    generator_optimizer: Params
    critic_optimizer: Params

    @property
    def ema_variables(self) -> dict[str, Params]:
        """What the generator is applied with to draw samples."""
        return {"params": self.generator_ema, "batch_stats": self.generator_stats}


NETWORKS = {"progan": progan, "wgan_gp": wgan_gp, "dcgan": dcgan}


def make_players(config: ml_collections.ConfigDict) -> tuple[nn.Module, nn.Module]:
    """Returns both networks of a config, the generator and the critic."""
    networks = NETWORKS[config.gan]
    dtype = jnp.bfloat16 if config.precision == "bf16" else jnp.float32
    options = (config.resolution, config.fmap_base, config.fmap_max, dtype)
    return networks.Generator(*options), networks.Critic(*options)


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
    conditions = encode([Album()], config.conditions, num_genres)
    generator_key, critic_key = jax.random.split(jax.random.key(config.seed))
    latents = draw_latents(config, generator_key[None])
    images = jnp.zeros((1, size, size, 3))
    generator_variables = generator.init(generator_key, latents, conditions, size, 1.0)
    critic_variables = critic.init(critic_key, images, conditions, size, 1.0)
    params = generator_variables["params"]
    optimizer = make_optimizer(config, 0.0)  # its state does not depend on the learning rate
    return GanState(
        step=jnp.int32(0),
        images_seen=jnp.int32(0),
        generator=params,
        critic=critic_variables["params"],
        generator_ema=jax.tree.map(jnp.copy, params),
        generator_stats=generator_variables.get("batch_stats", {}),
        critic_stats=critic_variables.get("batch_stats", {}),
        generator_optimizer=init_optimizer(optimizer, params),
        critic_optimizer=init_optimizer(optimizer, critic_variables["params"]),
    )
