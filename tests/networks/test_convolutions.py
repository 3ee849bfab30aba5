import functools

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dac.networks import convolutions, layers
from dac.training import losses

# DCGAN's convolution of stride 2.
strided = functools.partial(convolutions.conv, stride=2, padding=((2, 2), (2, 2)))


def lax_conv(x, kernel, stride=1, padding="SAME", zeros=1, dtype=jnp.float32):
    return jax.lax.conv_general_dilated(
        x.astype(dtype),
        kernel.astype(dtype),
        (stride, stride),
        padding,
        lhs_dilation=(zeros, zeros),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    ).astype(jnp.float32)


def lax_upsample_conv(x, kernel, dtype=jnp.float32):
    return lax_conv(layers.upsample(x), kernel, dtype=dtype)


def lax_conv_downsample(x, kernel, dtype=jnp.float32):
    return layers.downsample(lax_conv(x, kernel, dtype=dtype))


def lax_strided(x, kernel, dtype=jnp.float32):
    return lax_conv(x, kernel, 2, ((2, 2), (2, 2)), dtype=dtype)


def lax_conv_transpose(x, kernel, dtype=jnp.float32):
    return lax_conv(x, jnp.flip(kernel, (0, 1)), 1, ((2, 3), (2, 3)), zeros=2, dtype=dtype)


# Each form, the same from what JAX differentiates by itself, and the size of its kernel.
FORMS = {
    "1x1": (convolutions.conv, lax_conv, 1),
    "3x3": (convolutions.conv, lax_conv, 3),
    "upsample": (convolutions.upsample_conv, lax_upsample_conv, 3),
    "downsample": (convolutions.conv_downsample, lax_conv_downsample, 3),
    "strided": (strided, lax_strided, 5),
    "transpose": (convolutions.conv_transpose, lax_conv_transpose, 5),
}
forms = pytest.mark.parametrize(("function", "expected", "taps"), FORMS.values(), ids=FORMS)


@pytest.fixture(params=["cpu", "others"])
def _backend(request, monkeypatch):
    """The forms for CPUs, and those for other backends, too."""
    monkeypatch.setattr(convolutions, "_on_cpu", lambda: request.param == "cpu")


