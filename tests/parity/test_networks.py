"""Compares the networks and their layers with PyTorch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dac.covers.conditions import FIELDS
from dac.networks import layers

torch = pytest.importorskip("torch", reason="PyTorch is missing: pip install -e '.[parity]'")
from tests.parity import torch_gans as port  # noqa: E402

FMAPS = (160, 12)  # widths of 12, 12, 12, 10 and 5 from 4x4 to 64x64
BATCH, LATENT = 8, 6


def draw(*shape, seed=1):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("function", ["pixel_norm", "minibatch_stddev"])
@pytest.mark.parametrize("batch", [2, 8])  # smaller than a group, and two groups
def test_normalisation_and_its_gradient_match_pytorch(function, batch):
    x = draw(batch, 4, 4, 5)
    ours, pull_back = jax.vjp(getattr(layers, function), jnp.asarray(x))
    x = port.tensor(x).requires_grad_()
    theirs = getattr(port, function)(x)
    port.assert_close(ours, theirs)
    weights = draw(*ours.shape, seed=2)
    (gradient,) = torch.autograd.grad(theirs, x, port.tensor(weights))
    port.assert_close(*pull_back(jnp.asarray(weights)), gradient)


@pytest.mark.parametrize(
    ("resolution", "fields"), [*((r, ()) for r in (4, 8, 16, 32, 64)), (16, FIELDS)]
)
def test_progan_matches_pytorch_at_each_resolution_and_alpha(resolution, fields):
    conditions = port.draw_conditions(fields, BATCH)
    generator, critic = port.make_pairs("progan", 64, FMAPS, LATENT, conditions)
    latents, images = draw(BATCH, LATENT), draw(BATCH, resolution, resolution, 3)

    @jax.jit
    def ours(generator_variables, critic_variables, alpha):
        where = (conditions, resolution, alpha)
        return (
            generator.flax.apply(generator_variables, latents, *where),
            critic.flax.apply(critic_variables, images, *where),
        )

    for alpha in (0.0, 0.37, 1.0):
        pictures, scores = ours(generator.variables, critic.variables, alpha)
        where = (port.tensors(conditions), resolution, alpha)
        port.assert_close(pictures, generator.torch(port.tensor(latents), *where))
        port.assert_close(scores, critic.torch(port.tensor(images), *where))


@pytest.mark.parametrize(("resolution", "fields"), [(32, FIELDS), (64, ())])
@pytest.mark.parametrize("gan", ["dcgan", "wgan_gp"])
def test_dcgan_and_wgan_gp_match_pytorch_in_training_and_sampling(gan, resolution, fields):
    """Training uses batch statistics; the updated running averages are compared as well."""
    conditions = port.draw_conditions(fields, BATCH)
    pairs = port.make_pairs(gan, resolution, FMAPS, LATENT, conditions)
    inputs = (draw(BATCH, LATENT), draw(BATCH, resolution, resolution, 3))
    for pair, x in zip(pairs, inputs, strict=True):

        def in_training(x, pair=pair):
            return pair.flax.apply(pair.variables, x, conditions, mutable=["batch_stats"])

        sampled = jax.jit(pair.flax.apply)(pair.variables, x, conditions)
        # Batch norm averages over this device axis, which has size 1.
        trained, changed = jax.jit(jax.vmap(in_training, axis_name="data"))(x[None])
        for training, values in ((False, sampled), (True, trained[0])):
            network = pair.torch.train(training)
            theirs = network(port.tensor(x), port.tensors(conditions), resolution, 1.0)
            port.assert_close(values, theirs)
        averages = jax.tree.map(lambda x: x[0], changed.get("batch_stats", {}))
        averages = port.to_torch(pair.torch, averages)
        port.assert_all_close(averages, port.running_averages(pair.torch))
