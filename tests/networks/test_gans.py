"""Tests of what the three GANs have in common."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, PartitionSpec

from dac.networks import dcgan, progan, wgan_gp

GANS = [progan.GAN, dcgan.GAN, wgan_gp.GAN]
PLAYERS = [(gan, player) for gan in GANS for player in (gan.generator, gan.critic)]
WITH_BATCH_NORM = [
    (dcgan.GAN, dcgan.Generator),
    (dcgan.GAN, dcgan.Critic),
    (wgan_gp.GAN, wgan_gp.Generator),
]


def name(gan_and_player):
    _, player = gan_and_player
    return f"{player.__module__}.{player.__name__}"


def draw_inputs(player, resolution, batch=8):
    """Draws latents or pictures for a player, and genres; those of the last sample are unknown."""
    shape = (batch, 6) if player.__name__ == "Generator" else (batch, resolution, resolution, 3)
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    genres = np.eye(2, dtype=np.float32)[np.arange(batch) % 2]
    return x, {"genres": genres, "genres_known": np.arange(batch) < batch - 1}


def at_stage(function, gan, resolution):
    """Wraps a network's `init` or `apply` to run at the final resolution, in mid-fade."""

    def call(first, x, conditions, **options):
        return function(first, x, conditions, *gan.stage(resolution, 0.5), **options)

    return call


def build(gan_and_player, resolution, dtype=jnp.float32):
    """Returns a tiny network's `apply` and its variables."""
    gan, player = gan_and_player
    network = player(resolution, 16, 6, dtype)
    init = jax.jit(at_stage(network.init, gan, resolution))
    variables = init(jax.random.key(0, impl="rbg"), *draw_inputs(player, resolution))
    return at_stage(network.apply, gan, resolution), variables


@pytest.fixture(params=PLAYERS, ids=name)
def player(request):
    return request.param


@pytest.mark.parametrize("resolution", [32, 64])
@pytest.mark.parametrize("gan", GANS)
def test_output_shapes_and_parameter_modules(gan, resolution):
    for player, shape in (
        (gan.generator, (8, resolution, resolution, 3)),
        (gan.critic, (8,)),
    ):
        network, (x, conditions) = player(resolution, 64, 6), draw_inputs(player, resolution)
        init = at_stage(network.init, gan, resolution)
        apply = at_stage(network.apply, gan, resolution)
        for given in (conditions, {}):
            variables = jax.eval_shape(init, jax.random.key(0, impl="rbg"), x, given)
            assert all(isinstance(module, dict) for module in variables["params"].values())
            assert ("conditions" in variables["params"]) == bool(given)
            out = jax.eval_shape(apply, variables, x, given)
            assert (out.shape, out.dtype) == (shape, jnp.float32)


def test_conditions_change_the_output(player):
    apply, variables = build(player, 8)
    x, conditions = draw_inputs(player[1], 8)
    same = np.broadcast_to(x[:1], x.shape)
    first, second, *_, unknown = jax.jit(apply)(variables, same, conditions)
    for other in (second, unknown):
        assert np.abs(first - other).max() > 1e-3 * np.abs(first).max()


def equations(jaxpr):
    for equation in jaxpr.eqns:
        inner = [p for p in jax.tree.leaves(equation.params) if hasattr(p, "eqns")]
        if not inner:
            yield equation
        for each in inner:
            yield from equations(each)


def test_bf16_applies_to_convolutions_and_what_they_return(player):
    apply, variables = build(player, 8)
    rounded, _ = build(player, 8, jnp.bfloat16)
    inputs = draw_inputs(player[1], 8)

    dtypes = {"conv_general_dilated": set(), "dot_general": set()}
    for equation in equations(jax.make_jaxpr(rounded)(variables, *inputs).jaxpr):
        if equation.primitive.name in dtypes:
            variables_of = (*equation.invars, *equation.outvars)
            dtypes[equation.primitive.name] |= {v.aval.dtype for v in variables_of}
    assert dtypes == {
        "conv_general_dilated": {jnp.dtype(jnp.bfloat16)},
        "dot_general": {jnp.dtype(jnp.float32)},
    }

    def loss(params):
        out = rounded(variables | {"params": params}, *inputs)
        return jnp.square(out).mean(), out

    gradients, out = jax.jit(jax.grad(loss, has_aux=True))(variables["params"])
    exact = jax.jit(apply)(variables, *inputs)
    assert out.dtype == jnp.float32
    assert 0 < np.linalg.norm(out - exact) < 0.03 * np.linalg.norm(exact)
    assert all(g.dtype == jnp.float32 and np.any(g) for g in jax.tree.leaves(gradients))


def apply_in_training(player, devices):
    """Returns outputs, running statistics and gradients for a batch of 8 split over devices."""
    apply, variables = build(player, 16)

    def step(x, conditions):
        def loss(params):
            given = variables | {"params": params}
            out, updated = apply(given, x, conditions, mutable=["batch_stats"])
            return jnp.mean(out**3), (out, updated)

        gradients, (out, updated) = jax.grad(loss, has_aux=True)(variables["params"])
        return out, updated, jax.lax.pmean(gradients, "data")

    everywhere, parts = PartitionSpec(), PartitionSpec("data")
    sharded = jax.shard_map(
        step,
        mesh=Mesh(np.asarray(jax.devices()[:devices]), ("data",)),
        in_specs=parts,
        out_specs=(parts, everywhere, everywhere),
        check_vma=False,
    )
    return jax.device_get(jax.jit(sharded)(*draw_inputs(player[1], 16)))


@pytest.mark.parametrize("player", WITH_BATCH_NORM, ids=name)
def test_batch_norm_is_the_same_on_1_and_4_devices(player):
    one, four = (apply_in_training(player, devices) for devices in (1, 4))

    def compare(a, b):
        """Rounding is relative to the terms of a sum, and so to the largest of an array."""
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=max(1e-5, 1e-6 * np.abs(a).max()))

    jax.tree.map(compare, one, four)


@pytest.mark.parametrize("player", WITH_BATCH_NORM, ids=name)
def test_batch_norm_depends_on_other_samples_only_in_training(player):
    apply, variables = build(player, 16)
    x, conditions = draw_inputs(player[1], 16)
    others = np.concatenate([x[:1], -x[1:]])

    def given(x, **options):
        return apply(variables, x, conditions, **options)

    sample = jax.jit(given)
    np.testing.assert_allclose(sample(x)[0], sample(others)[0], rtol=1e-6, atol=1e-7)
    train = jax.jit(jax.vmap(functools.partial(given, mutable=["batch_stats"]), axis_name="data"))
    (first, _), (second, _) = train(x[None]), train(others[None])
    assert np.abs(first[0, 0] - second[0, 0]).max() > 0.01 * np.abs(first[0, 0]).max()