def draw(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def derivatives(function, x, kernel, orders=(0, 1, 2)):
    """The result, the gradients of a score, of their squared sum, and once more."""

    def score(x, kernel):
        return jnp.sum(jnp.tanh(function(x, kernel)))

    def of_gradients(score):
        def squared_sum(x, kernel):
            gradients = jax.grad(score, (0, 1))(x, kernel)
            return sum(jnp.sum(jnp.square(g)) for g in gradients)

        return squared_sum

    scores = {1: score}
    for order in range(2, max(orders) + 1):
        scores[order] = of_gradients(scores[order - 1])
    results = [function(x, kernel)] if 0 in orders else []
    for order in filter(None, orders):
        results += jax.grad(scores[order], (0, 1))(x, kernel)
    return results


def assert_close(actual, expected, tolerance):
    for a, b in zip(actual, expected, strict=True):
        assert a.shape == b.shape
        assert a.dtype == b.dtype == jnp.float32
        assert np.linalg.norm(a - b) <= tolerance * np.linalg.norm(b)


@pytest.mark.usefixtures("_backend")
@forms
@pytest.mark.parametrize("shape", [(1, 2, 2, 1), (2, 4, 6, 3)])
def test_values_and_derivatives_are_those_of_the_operations_one_by_one(
    function, expected, taps, shape
):
    x, kernel = draw(0, *shape), draw(1, taps, taps, shape[-1], 5)
    run = jax.jit(derivatives, static_argnums=0)
    assert_close(run(function, x, kernel), run(expected, x, kernel), 1e-5)


@forms
def test_third_derivatives(function, expected, taps):
    x, kernel = draw(0, 1, 4, 4, 2), draw(1, taps, taps, 2, 2)
    run = jax.jit(functools.partial(derivatives, orders=(3,)), static_argnums=0)
    assert_close(run(function, x, kernel), run(expected, x, kernel), 1e-4)


@pytest.mark.usefixtures("_backend")
@forms
def test_bf16_is_close_to_float32(function, expected, taps):
    x, kernel = draw(0, 2, 4, 4, 3), draw(1, taps, taps, 3, 5)

    def rounded(x, kernel):
        result = function(x, kernel, dtype=jnp.bfloat16)
        assert result.dtype == jnp.bfloat16
        return result.astype(jnp.float32)

    run = jax.jit(derivatives, static_argnums=0)
    actual, exact = run(rounded, x, kernel), run(expected, x, kernel)
    assert_close(actual, exact, 0.05)
    assert np.linalg.norm(actual[0] - exact[0]) > 1e-4 * np.linalg.norm(exact[0])


@hypothesis.settings(max_examples=8, deadline=None)
@hypothesis.given(st.data())
def test_the_three_functions_are_each_others_adjoints(data):
    """<D(x, k), y> = <x, U(y, k)> = <k, W(x, y)>, whatever the sizes, strides and paddings."""
    stride = data.draw(st.integers(1, 3))
    taps = (data.draw(st.integers(stride, 5)), data.draw(st.integers(stride, 5)))
    size = (data.draw(st.integers(5, 8)), data.draw(st.integers(5, 8)))
    padding = tuple(tuple(data.draw(st.integers(0, n - 1)) for _ in range(2)) for n in taps)
    geometry = convolutions.Geometry(size, taps, stride, padding)
    x, kernel = draw(0, 2, *size, 3), draw(1, *taps, 3, 2)
    result = convolutions._convolve(geometry, x, kernel)
    y = draw(2, *result.shape)
    products = (
        jnp.vdot(result, y),
        jnp.vdot(x, convolutions._spread(geometry, y, kernel)),
        jnp.vdot(kernel, convolutions._correlate(geometry, x, y)),
    )
    scale = np.linalg.norm(result) * np.linalg.norm(y)
    np.testing.assert_allclose(products, products[0], atol=1e-5 * scale)


def test_no_kernel_gradient_has_zeros_between_its_pixels():
    """The slow kind, of a lhs-dilated convolution with a kernel as large as a picture."""
    x, kernel = draw(0, 4, 16, 16, 3), draw(1, 3, 3, 3, 5)

    def penalty(convolve, kernel):
        def critic(images):
            return jnp.sum(jnp.tanh(convolve(images, kernel)), axis=(1, 2, 3))

        return losses.zero_centered_penalty(critic, x)

    def slow(convolve):
        text = str(jax.make_jaxpr(jax.grad(functools.partial(penalty, convolve)))(kernel))
        assert "conv_general_dilated" in text
        return text.count("lhs_dilation=(2, 2)")

    assert slow(functools.partial(lax_conv, stride=2))
    assert not slow(functools.partial(convolutions.conv, stride=2))
    assert not slow(convolutions.conv_downsample)
    assert not slow(convolutions.upsample_conv)


def test_a_gradient_that_nobody_asks_for_is_not_computed():
    x, kernel = draw(0, 1, 4, 4, 3), draw(1, 3, 3, 3, 5)

    def convolutions_of(argnums):
        gradient = jax.grad(lambda *args: jnp.sum(convolutions.conv(*args)), argnums)
        return str(jax.make_jaxpr(gradient)(x, kernel)).count(" conv_general_dilated")

    assert [convolutions_of(argnums) for argnums in (0, 1, (0, 1))] == [2, 2, 3]


def test_a_batch_of_pictures_by_vmap():
    x, kernel = draw(0, 3, 1, 4, 4, 2), draw(1, 3, 3, 2, 2)
    run = functools.partial(derivatives, convolutions.conv_downsample)
    mapped, run = jax.jit(jax.vmap(run, (0, None)))(x, kernel), jax.jit(run)
    each = [jnp.stack(parts) for parts in zip(*(run(one, kernel) for one in x), strict=True)]
    assert_close(mapped, each, 1e-5)


def test_conv_is_the_sum_over_taps():
    x, kernel = draw(0, 1, 5, 4, 3), draw(1, 3, 3, 3, 2)
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    expected = np.zeros((1, 5, 4, 2))
    for row in range(3):
        for column in range(3):
            expected += padded[:, row : row + 5, column : column + 4] @ np.asarray(
                kernel[row, column]
            )
    np.testing.assert_allclose(convolutions.conv(x, kernel), expected, atol=1e-5)
