"""One training step: critic updates, a generator update, and the moving average.

The step is a pure function of (state, batch), written for one device of an axis named `data`. It is
the same for the three GANs; what they differ in is the config's networks, loss and numbers.
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
from dac.training.augment import diff_augment
from dac.training.latents import draw_latents
from dac.training.parallel import DATA_AXIS
from dac.training.schedule import Phase, condition_weight
from dac.training.state import (
    GanState,
    Params,
    init_optimizer,
    make_optimizer,
    make_players,
)

Batch = dict[str, jax.Array]
Metrics = dict[str, jax.Array]
Step = Callable[[GanState, Batch], tuple[GanState, Metrics]]


def sample_keys(seed: int, stream: str, update: jax.Array, count: int) -> jax.Array:
    """Returns a random key for each of this device's `count` samples.

    A key depends on the seed, the stream's name, the number of the update and the sample's place in
    the global batch, so the number of devices does not change what is drawn.
    """
    key = jax.random.fold_in(jax.random.key(seed), zlib.crc32(stream.encode()))
    key = jax.random.fold_in(key, update)
    places = jax.lax.axis_index(DATA_AXIS) * count + jnp.arange(count)
    return jax.vmap(lambda place: jax.random.fold_in(key, place))(places)


def fade_reals(images: jax.Array, alpha: jax.Array) -> jax.Array:
    """Fades covers in as the generator's pictures are; `[B, R, R, 3]`.

    From official code, train.py, process_reals: lerp(upsample(downsample(x)), x, alpha).
    """
    old = layers.upsample(layers.downsample(images))
    return old + alpha * (images - old)


def make_train_step(config: ml_collections.ConfigDict, phase: Phase, augment: bool) -> Step:
    """Returns the step for one resolution.

    Departures from ProGAN's official code: the gradient penalty is measured at the current
    resolution, not on pictures enlarged to the final one, which is stricter early on (there the
    norm is divided by 2^lod); conditions enter the critic by projection and not as a label that it
    has to name as well (its ACGAN head); and both players of a step see the conditions of the same
    covers.

    Args:
      config: of the run.
      phase: of the resolution.
      augment: whether the critic sees pictures through DiffAugment.

    Returns:
      A function of the state and of a device's part of a batch, `image` `[n_critic, B, R, R, 3]`
      uint8 and the encoded conditions `[n_critic, B, ...]`, to the next state and the metrics,
      float32 scalars.
    """
    generator, critic = make_players(config)
    optimizer = make_optimizer(config, phase.learning_rate)
    resolution = phase.resolution
    grows = config.gan == "progan"
    active = active_modules(resolution)
    ema_decay = 0.5 ** (phase.images_per_step / (config.ema_half_life_kimg * 1000))

    def select(tree: Params) -> Params:
        return {name: tree[name] for name in tree if not grows or name in active}

    def update(params: Params, gradients: Params, state: Params):
        gradients = jax.lax.pmean(gradients, DATA_AXIS)
        updated, new_state = {}, {}
        # Adam raises a float to an integer power, which strict promotion forbids.
        with jax.numpy_dtype_promotion("standard"):
            for name, module in params.items():
                updates, new_state[name] = optimizer.update(gradients[name], state[name], module)
                updated[name] = optax.apply_updates(module, updates)
        return updated, new_state

    def train_step(state: GanState, batch: Batch) -> tuple[GanState, Metrics]:
        count = batch["image"].shape[1]
        alpha = phase.traced_alpha(state.images_seen)

        def keys(stream, number):
            return sample_keys(config.seed, stream, number, count)

        def drop(conditions: Conditions, stream, number) -> Conditions:
            """Hides each field of some covers, and weighs what is left."""
            conditions, fields = dict(conditions), config.conditions
            kept = jax.vmap(
                lambda k: jax.random.bernoulli(k, 1 - config.condition_drop_rate, (len(fields),))
            )(keys(stream, number))  # [B, fields]
            for i, field in enumerate(fields):
                conditions[f"{field}_known"] &= kept[:, i]
            if fields and config.condition_ramp_kimg:
                weight = condition_weight(config, state.images_seen)
                conditions["weight"] = jnp.full(count, weight)
            return conditions

        def generate(params, z, conditions):
            return generator.apply(
                {"params": params, "batch_stats": state.generator_stats},
                *(z, conditions, resolution, alpha),
                mutable=["batch_stats"],
            )

        def score(params, stats, images, conditions):
            return critic.apply(
                {"params": params, "batch_stats": stats},
                *(images, conditions, resolution, alpha),
                mutable=["batch_stats"],
            )

        def seen(images, stream, number):
            return diff_augment(images, keys(stream, number)) if augment else images

        def fade(images):
            images = images.astype(jnp.float32) / 127.5 - 1.0
            return fade_reals(images, alpha) if grows else images

        # Adam's moments belong to another function once the network changes: start afresh when a
        # fade-in begins and when it ends (official code, train.py, reset_opt_for_new_lod).
        reset = (state.images_seen == phase.start) | (state.images_seen == phase.fade_end)

        def carried(optimizer_state, params):
            old, fresh = select(optimizer_state), init_optimizer(optimizer, params)
            return jax.tree.map(lambda new, old: jnp.where(reset, new, old), fresh, old)

        generator_params, critic_params = select(state.generator), select(state.critic)

        # 1. The critic, n_critic times, each on a batch of its own.
        def update_critic(carry, batch_and_number):
            params, stats, optimizer_state = carry
            batch, number = batch_and_number
            conditions = drop(_conditions(batch), "critic_conditions", number)
            real = seen(fade(batch["image"]), "critic_augment_real", number)
            z = draw_latents(config, keys("critic_latents", number))
            fake, _ = generate(generator_params, z, conditions)
            fake = seen(fake, "critic_augment_fake", number)
            mixing = jax.vmap(jax.random.uniform)(keys("mixing", number))

            def loss(params):
                return _critic_loss(
                    config, lambda *a: score(params, *a), stats, real, fake, mixing, conditions
                )

            gradients, (stats, metrics) = jax.grad(loss, has_aux=True)(params)
            params, optimizer_state = update(params, gradients, optimizer_state)
            return (params, stats, optimizer_state), metrics

        numbers = state.step * phase.n_critic + jnp.arange(phase.n_critic)
        carry = (critic_params, state.critic_stats, carried(state.critic_optimizer, critic_params))
        # On a CPU, XLA runs a convolution inside of a loop 36 times slower than outside: unroll it
        # (0 is all of it; True leaves a loop of one turn).
        (critic_params, critic_stats, critic_optimizer), critic_metrics = jax.lax.scan(
            update_critic,
            carry,
            (batch, numbers),
            unroll=0 if jax.default_backend() == "cpu" else 1,
        )

        # 2. The generator, against the critic just updated, with the last batch's conditions.
        last = jax.tree.map(lambda x: x[-1], batch)
        conditions = drop(_conditions(last), "generator_conditions", state.step)
        z = draw_latents(config, keys("generator_latents", state.step))

        def generator_loss(params):
            fake, changed = generate(params, z, conditions)
            fake = seen(fake, "generator_augment_fake", state.step)
            fake_scores, _ = score(critic_params, critic_stats, fake, conditions)
            if config.loss == "wgan_gp":
                loss = losses.wasserstein_generator_loss(fake_scores)
            elif config.loss == "non_saturating":
                loss = losses.non_saturating_generator_loss(fake_scores)
            else:
                real = seen(fade(last["image"]), "generator_augment_real", state.step)
                real_scores, _ = score(critic_params, critic_stats, real, conditions)
                loss = losses.relativistic_generator_loss(real_scores, fake_scores)
            return loss, (changed, loss)

        gradients, (changed, loss) = jax.grad(generator_loss, has_aux=True)(generator_params)
        generator_params, generator_optimizer = update(
            generator_params, gradients, carried(state.generator_optimizer, generator_params)
        )

        # 3. The moving average. In this form it leaves equal numbers exactly as they are.
        ema = jax.tree.map(
            lambda old, new: old + (1 - ema_decay) * (new - old),
            select(state.generator_ema),
            generator_params,
        )

        metrics = jax.tree.map(jnp.mean, critic_metrics) | {"generator_loss": loss}
        return GanState(
            step=state.step + 1,
            images_seen=state.images_seen + phase.images_per_step,
            generator=state.generator | generator_params,
            critic=state.critic | critic_params,
            generator_ema=state.generator_ema | ema,
            generator_stats=changed.get("batch_stats", {}),
            critic_stats=critic_stats,
            generator_optimizer=state.generator_optimizer | generator_optimizer,
            critic_optimizer=state.critic_optimizer | critic_optimizer,
        ), jax.lax.pmean(metrics, DATA_AXIS)

    return train_step


def _conditions(batch: Batch) -> Conditions:
    return {name: value for name, value in batch.items() if name != "image"}


def _critic_loss(config, score, stats, real, fake, mixing, conditions):
    """The critic's loss, and (its batch statistics, metrics).

    `score` takes (batch statistics, pictures, conditions) to (scores, changed collections).
    """
    # Real and generated pictures are normalised apart, as in Newmu/dcgan_code.
    real_scores, changed = score(stats, real, conditions)
    stats = changed.get("batch_stats", {})
    fake_scores, changed = score(stats, fake, conditions)
    stats = changed.get("batch_stats", {})
    metrics = {"real_score": jnp.mean(real_scores), "fake_score": jnp.mean(fake_scores)}

    def critic(images):
        return score(stats, images, conditions)[0]

    if config.loss == "wgan_gp":
        loss = losses.wasserstein_critic_loss(real_scores, fake_scores)
        penalty, norm = losses.gradient_penalty(critic, real, fake, mixing)
        metrics |= {"wasserstein_distance": -loss, "gradient_penalty": penalty}
        metrics["gradient_norm"] = norm
        loss += config.gradient_penalty_weight * penalty
        loss += config.drift_weight * losses.drift(real_scores)
    elif config.loss == "non_saturating":
        loss = losses.non_saturating_critic_loss(real_scores, fake_scores)
    else:
        loss = losses.relativistic_critic_loss(real_scores, fake_scores)
        r1 = losses.zero_centered_penalty(critic, real)
        r2 = losses.zero_centered_penalty(critic, fake)
        metrics |= {"r1": r1, "r2": r2}
        loss += config.r1_r2_gamma / 2 * (r1 + r2)
    return loss, (stats, metrics | {"critic_loss": loss})
