"""The training state: one tree whose shape never changes."""

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import ml_collections
import optax

from dac.run.players import Variables, init_critic, init_generator

Params = dict[str, Any]


@flax.struct.dataclass
class GanState:
    """The clock, both players, their optimizers, and the moving average of the generator.

    Parameters are float32, with a subtree for each top-level module. Each module has its own
    optimizer state, so a step can update the modules in use and leave the others alone. Batch
    statistics are empty for networks without batch norm.

    Attributes:
      step: int32 scalar, number of steps so far.
      images_seen: int32 scalar, number of real covers that the critic has seen: the clock.
      generator: parameters by module.
      critic: parameters by module.
      generator_ema: moving average of `generator`, from which samples are drawn.
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
    def ema_variables(self) -> Variables:
        """The generator's variables for drawing samples."""
        return {"params": self.generator_ema, "batch_stats": self.generator_stats}


def make_optimizer(
    config: ml_collections.ConfigDict, learning_rate: float
) -> optax.GradientTransformation:
    """Returns Adam with the config's constants."""
    return optax.adam(learning_rate, b1=config.adam_b1, b2=config.adam_b2, eps=config.adam_epsilon)


def init_optimizer(optimizer: optax.GradientTransformation, params: Params) -> Params:
    """Returns a fresh optimizer state for each module."""
    return {name: optimizer.init(module) for name, module in params.items()}


def init_state(config: ml_collections.ConfigDict, num_genres: int) -> GanState:
    """Returns the state at the start of a run, a pure function of config.seed.

    Args:
      config: the config of the run.
      num_genres: size of the genre vocabulary.
    """
    generator_variables = init_generator(config, num_genres)
    critic_variables = init_critic(config, num_genres)
    params = generator_variables["params"]
    optimizer = make_optimizer(config, 0.0)  # the learning rate is not part of its state
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
