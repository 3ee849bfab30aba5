import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dac.training import losses


@pytest.fixture
def pictures():
    return np.random.default_rng(0).normal(size=(2, 5, 2, 2, 3)).astype(np.float32)


def quadratic(images):
    """D(x) = |x|^2 / 2 has the gradient x, so penalties have a closed form."""
    return jnp.sum(jnp.square(images), axis=(1, 2, 3)) / 2


def norms(images):
    return np.sqrt((images**2).sum((1, 2, 3)))


def test_gradient_penalty_matches_the_closed_form(pictures):
    real, fake = pictures
    mixing = np.random.default_rng(1).uniform(size=5).astype(np.float32)
    weight = mixing[:, None, None, None]
    penalty, mean_norm = losses.gradient_penalty(quadratic, real, fake, jnp.asarray(mixing))
    expected = norms(real * (1 - weight) + fake * weight)
    np.testing.assert_allclose(penalty, ((expected - 1) ** 2).mean(), rtol=1e-5)
    np.testing.assert_allclose(mean_norm, expected.mean(), rtol=1e-5)


def test_zero_centered_penalty_matches_the_closed_form(pictures):
    penalty = losses.zero_centered_penalty(quadratic, jnp.asarray(pictures[0]))
    np.testing.assert_allclose(penalty, (norms(pictures[0]) ** 2).mean(), rtol=1e-5)


@pytest.mark.parametrize("penalty", ["gradient_penalty", "zero_centered_penalty"])
def test_penalty_gradient_is_finite_for_a_constant_critic(penalty, pictures):
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
def test_losses_of_real_and_fake_scores_match_the_formulas(loss, expected):
    np.testing.assert_allclose(getattr(losses, loss)(*SCORES), expected(*SCORES), rtol=1e-6)


def test_losses_of_real_or_fake_scores_match_the_formulas():
    real, fake = SCORES
    np.testing.assert_allclose(losses.drift(real), (real**2).mean(), rtol=1e-6)
    np.testing.assert_allclose(losses.wasserstein_generator_loss(fake), -fake.mean(), rtol=1e-6)
    np.testing.assert_allclose(
        losses.non_saturating_generator_loss(fake), np.log1p(np.exp(-fake)).mean(), rtol=1e-6
    )
