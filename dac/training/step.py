"""One training step: critic updates, a generator update, and the moving average.

The step is a pure function of (state, batch), written for one device of an axis named `data`. All
GANs share it: the config names the networks, the loss and the numbers.
"""

import zlib
from collections.abc import Callable

import jax
import jax.numpy as jnp
import ml_collections
import optax

from dac.networks import layers
from dac.networks.conditioning import CLASS_LOSS, Conditions
from dac.run.players import draw_latents, gan_of, make_players
from dac.run.schedule import Phase, annealed, phases
from dac.training.augment import diff_augment
from dac.training.losses import LOSSES, Metrics, Scored
from dac.training.parallel import DATA_AXIS
from dac.training.state import GanState, Params, init_optimizer, make_optimizer

# The half-life of a new layer's moving average, as a share of the images that the layer has seen:
# NVlabs/stylegan2-ada-pytorch, train.py, ema_rampup.
EMA_RAMP_UP = 0.05

Batch = dict[str, jax.Array]
Step = Callable[[GanState, Batch], tuple[GanState, Metrics]]


def sample_keys(seed: int, stream: str, update: jax.Array, count: int) -> jax.Array:
    """Returns a random key for each of this device's `count` samples.

    A key depends on the seed, the name of the stream, the number of the update, and the place of
    the sample in the global batch, so the number of devices does not change what is drawn.
    """
    key = jax.random.fold_in(jax.random.key(seed), zlib.crc32(stream.encode()))
    key = jax.random.fold_in(key, update)
    places = jax.lax.axis_index(DATA_AXIS) * count + jnp.arange(count)
    return jax.vmap(lambda place: jax.random.fold_in(key, place))(places)


def fade_reals(images: jax.Array, alpha: jax.Array) -> jax.Array:
    """Fades in the detail of real covers as the generator does; `[B, R, R, 3]`.

    lerp(upsample(downsample(x)), x, alpha): official code, train.py, process_reals.
    """
    old = layers.upsample(layers.downsample(images))
    return old + alpha * (images - old)


