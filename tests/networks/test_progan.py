import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dac.networks import layers, progan

GENRES = 3


@pytest.fixture(scope="module")
def players():
    generator, critic = progan.Generator(16, 64, 12), progan.Critic(16, 64, 12)
    key = jax.random.key(0, impl="rbg")  # compiles four times as fast
    z, images = jnp.zeros((1, 12)), jnp.zeros((1, 16, 16, 3))
    conditions = {"genres": jnp.zeros((1, GENRES)), "genres_known": jnp.zeros((1,), bool)}
    return tuple(
        (network, jax.jit(network.init, static_argnums=3)(key, x, conditions, 16, 1.0)["params"])
        for network, x in ((generator, z), (critic, images))
    )


@pytest.fixture(scope="module")
def inputs():
    latents = jax.random.normal(jax.random.key(1), (4, 12))
    genres = jnp.eye(GENRES)[jnp.array([0, 1, 2, 0])]
    return latents, {"genres": genres, "genres_known": jnp.array([True, True, True, False])}


def only_active(params, resolution):
    """Returns only the modules used at a resolution; the network must not need the others."""
    return {k: v for k, v in params.items() if k in progan.active_modules(resolution)}


def test_parameter_counts_match_the_paper():
    """Appendix A, table 2: 23.1M each at 1024x1024. Ours have an RGB layer at each resolution."""
    widths = {4: 512, 8: 512, 16: 512, 32: 512, 64: 256, 128: 128, 256: 64, 512: 32, 1024: 16}

    def conv(kernel_size, wide, narrow):
        return (kernel_size**2 * wide + 1) * narrow

    convs = [(3, widths[r // 2], w) for r, w in widths.items() if r > 4]
    convs += [(3, w, w) for r, w in widths.items() if r > 4]
    # The layers between 512 latents or features and 4x4 have 4x4 kernels.
    generator = [(4, 512, 512), (3, 512, 512)] + convs + [(1, w, 3) for w in widths.values()]
    critic = [(1, 3, w) for w in widths.values()] + [(k, o, i) for k, i, o in convs]
    critic += [(3, 512 + 1, 512), (4, 512, 512), (1, 512, 1)]

    inputs = jnp.zeros((1, 512)), jnp.zeros((1, 1024, 1024, 3))
    for network, x, layers_of_table, exactly in zip(
        (progan.Generator(1024, 8192, 512), progan.Critic(1024, 8192, 512)),
        inputs,
        (generator, critic),
        (23_079_115, 23_087_249),
        strict=True,
    ):
        init = functools.partial(network.init, resolution=1024, alpha=1.0)
        params = jax.eval_shape(init, jax.random.key(0), x, {})["params"]
        count = sum(p.size for p in jax.tree.leaves(params))
        assert count == sum(conv(*layer) for layer in layers_of_table) == exactly
        assert round(count / 1e6, 1) == 23.1


def test_each_resolution_needs_only_its_active_modules(players, inputs):
    (generator, g), (critic, c) = players
    latents, conditions = inputs
    for resolution in (4, 8, 16):
        generate, score = (
            jax.jit(network.apply, static_argnums=3) for network in (generator, critic)
        )
        images = generate(
            {"params": only_active(g, resolution)}, latents, conditions, resolution, 0.3
        )
        assert images.shape == (4, resolution, resolution, 3)
        scores = score({"params": only_active(c, resolution)}, images, conditions, resolution, 0.3)
        assert scores.shape == (4,)


@pytest.mark.parametrize("resolution", [8, 16])
def test_alpha_0_gives_the_output_of_the_lower_resolution(players, inputs, resolution):
    (generator, g), (critic, c) = players
    latents, conditions = inputs
    before = generator.apply({"params": g}, latents, conditions, resolution // 2, 1.0)
    grown = generator.apply({"params": g}, latents, conditions, resolution, 0.0)
    np.testing.assert_allclose(grown, layers.upsample(before), atol=1e-6)
    np.testing.assert_allclose(
        critic.apply({"params": c}, grown, conditions, resolution, 0.0),
        critic.apply({"params": c}, before, conditions, resolution // 2, 1.0),
        atol=1e-5,
    )


@pytest.mark.parametrize("resolution", [8, 16])
def test_alpha_1_ignores_the_old_rgb_layers(players, inputs, resolution):
    latents, conditions = inputs
    images = jax.random.normal(jax.random.key(2), (4, resolution, resolution, 3))
    for (network, params), name, x in zip(
        players, ("to_rgb", "from_rgb"), (latents, images), strict=True
    ):
        old = f"{name}_{resolution // 2}x{resolution // 2}"
        other = params | {old: jax.tree.map(lambda p: p + 1.0, params[old])}
        first, second = (
            network.apply({"params": p}, x, conditions, resolution, 1.0) for p in (params, other)
        )
        np.testing.assert_allclose(first, second, atol=1e-5)


def test_alpha_interpolates_the_picture_linearly(players, inputs):
    generator, g = players[0]
    start, middle, end = (
        generator.apply({"params": g}, *inputs, 16, alpha) for alpha in (0.0, 0.25, 1.0)
    )
    np.testing.assert_allclose(middle, 0.75 * start + 0.25 * end, atol=1e-5)


def test_each_genre_and_unknown_give_different_outputs(players, inputs):
    (generator, g), (critic, c) = players
    latents, conditions = inputs
    same = jnp.broadcast_to(latents[:1], latents.shape)
    images = generator.apply({"params": g}, same, conditions, 16, 1.0)
    assert len({np.asarray(image).tobytes() for image in images}) == 4
    scores = critic.apply({"params": c}, jnp.zeros((4, 16, 16, 3)), conditions, 16, 1.0)
    assert len(set(np.asarray(scores).tolist())) == 4
    # The values of unknown genres are ignored.
    other = conditions | {"genres": conditions["genres"].at[3].set(jnp.array([0.0, 0.5, 0.5]))}
    np.testing.assert_array_equal(
        generator.apply({"params": g}, same, other, 16, 1.0)[3], images[3]
    )


def test_critic_score_is_linear_in_the_genre_weights(players, inputs):
    """Conditions enter by projection, so an equal mix of two genres has their mean score."""
    critic, c = players[1]
    images = jnp.broadcast_to(jax.random.normal(jax.random.key(3), (1, 16, 16, 3)), (4, 16, 16, 3))
    known = {"genres": jnp.eye(GENRES)[jnp.array([0, 1, 2, 0])], "genres_known": jnp.ones(4, bool)}
    half = known | {"genres": known["genres"].at[3].set(jnp.array([0.5, 0.5, 0.0]))}
    scores = critic.apply({"params": c}, images, half, 16, 1.0)
    np.testing.assert_allclose(scores[3], (scores[0] + scores[1]) / 2, rtol=1e-4, atol=1e-5)
