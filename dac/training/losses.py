"""Losses of the two players, and the critic's penalties.

Scores are `[B]` float32; a critic is any function from pictures `[B, H, W, C]` to scores. Every
loss and penalty is a scalar, a mean over the batch; weights are the caller's.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

Critic = Callable[[jax.Array], jax.Array]

# Keeps the norm's gradient finite where the critic's gradient is zero.
NORM_EPSILON = 1e-12


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
      critic: of whose score for a picture no other picture of the batch decides, or does so little
        (minibatch stddev does; batch norm is not meant).
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
    """Binary cross-entropy of fakes called real (Goodfellow et al. 2014, section 3)."""
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