def make_train_step(
    config: ml_collections.ConfigDict, phase: Phase, augment: bool, penalty_scale: int = 1
) -> Step:
    """Returns the step for one resolution.

    Three things differ from ProGAN's official code. The gradient penalty is measured at the present
    resolution; there, pictures are enlarged to the final one first, which divides the norm by 2^lod
    and is more lenient early on. Conditions enter the critic by projection, not as a label for an
    ACGAN head to predict. Both players of a step see the conditions of the same covers.

    Args:
      config: the config of the run.
      phase: the phase of the resolution.
      augment: whether the critic sees all pictures through DiffAugment.
      penalty_scale: factor of the critic's penalty, 0 to leave it out. With a lazy penalty
        (`config.penalty_interval`) there are two steps, one of each kind.

    Returns:
      A function from the state and a device's part of a batch to the next state and the metrics,
      float32 scalars. The batch has `image` `[n_critic, B, R, R, 3]` uint8, and the encoded
      conditions `[n_critic, B, ...]`.
    """
    gan, loss = gan_of(config), LOSSES[config.loss]
    reads_conditions = bool(config.conditions and config.class_loss_weight)
    penalize = bool(loss.penalty and penalty_scale)
    generator, critic = make_players(config)
    augment = augment and phase.resolution >= config.augment_resolution
    total = phases(config)[-1].end
    ema_half_life = config.ema_half_life_kimg * 1000
    earlier = [p.resolution for p in phases(config) if p.start < phase.start]

    def select(tree: Params) -> Params:
        return gan.active(tree, phase.resolution)

    def update(optimizer, params: Params, gradients: Params, state: Params):
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
        stage = gan.stage(phase.resolution, alpha)
        optimizer = make_optimizer(
            config,
            phase.learning_rate * annealed(config.learning_rate_end, state.images_seen, total),
        )
        gamma = phase.r1_r2_gamma * annealed(config.r1_r2_gamma_end, state.images_seen, total)

        def keys(stream, number):
            return sample_keys(config.seed, stream, number, count)

        def drop(conditions: Conditions, stream, number) -> Conditions:
            """Hides each field of some covers."""
            conditions, fields = dict(conditions), config.conditions
            kept = jax.vmap(
                lambda k: jax.random.bernoulli(k, 1 - config.condition_drop_rate, (len(fields),))
            )(keys(stream, number))  # [B, fields]
            for i, field in enumerate(fields):
                conditions[f"{field}_known"] &= kept[:, i]
            return conditions

        def generate(params, z, conditions):
            return generator.apply(
                {"params": params, "batch_stats": state.generator_stats},
                *(z, conditions, *stage),
                mutable=["batch_stats"],
            )

        def score(params, stats, images, conditions):
            return critic.apply(
                {"params": params, "batch_stats": stats},
                *(images, conditions, *stage),
                mutable=["batch_stats", CLASS_LOSS] if reads_conditions else ["batch_stats"],
            )

        def class_loss(changed):
            """Returns the mean over the batch, summed over the fields."""
            return sum(jax.tree.leaves(changed[CLASS_LOSS]))

        def seen(images, stream, number):
            return diff_augment(images, keys(stream, number)) if augment else images

        def fade(images):
            images = images.astype(jnp.float32) / 127.5 - 1.0
            return fade_reals(images, alpha) if gan.grows else images

        # The network changes when a fade-in begins and when it ends, so Adam's moments start afresh
        # (official code, train.py, reset_opt_for_new_lod).
        reset = (state.images_seen == phase.start) | (state.images_seen == phase.fade_end)

        def carried(optimizer_state, params):
            old, fresh = select(optimizer_state), init_optimizer(optimizer, params)
            return jax.tree.map(lambda new, old: jnp.where(reset, new, old), fresh, old)

        generator_params, critic_params = select(state.generator), select(state.critic)

        # 1. The critic: n_critic updates, each on its own batch.
        def update_critic(carry, batch_and_number):
            params, stats, optimizer_state = carry
            batch, number = batch_and_number
            conditions = drop(_conditions(batch), "critic_conditions", number)
            real = seen(fade(batch["image"]), "critic_augment_real", number)
            z = draw_latents(config, keys("critic_latents", number))
            fake, _ = generate(generator_params, z, conditions)
            fake = seen(fake, "critic_augment_fake", number)
            mixing = jax.vmap(jax.random.uniform)(keys("mixing", number))

            def critic_loss(params):
                """Returns the loss, and (the batch statistics, the metrics)."""

                def score_alone(images):
                    return score(params, {}, images, conditions)[0]

                # Real and generated pictures are normalised separately, as in Newmu/dcgan_code.
                real_scores, changed = score(params, stats, real, conditions)
                new_stats = changed.get("batch_stats", {})
                fake_scores, fake_changed = score(params, new_stats, fake, conditions)
                new_stats = fake_changed.get("batch_stats", {})
                value = loss.critic(real_scores, fake_scores)
                metrics = {"real_score": jnp.mean(real_scores), "fake_score": jnp.mean(fake_scores)}
                if reads_conditions:
                    metrics |= {"class_loss": class_loss(changed)}
                    value += config.class_loss_weight * metrics["class_loss"]
                if penalize:
                    scored = Scored(
                        *(score_alone, real, fake, real_scores, fake_scores, mixing),
                        gamma=penalty_scale * gamma,
                    )
                    penalty, measured = loss.penalty(config, scored)
                    value += penalty
                    # By the scale, so that the mean over lazy steps is that of all.
                    metrics |= jax.tree.map(lambda x: penalty_scale * x, measured)
                elif loss.penalty:
                    metrics |= dict.fromkeys(loss.metrics, jnp.float32(0.0))
                return value, (new_stats, metrics | {"critic_loss": value})

            gradients, (stats, metrics) = jax.grad(critic_loss, has_aux=True)(params)
            params, optimizer_state = update(optimizer, params, gradients, optimizer_state)
            return (params, stats, optimizer_state), metrics

        numbers = state.step * phase.n_critic + jnp.arange(phase.n_critic)
        carry = (critic_params, state.critic_stats, carried(state.critic_optimizer, critic_params))
        # XLA on a CPU runs a convolution 36 times slower inside a loop than outside. 0 unrolls the
        # loop entirely; True would leave a loop of one turn.
        (critic_params, critic_stats, critic_optimizer), critic_metrics = jax.lax.scan(
            update_critic,
            carry,
            (batch, numbers),
            unroll=0 if jax.default_backend() == "cpu" else 1,
        )

        # 2. The generator, against the updated critic, with the conditions of the last batch.
        last = jax.tree.map(lambda x: x[-1], batch)
        conditions = drop(_conditions(last), "generator_conditions", state.step)
        z = draw_latents(config, keys("generator_latents", state.step))

        def generator_loss(params):
            fake, _ = generate(params, z, conditions)
            fake = seen(fake, "generator_augment_fake", state.step)
            fake_scores, read = score(critic_params, critic_stats, fake, conditions)
            real_scores = None
            if loss.relativistic:
                real = seen(fade(last["image"]), "generator_augment_real", state.step)
                real_scores, _ = score(critic_params, critic_stats, real, conditions)
            value = loss.generator(real_scores, fake_scores)
            metrics = {}
            if reads_conditions:
                metrics = {"fake_class_loss": class_loss(read)}
                value += config.class_loss_weight * metrics["fake_class_loss"]
            return value, metrics | {"generator_loss": value}

        gradients, metrics = jax.grad(generator_loss, has_aux=True)(generator_params)
        generator_params, generator_optimizer = update(
            optimizer,
            generator_params,
            gradients,
            carried(state.generator_optimizer, generator_params),
        )

        # 3. The moving average. Layers that are new at this resolution forget their initial weights
        # sooner: a phase may be only a few half-lives long.
        seen_by_new = (state.images_seen + phase.images_per_step - phase.start).astype(jnp.float32)
        half_life_of_new = jnp.minimum(ema_half_life, EMA_RAMP_UP * seen_by_new)
        older = {name for r in earlier for name in gan.active(generator_params, r)}

        def average(name, old, new):
            half_life = ema_half_life if name in older else half_life_of_new
            decay = 0.5 ** (phase.images_per_step / half_life)
            # This form leaves equal numbers exactly as they are.
            return jax.tree.map(lambda old, new: old + (1 - decay) * (new - old), old, new)

        ema = {
            name: average(name, state.generator_ema[name], new)
            for name, new in generator_params.items()
        }

        # Covers are drawn by the average, so batch norm needs the statistics of its own pictures.
        _, changed = generate(ema, z, conditions) if state.generator_stats else (None, {})

        metrics |= jax.tree.map(jnp.mean, critic_metrics)
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
