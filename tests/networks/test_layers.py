import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dac.networks import layers


def draw(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def test_feature_maps_match_the_paper():
    widths = [layers.feature_maps(r, 8192, 512) for r in layers.resolutions(1024)]
    assert widths == [512, 512, 512, 512, 256, 128, 64, 32, 16]


def test_upsample_repeats_and_downsample_averages():
    x = jnp.arange(4.0).reshape(1, 2, 2, 1)
    expected = [[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 3, 3], [2, 2, 3, 3]]
    np.testing.assert_array_equal(layers.upsample(x)[0, :, :, 0], expected)
    np.testing.assert_array_equal(layers.downsample(x), [[[[1.5]]]])


def test_pixel_norm_gives_unit_mean_square():
    normed = layers.pixel_norm(draw(0, 2, 3, 3, 16))
    np.testing.assert_allclose(np.mean(np.square(normed), axis=-1), 1.0, rtol=1e-5)


def test_minibatch_stddev_is_computed_per_group_of_four():
    x = np.asarray(draw(0, 8, 2, 2, 3))
    out = np.asarray(layers.minibatch_stddev(jnp.asarray(x)))
    np.testing.assert_array_equal(out[..., :3], x)
    for group in (slice(0, 4), slice(4, 8)):
        expected = np.sqrt(x[group].var(axis=0) + 1e-8).mean()
        np.testing.assert_allclose(out[group, ..., 3], expected, rtol=1e-5)


def test_minibatch_stddev_gradient_is_finite_for_equal_samples():
    gradient = jax.grad(lambda x: layers.minibatch_stddev(x).sum())(jnp.ones((4, 2, 2, 3)))
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("width", [4, 64])
def test_equalized_layers_preserve_scale_at_any_width(width):
    """Weights are N(0, 1) and scaled at run time; with gain 1, unit variance is preserved."""
    x = draw(0, 64, width)
    dense = layers.EqualizedDense(256, gain=1.0)
    variables = dense.init(jax.random.key(0), x)
    assert abs(np.std(variables["params"]["kernel"]) - 1) < 0.1
    assert abs(np.std(dense.apply(variables, x)) - 1) < 0.15
    images = draw(1, 4, 8, 8, width)
    conv = layers.EqualizedConv(64, gain=1.0)
    variables = conv.init(jax.random.key(0), images)
    assert abs(np.std(variables["params"]["kernel"]) - 1) < 0.1
    assert abs(np.std(conv.apply(variables, images)[:, 1:-1, 1:-1]) - 1) < 0.15
