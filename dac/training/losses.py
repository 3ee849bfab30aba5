"""Losses of the two players. A critic here is any function from pictures to scores."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

Metrics = dict[str, jax.Array]

# Keeps the norm's gradient finite where the critic's gradient is zero.
NORM_EPSILON = 1e-12


def wgan_gp_critic_loss(
    critic: Callable[[jax.Array], jax.Array],
    real: jax.Array,
    fake: jax.Array,
    mixing: jax.Array,
    *,
    gradient_penalty_weight: float,
    drift_weight: float,
) -> tuple[jax.Array, Metrics]:
    """Critic's loss of WGAN-GP with drift.

    mean(D(fake) - D(real)) + weight * mean((|grad D(mixed)| - 1)^2) + drift * mean(D(real)^2):
    Gulrajani et al. 2017 (arXiv 1704.00028, algorithm 1); the drift term is Karras et al. 2018
    (arXiv 1710.10196, appendix A.1).

    Args:
      critic: pictures `[B, H, W, C]` to scores `[B]`.
      real: pictures `[B, H, W, C]`.
      fake: pictures `[B, H, W, C]`.
      mixing: weight of the fake in each mixed picture `[B]`, uniform in [0, 1].
      gradient_penalty_weight: lambda of the paper, 10.
      drift_weight: epsilon of the paper, 0.001.

    Returns:
      The loss, a scalar, and its parts by name.
    """
    real_scores, fake_scores = critic(real), critic(fake)
    mixed = real + mixing[:, None, None, None] * (fake - real)
    gradients = jax.grad(lambda images: jnp.sum(critic(images)))(mixed)
    norms = jnp.sqrt(jnp.sum(jnp.square(gradients), axis=(1, 2, 3)) + NORM_EPSILON)
    penalty = jnp.mean(jnp.square(norms - 1.0))
    distance = jnp.mean(real_scores) - jnp.mean(fake_scores)
    loss = (
        gradient_penalty_weight * penalty
        + drift_weight * jnp.mean(jnp.square(real_scores))
        - distance
    )
    return loss, {
        "critic_loss": loss,
        "wasserstein_distance": distance,
        "gradient_penalty": penalty,
        "gradient_norm": jnp.mean(norms),
        "real_score": jnp.mean(real_scores),
        "fake_score": jnp.mean(fake_scores),
    }


def wgan_generator_loss(fake_scores: jax.Array) -> tuple[jax.Array, Metrics]:
    """Generator's loss of WGAN: minus the mean of the scores `[B]` of its pictures."""
    loss = -jnp.mean(fake_scores)
    return loss, {"generator_loss": loss}
