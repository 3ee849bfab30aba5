"""Compares losses, penalties and augmentation with PyTorch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dac.run.players import GANS
from dac.training import augment, losses

torch = pytest.importorskip("torch", reason="PyTorch is missing: pip install -e '.[parity]'")
from tests.parity import torch_gans as port  # noqa: E402

RESOLUTION, FMAPS, BATCH, ALPHA = 8, (24, 8), 8, 0.37
LOSSES = {
    "wgan_gp": (
        losses.wasserstein_critic_loss,
        lambda real, fake: losses.wasserstein_generator_loss(fake),
    ),
    "non_saturating": (
        losses.non_saturating_critic_loss,
        lambda real, fake: losses.non_saturating_generator_loss(fake),
    ),
    "rpgan_r1r2": (losses.relativistic_critic_loss, losses.relativistic_generator_loss),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_losses_and_their_gradients_match_pytorch(loss):
    scores = 4 * np.random.default_rng(0).normal(size=(2, 32)).astype(np.float32)
    theirs = port.tensor(scores).requires_grad_()
    for ours, value in zip(LOSSES[loss], port.score_losses(loss, *theirs), strict=True):
        mine, gradient = jax.value_and_grad(lambda scores, ours=ours: ours(*scores))(scores)
        port.assert_close(mine, value)
        port.assert_close(gradient, torch.autograd.grad(value, theirs, retain_graph=True)[0])


def our_penalty(penalty, score, real, fake, mixing):
    if penalty == "gradient_penalty":
        return losses.gradient_penalty(score, real, fake, mixing)[0]
    return losses.zero_centered_penalty(score, real)


def their_penalty(penalty, score, real, fake, mixing):
    if penalty == "gradient_penalty":
        return port.gradient_penalty(score, real, fake, mixing)
    return port.squared_gradient_norms(score, real).mean()


@pytest.mark.parametrize(
    ("penalty", "gan"),
    [
        ("gradient_penalty", "progan"),
        ("gradient_penalty", "wgan_gp"),
        ("zero_centered_penalty", "progan"),
    ],
)
def test_penalties_and_critic_gradients_match_pytorch(penalty, gan):
    conditions = port.draw_conditions(("genres",), BATCH)
    _, critic = port.make_pairs(gan, RESOLUTION, FMAPS, 4, conditions)
    random = np.random.default_rng(0)
    images = random.normal(size=(2, BATCH, RESOLUTION, RESOLUTION, 3)).astype(np.float32)
    inputs = (*images, random.uniform(size=BATCH).astype(np.float32))

    @jax.jit
    @jax.value_and_grad
    def ours(params):
        def score(images):
            stage = GANS[gan].stage(RESOLUTION, ALPHA)
            return critic.flax.apply({"params": params}, images, conditions, *stage)

        return our_penalty(penalty, score, *inputs)

    def score(images):
        return critic.torch(images, port.tensors(conditions), RESOLUTION, ALPHA)

    mine, gradients = ours(critic.variables["params"])
    theirs = their_penalty(penalty, score, *map(port.tensor, inputs))
    port.assert_close(mine, theirs)
    theirs.backward()
    # Some parameters, such as the last bias, do not affect the penalty.
    parameters = critic.torch.named_parameters()
    theirs = {k: torch.zeros_like(p) if p.grad is None else p.grad for k, p in parameters}
    port.assert_all_close(port.to_torch(critic.torch, gradients), theirs)


@pytest.mark.parametrize("size", [4, 8])
def test_augmentation_matches_pytorch_at_every_position(size):
    reach = size // 8
    for name, places in (("translate", range(-reach, reach + 1)), ("cut_out", range(size + 1))):
        rows, columns = (x.ravel() for x in np.meshgrid(places, places))
        shape = (len(rows), size, size, 3)
        images = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        ours = getattr(augment, name)(jnp.asarray(images), jnp.stack([rows, columns], axis=1))
        theirs = getattr(port, name)(port.tensor(images), rows, columns)
        np.testing.assert_array_equal(port.tensor(ours), theirs)
