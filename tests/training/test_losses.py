import jax
import jax.numpy as jnp
import numpy as np

from dac.training import losses


def wgan_gp(critic, real, fake, mixing):
    return losses.wgan_gp_critic_loss(
        critic, real, fake, mixing, gradient_penalty_weight=10.0, drift_weight=0.001
    )


def test_wgan_gp_of_a_quadratic_critic_is_the_formula():
    """D(x) = |x|^2 / 2 has the gradient x, so that every term is known in closed form."""
    random = np.random.default_rng(0)
    real, fake = random.normal(size=(2, 5, 2, 2, 3)).astype(np.float32)
    mixing = random.uniform(size=5).astype(np.float32)

    def critic(x):
        return jnp.sum(jnp.square(x), axis=(1, 2, 3)) / 2

    loss, metrics = wgan_gp(critic, jnp.asarray(real), jnp.asarray(fake), jnp.asarray(mixing))
    score_real, score_fake = ((x**2).sum((1, 2, 3)) / 2 for x in (real, fake))
    weight = mixing[:, None, None, None]
    norms = np.sqrt(((real * (1 - weight) + fake * weight) ** 2).sum((1, 2, 3)))
    expected = score_fake.mean() - score_real.mean() + 10 * ((norms - 1) ** 2).mean()
    expected += 0.001 * (score_real**2).mean()
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    np.testing.assert_allclose(metrics["gradient_penalty"], ((norms - 1) ** 2).mean(), rtol=1e-5)


def test_a_critic_without_slope_has_a_finite_gradient():
    def loss(slope):
        return wgan_gp(lambda x: slope * x.sum((1, 2, 3)), *jnp.ones((2, 4, 2, 2, 3)), jnp.ones(4))

    assert np.isfinite(jax.grad(lambda slope: loss(slope)[0])(jnp.float32(0.0)))


def test_the_generator_wants_high_scores():
    loss, _ = losses.wgan_generator_loss(jnp.array([1.0, 3.0]))
    assert loss == -2.0
