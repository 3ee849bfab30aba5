import functools

import jax
import jax.numpy as jnp
import numpy as np

from dac.networks import wgan_gp

PLAYERS = (
    (wgan_gp.Generator(16, 256, 32), jnp.zeros((1, 8))),
    (wgan_gp.Critic(16, 256, 32), jnp.zeros((1, 16, 16, 3))),
)


def init(network, x):
    return jax.jit(network.init)(jax.random.key(0, impl="rbg"), x, {})


def test_parameter_counts_match_the_official_code_at_64x64():
    """Shapes from improved_wgan_training, gan_64x64.py, GoodGenerator and GoodDiscriminator."""

    def block(wide, narrow, middle):  # two norms; the first convolution has no bias
        shortcut = (wide + 1) * narrow
        norms = 2 * (wide + middle)
        return shortcut + 9 * wide * middle + (9 * middle + 1) * narrow + norms

    generator = (128 + 1) * 16 * 512 + 2 * 64 + (9 * 64 + 1) * 3
    critic = (27 + 1) * 64 + 16 * 512 + 1
    for low, high in ((512, 512), (512, 256), (256, 128), (128, 64)):
        generator += block(low, high, middle=high)
        critic += block(high, low, middle=high)
    for network, x, expected in (
        (wgan_gp.Generator(64, 2048, 512), jnp.zeros((1, 128)), generator),
        (wgan_gp.Critic(64, 2048, 512), jnp.zeros((1, 64, 64, 3)), critic),
    ):
        params = jax.eval_shape(functools.partial(init, network), x)["params"]
        assert sum(p.size for p in jax.tree.leaves(params)) == expected


def test_initial_weights_are_he_or_glorot_uniform():
    for network, x in PLAYERS:
        params = init(network, x)["params"]
        for path, weights in jax.tree_util.tree_leaves_with_path(params):
            *_, module, parameter = (key.key for key in path)
            if parameter != "kernel":
                np.testing.assert_array_equal(weights, 1.0 if parameter == "scale" else 0.0)
                continue
            fan_in, fan_out = (weights.size // weights.shape[axis] for axis in (-1, -2))
            he = module in ("conv", "conv_up", "conv_down", "output") and weights.ndim == 4
            limit = np.sqrt(3 * (4 if he else 2) / (fan_in + fan_out))
            assert 0.9 * limit < np.abs(weights).max() <= limit
            np.testing.assert_allclose(np.std(weights), limit / 3**0.5, rtol=0.15)


def test_critic_scores_do_not_depend_on_other_samples():
    critic, _ = PLAYERS[1]
    images = jax.random.normal(jax.random.key(1), (4, 16, 16, 3))
    variables = init(critic, images)
    assert list(variables) == ["params"]

    def score(images):
        return critic.apply(variables, images, {})

    jacobian = jax.jit(jax.jacrev(score))(images)  # [score, image, ...]
    magnitudes = np.abs(jacobian).sum(axis=(2, 3, 4))
    assert np.all(np.diag(magnitudes) > 0)
    np.testing.assert_array_equal(magnitudes - np.diag(np.diag(magnitudes)), 0.0)
