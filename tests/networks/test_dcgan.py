import functools

import jax
import jax.numpy as jnp
import numpy as np

from dac.networks import dcgan


def init(network, x):
    return jax.jit(network.init)(jax.random.key(0, impl="rbg"), x, {})


def test_parameter_counts_match_the_official_code_at_64x64():
    """Shapes from Newmu/dcgan_code, faces/train_uncond_dcgan.py."""
    convs = 25 * (1024 * 512 + 512 * 256 + 256 * 128 + 128 * 3)
    dense = 1024 * 4 * 4
    generator = 100 * dense + 2 * dense + convs + 2 * (512 + 256 + 128)  # gw, gg, gb, ...
    critic = convs + 2 * (256 + 512 + 1024) + dense
    for network, x, expected in (
        (dcgan.Generator(64, 2048, 1024), jnp.zeros((1, 100)), generator),
        (dcgan.Critic(64, 2048, 1024), jnp.zeros((1, 64, 64, 3)), critic),
    ):
        params = jax.eval_shape(functools.partial(init, network), x)["params"]
        assert sum(p.size for p in jax.tree.leaves(params)) == expected


def test_initial_weights_are_small_and_scales_near_one():
    for network, x in (
        (dcgan.Generator(16, 128, 64), jnp.zeros((1, 8))),
        (dcgan.Critic(16, 128, 64), jnp.zeros((1, 16, 16, 3))),
    ):
        params = init(network, x)["params"]
        for name, module in params.items():
            if name.startswith("norm"):
                assert 0 < abs(np.mean(module["scale"]) - 1) < 0.02
                assert abs(np.std(module["scale"]) - 0.02) < 0.007
                np.testing.assert_array_equal(module["bias"], 0.0)
            else:
                assert list(module) == ["kernel"]
                assert abs(np.mean(module["kernel"])) < 0.002
                assert abs(np.std(module["kernel"]) - 0.02) < 0.002


def test_running_averages_move_towards_whole_batch_statistics():
    generator = dcgan.Generator(8, 16, 6)
    latents = jax.random.uniform(jax.random.key(1), (8, 5), minval=-1.0)
    variables = init(generator, latents)

    def train(z):
        return generator.apply(variables, z, {}, mutable=["batch_stats"])[1]

    devices = jax.jit(jax.vmap(train, axis_name="data"))(latents.reshape(2, 4, 5))
    norm = devices["batch_stats"]["norm_4x4"]
    features = latents @ variables["params"]["dense_4x4"]["kernel"]
    for device in (0, 1):
        mean, var = norm["mean"][device], norm["var"][device]
        np.testing.assert_allclose(mean, 0.01 * features.mean(axis=0), atol=1e-6)
        np.testing.assert_allclose(var, 0.99 + 0.01 * features.var(axis=0), atol=1e-6)


def test_generated_pictures_are_in_range():
    generator = dcgan.Generator(8, 16, 6)
    latents = 1e6 * jax.random.normal(jax.random.key(1), (2, 5))
    pictures = generator.apply(init(generator, latents), latents, {})
    assert 0.5 < np.abs(pictures).max() <= 1.0
