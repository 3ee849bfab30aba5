"""One training step: a critic update, a generator update, and the moving average.

The step is a pure function of (state, batch), written for one device of an axis named `data`.
"""

import zlib
from collections.abc import Callable

import jax
import jax.numpy as jnp
import ml_collections
import optax

from dac.networks import layers
from dac.networks.conditioning import Conditions
from dac.networks.progan import active_modules
from dac.training import losses
from dac.training.parallel import DATA_AXIS
from dac.training.schedule import Phase
from dac.training.state import (
    GanState,
    Params,
    init_optimizer,
    make_optimizer,
    make_players,
)

Batch = dict[str, jax.Array]
Step = Callable[[GanState, Batch], tuple[GanState, losses.Metrics]]


def sample_keys(seed: int, stream: str, step: jax.Array, count: int) -> jax.Array:
    """Returns a random key for each of this device's `count` samples.

    A key depends on the seed, the stream's name, the step and the sample's place in the global
    batch, so the number of devices does not change what is drawn.
    """
    key = jax.random.fold_in(jax.random.key(seed), zlib.crc32(stream.encode()))
    key = jax.random.fold_in(key, step)
    places = jax.lax.axis_index(DATA_AXIS) * count + jnp.arange(count)
    return jax.vmap(lambda place: jax.random.fold_in(key, place))(places)


def fade_reals(images: jax.Array, alpha: jax.Array) -> jax.Array:
    """Fades covers in as the generator's pictures are; `[B, R, R, 3]`.

    From official code, train.py, process_reals: lerp(upsample(downsample(x)), x, alpha).
    """
    old = layers.upsample(layers.downsample(images))
    return old + alpha * (images - old)


def make_train_step(config: ml_collections.ConfigDict, phase: Phase) -> Step:
    """Returns the step for one resolution.

    Departures from the official code: the gradient penalty is measured at the current resolution,
    not on pictures enlarged to the final one, which is stricter early on (there the norm is
    divided by 2^lod); and both players of a step see the conditions of the same covers.

    Args:
      config: of the run.
      phase: of the resolution.

    Returns:
      A function of the state and of a device's part of a batch, `image` `[B, R, R, 3]` uint8,
      `genres` `[B, G]` float32 and `genres_known` `[B]` bool, to the next state and the
      metrics, float32 scalars.
    """
    generator, critic = make_players(config)
    optimizer = make_optimizer(config, phase.learning_rate)
    resolution = phase.resolution
    active = active_modules(resolution)
    ema_decay = 0.5 ** (phase.batch_size / (config.ema_half_life_kimg * 1000))

    def select(tree: Params) -> Params:
        return {name: module for name, module in tree.items() if name in active}

    def update(params: Params, gradients: Params, state: Params, reset: jax.Array):
        fresh = init_optimizer(optimizer, params)
        state = jax.tree.map(lambda new, old: jnp.where(reset, new, old), fresh, state)
        gradients = jax.lax.pmean(gradients, DATA_AXIS)
        updated = {}
        # Adam raises a float to an integer power, which strict promotion forbids.
        with jax.numpy_dtype_promotion("standard"):
            for name, module in params.items():
                updates, state[name] = optimizer.update(gradients[name], state[name], module)
                updated[name] = optax.apply_updates(module, updates)
        return updated, state

    def train_step(state: GanState, batch: Batch) -> tuple[GanState, losses.Metrics]:
        count = batch["image"].shape[0]
        alpha = phase.traced_alpha(state.images_seen)
        # Adam's moments belong to another function once the network changes: start afresh when a
        # fade-in begins and when it ends (official code, train.py, reset_opt_for_new_lod).
        reset = (state.images_seen == phase.start) | (state.images_seen == phase.fade_end)

        def keys(stream):
            return sample_keys(config.seed, stream, state.step, count)

        def latents(stream):
            return jax.vmap(lambda key: jax.random.normal(key, (config.latent_size,)))(keys(stream))

        def drop(stream) -> Conditions:
            kept = jax.vmap(lambda k: jax.random.bernoulli(k, 1 - config.genre_drop_rate))(
                keys(stream)
            )
            return {
                "genres": batch["genres"],
                "genres_known": batch["genres_known"] & kept,
            }

        def generate(params, z, conditions):
            return generator.apply({"params": params}, z, conditions, resolution, alpha)

        def score(params, images, conditions):
            return critic.apply({"params": params}, images, conditions, resolution, alpha)

        generator_params, critic_params = select(state.generator), select(state.critic)

        # 1. The critic.
        real = fade_reals(batch["image"].astype(jnp.float32) / 127.5 - 1.0, alpha)
        conditions = drop("critic_conditions")
        fake = generate(generator_params, latents("critic_latents"), conditions)

        def critic_loss(params):
            return losses.wgan_gp_critic_loss(
                lambda images: score(params, images, conditions),
                real,
                fake,
                jax.vmap(jax.random.uniform)(keys("mixing")),
                gradient_penalty_weight=config.gradient_penalty_weight,
                drift_weight=config.drift_weight,
            )

        gradients, critic_metrics = jax.grad(critic_loss, has_aux=True)(critic_params)
        critic_params, critic_optimizer = update(
            critic_params, gradients, select(state.critic_optimizer), reset
        )

        # 2. The generator, against the critic just updated.
        conditions = drop("generator_conditions")
        z = latents("generator_latents")

        def generator_loss(params):
            fake = generate(params, z, conditions)
            return losses.wgan_generator_loss(score(critic_params, fake, conditions))

        gradients, generator_metrics = jax.grad(generator_loss, has_aux=True)(generator_params)
        generator_params, generator_optimizer = update(
            generator_params, gradients, select(state.generator_optimizer), reset
        )

        # 3. The moving average. In this form it leaves equal numbers exactly as they are.
        ema = jax.tree.map(
            lambda old, new: old + (1 - ema_decay) * (new - old),
            select(state.generator_ema),
            generator_params,
        )

        metrics = jax.lax.pmean(critic_metrics | generator_metrics, DATA_AXIS)
        return GanState(
            step=state.step + 1,
            images_seen=state.images_seen + phase.batch_size,
            generator=state.generator | generator_params,
            critic=state.critic | critic_params,
            generator_ema=state.generator_ema | ema,
            generator_optimizer=state.generator_optimizer | generator_optimizer,
            critic_optimizer=state.critic_optimizer | critic_optimizer,
        ), metrics

    return train_step
