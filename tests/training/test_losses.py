import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dac.training import losses


@pytest.fixture
def pictures():
    return np.random.default_rng(0).normal(size=(2, 5, 2, 2, 3)).astype(np.float32)


def quadratic(images):
    """D(x) = |x|^2 / 2 has the gradient x, so that penalties are known in closed form."""
    return jnp.sum(jnp.square(images), axis=(1, 2, 3)) / 2


def norms(images):
    return np.sqrt((images**2).sum((1, 2, 3)))


def test_gradient_penalty_of_a_quadratic_critic_is_the_formula(pictures):
    real, fake = pictures
    mixing = np.random.default_rng(1).uniform(size=5).astype(np.float32)
    weight = mixing[:, None, None, None]
    penalty, mean_norm = losses.gradient_penalty(quadratic, real, fake, jnp.asarray(mixing))
    expected = norms(real * (1 - weight) + fake * weight)
    np.testing.assert_allclose(penalty, ((expected - 1) ** 2).mean(), rtol=1e-5)
    np.testing.assert_allclose(mean_norm, expected.mean(), rtol=1e-5)


def test_zero_centered_penalty_of_a_quadratic_critic_is_the_formula(pictures):
    penalty = losses.zero_centered_penalty(quadratic, jnp.asarray(pictures[0]))
    np.testing.assert_allclose(penalty, (norms(pictures[0]) ** 2).mean(), rtol=1e-5)


@pytest.mark.parametrize("penalty", ["gradient_penalty", "zero_centered_penalty"])
def test_a_critic_without_slope_has_finite_gradients(penalty, pictures):
    inputs = (*pictures, jnp.ones(5)) if penalty == "gradient_penalty" else pictures[:1]

    def loss(slope):
        value = getattr(losses, penalty)(lambda x: slope * x.sum((1, 2, 3)), *inputs)
        return value[0] if isinstance(value, tuple) else value

    assert np.isfinite(jax.grad(loss)(jnp.float32(0.0)))


SCORES = np.array([0.5, -1.0, 3.0], np.float32), np.array([-2.0, 0.25, 1.0], np.float32)


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ("wasserstein_critic_loss", lambda real, fake: fake.mean() - real.mean()),
        (
            "non_saturating_critic_loss",
            lambda real, fake: np.log1p(np.exp(-real)).mean() + np.log1p(np.exp(fake)).mean(),
        ),
        ("relativistic_critic_loss", lambda real, fake: np.log1p(np.exp(fake - real)).mean()),
        ("relativistic_generator_loss", lambda real, fake: np.log1p(np.exp(real - fake)).mean()),
    ],
)
def test_losses_of_both_scores_are_the_formulas(loss, expected):
    np.testing.assert_allclose(getattr(losses, loss)(*SCORES), expected(*SCORES), rtol=1e-6)


def test_losses_of_one_score_are_the_formulas():
    real, fake = SCORES
    np.testing.assert_allclose(losses.drift(real), (real**2).mean(), rtol=1e-6)
    np.testing.assert_allclose(losses.wasserstein_generator_loss(fake), -fake.mean(), rtol=1e-6)
    np.testing.assert_allclose(
        losses.non_saturating_generator_loss(fake), np.log1p(np.exp(-fake)).mean(), rtol=1e-6
    )
