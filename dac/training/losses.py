"""Losses of the two players, and the critic's penalties.

Scores are `[B]` float32. A critic is any function from pictures `[B, H, W, C]` to scores. Losses
and penalties are scalars, means over the batch.
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import ml_collections

Critic = Callable[[jax.Array], jax.Array]
Metrics = dict[str, jax.Array]

# Keeps the gradient of the norm finite where the critic's gradient is zero.
NORM_EPSILON = 1e-12


class Scored(NamedTuple):
    """Pictures with their scores, and what penalties need besides.

    Attributes:
      critic: function that gave the scores.
      real: `[B, H, W, C]`.
      fake: `[B, H, W, C]`.
      real_scores: `[B]`.
      fake_scores: `[B]`.
      mixing: weight of the fake in a mixture of both, `[B]`, uniform in [0, 1].
      gamma: weight of R1 and R2.
    """

    critic: Critic
    real: jax.Array
    fake: jax.Array
    real_scores: jax.Array
    fake_scores: jax.Array
    mixing: jax.Array
    gamma: jax.Array


@dataclasses.dataclass(frozen=True)
class Loss:
    """What both players minimise.

    Attributes:
      critic: the critic's loss without its penalty, from real and fake scores.
      generator: the generator's loss, from real scores (None unless `relativistic`) and fake ones.
      relativistic: whether the generator's loss compares fake scores with real ones.
      lazy: whether the penalty may be computed in every k-th step only, k times as strong
        (`config.penalty_interval`): Karras et al. 2020, arXiv 1912.04958, section 3.1 and appendix
        B. There it has an optimizer step of its own and Adam is adjusted; here it joins the
        gradient of the loss.
      penalty: the critic's weighted penalty and its metrics, or None. It needs a critic that scores
        each picture by itself, or nearly so: minibatch stddev is fine, batch norm is not.
      metrics: names of the metrics of `penalty`.
    """

    critic: Callable[[jax.Array, jax.Array], jax.Array]
    generator: Callable[[jax.Array | None, jax.Array], jax.Array]
    relativistic: bool = False
    lazy: bool = False
    penalty: Callable[[ml_collections.ConfigDict, Scored], tuple[jax.Array, Metrics]] | None = None
    metrics: tuple[str, ...] = ()


def wasserstein_critic_loss(real_scores: jax.Array, fake_scores: jax.Array) -> jax.Array:
    """mean(D(fake)) - mean(D(real)) (Gulrajani et al. 2017, arXiv 1704.00028, algorithm 1)."""
    return jnp.mean(fake_scores) - jnp.mean(real_scores)


def wasserstein_generator_loss(fake_scores: jax.Array) -> jax.Array:
    """-mean(D(fake)) (Gulrajani et al. 2017, arXiv 1704.00028, algorithm 1)."""
    return -jnp.mean(fake_scores)


def drift(real_scores: jax.Array) -> jax.Array:
    """mean(D(real)^2), which keeps scores near 0 (Karras et al. 2018, arXiv 1710.10196, A.1)."""
    return jnp.mean(jnp.square(real_scores))


def gradient_penalty(
    critic: Critic, real: jax.Array, fake: jax.Array, mixing: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """mean((|grad D(mixed)| - 1)^2) (Gulrajani et al. 2017, arXiv 1704.00028, algorithm 1).

    Args:
      critic: see `Loss.penalty`.
      real: `[B, H, W, C]`.
      fake: `[B, H, W, C]`.
      mixing: weight of the fake in each mixed picture, `[B]`, uniform in [0, 1].

    Returns:
      The penalty, and the mean norm.
    """
    mixed = real + mixing[:, None, None, None] * (fake - real)
    norms = jnp.sqrt(_squared_gradient_norms(critic, mixed) + NORM_EPSILON)
    return jnp.mean(jnp.square(norms - 1.0)), jnp.mean(norms)


def non_saturating_critic_loss(real_scores: jax.Array, fake_scores: jax.Array) -> jax.Array:
    """Binary cross-entropy, scores as logits of "real" (Goodfellow et al. 2014, arXiv 1406.2661).

    The sum of both means, as in Newmu/dcgan_code, train_uncond_dcgan.py.
    """
    return jnp.mean(jax.nn.softplus(-real_scores)) + jnp.mean(jax.nn.softplus(fake_scores))


def non_saturating_generator_loss(fake_scores: jax.Array) -> jax.Array:
    """Binary cross-entropy of fakes labelled real (Goodfellow et al. 2014, section 3)."""
    return jnp.mean(jax.nn.softplus(-fake_scores))


def relativistic_critic_loss(real_scores: jax.Array, fake_scores: jax.Array) -> jax.Array:
    """softplus(-(D(real) - D(fake))) over pairs (R3GAN, Huang et al. 2024, arXiv 2501.05441)."""
    return jnp.mean(jax.nn.softplus(fake_scores - real_scores))


def relativistic_generator_loss(real_scores: jax.Array, fake_scores: jax.Array) -> jax.Array:
    """softplus(-(D(fake) - D(real))) over pairs (R3GAN, Huang et al. 2024, arXiv 2501.05441)."""
    return jnp.mean(jax.nn.softplus(real_scores - fake_scores))


def zero_centered_penalty(critic: Critic, images: jax.Array) -> jax.Array:
    """mean(|grad D|^2): R1 on reals, R2 on fakes (Mescheder et al. 2018, arXiv 1801.04406)."""
    return jnp.mean(_squared_gradient_norms(critic, images))


def _squared_gradient_norms(critic, images):  # [B]
    gradients = jax.grad(lambda x: jnp.sum(critic(x)))(images)
    return jnp.sum(jnp.square(gradients), axis=(1, 2, 3))


def _gradient_penalty_and_drift(config, scored):
    penalty, norm = gradient_penalty(scored.critic, scored.real, scored.fake, scored.mixing)
    weighted = config.gradient_penalty_weight * penalty
    weighted += config.drift_weight * drift(scored.real_scores)
    distance = -wasserstein_critic_loss(scored.real_scores, scored.fake_scores)
    return weighted, {
        "wasserstein_distance": distance,
        "gradient_penalty": penalty,
        "gradient_norm": norm,
    }


def _r1_and_r2(config, scored):
    del config
    r1 = zero_centered_penalty(scored.critic, scored.real)
    r2 = zero_centered_penalty(scored.critic, scored.fake)
    return scored.gamma / 2 * (r1 + r2), {"r1": r1, "r2": r2}


LOSSES = {
    "wgan_gp": Loss(
        critic=wasserstein_critic_loss,
        generator=lambda real_scores, fake_scores: wasserstein_generator_loss(fake_scores),
        penalty=_gradient_penalty_and_drift,
        metrics=("wasserstein_distance", "gradient_penalty", "gradient_norm"),
    ),
    "non_saturating": Loss(
        critic=non_saturating_critic_loss,
        generator=lambda real_scores, fake_scores: non_saturating_generator_loss(fake_scores),
    ),
    "rpgan_r1r2": Loss(
        critic=relativistic_critic_loss,
        generator=relativistic_generator_loss,
        relativistic=True,
        lazy=True,
        penalty=_r1_and_r2,
        metrics=("r1", "r2"),
    ),
}
