import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dac.networks import layers


def draw(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


@hypothesis.settings(max_examples=8, deadline=None)
@hypothesis.given(st.sampled_from([2, 4, 8]), st.integers(1, 3), st.integers(0, 99))
def test_fused_resampling_equals_separate_operations(size, width, seed):
    x, kernel = draw(seed, 2, size, size, width), draw(seed + 1, 3, 3, width, 2)
    np.testing.assert_allclose(
        layers.upsample_conv(x, kernel), layers.conv(layers.upsample(x), kernel), atol=1e-5
    )
    np.testing.assert_allclose(
        layers.conv_downsample(x, kernel), layers.downsample(layers.conv(x, kernel)), atol=1e-5
    )


def test_feature_maps_match_the_paper():
    widths = [layers.feature_maps(r, 8192, 512) for r in layers.resolutions(1024)]
    assert widths == [512, 512, 512, 512, 256, 128, 64, 32, 16]


@pytest.mark.parametrize(("height", "width"), [(1, 4), (4, 3)])
def test_conv_transpose_equals_jax_conv_transpose(height, width):
    x, kernel = draw(0, 2, height, width, 3), draw(1, 5, 5, 3, 2)
    expected = jax.lax.conv_transpose(x, jnp.flip(kernel, (0, 1)), (2, 2), ((2, 3), (2, 3)))
    np.testing.assert_allclose(layers.conv_transpose(x, kernel), expected, atol=1e-5)


def test_conv_transpose_is_the_adjoint_of_a_strided_convolution():
    x, kernel = draw(0, 2, 4, 4, 3), draw(1, 5, 5, 2, 3)

    def down(images):
        return layers.conv(images, kernel, stride=2, padding=((2, 2), (2, 2)))

    (expected,) = jax.linear_transpose(down, jnp.zeros((2, 8, 8, 2)))(x)
    actual = layers.conv_transpose(x, kernel.swapaxes(2, 3))
    np.testing.assert_allclose(actual, expected, atol=1e-5)


def test_conv_equals_a_sum_over_kernel_positions():
    x, kernel = draw(0, 1, 5, 4, 3), draw(1, 3, 3, 3, 2)
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    expected = np.zeros((1, 5, 4, 2))
    for row in range(3):
        for column in range(3):
            expected += padded[:, row : row + 5, column : column + 4] @ np.asarray(
                kernel[row, column]
            )
    np.testing.assert_allclose(layers.conv(x, kernel), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("convolve", "size"),
    [
        (layers.conv, 3),
        (layers.upsample_conv, 3),
        (layers.conv_downsample, 3),
        (layers.conv_transpose, 5),
    ],
)
def test_bf16_convolutions_return_approximate_float32(convolve, size):
    x, kernel = draw(0, 1, 4, 4, 2), draw(1, size, size, 2, 2)
    exact, rounded = convolve(x, kernel), convolve(x, kernel, dtype=jnp.bfloat16)
    assert rounded.dtype == jnp.float32
    assert 0 < np.linalg.norm(rounded - exact) < 0.01 * np.linalg.norm(exact)


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
