"""Convolutions of the GANs: plain, strided, transposed, and fused with resampling.

A convolution is linear in its picture and linear in its kernel. So three functions form a family
that is closed under differentiation: the convolution, its adjoint in the picture, and its adjoint
in the kernel. The gradients of each are the other two, to any order. `conv2d_gradfix.py` of
NVlabs/stylegan2-ada-pytorch uses the same fact.

This matters on CPUs. With JAX's own rules, the gradient of a gradient penalty contains the kernel
gradient of a dilated convolution. XLA's CPU backend computes that tens of times slower than the
equal kernel gradient of a strided convolution.

Pictures are NHWC and kernels HWIO. Both are cast to `dtype`, and the result has it, so that
activations stay in bfloat16 between the convolutions of a network.
"""

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp


def _on_cpu() -> bool:
    """Whether to use the forms that are fast on CPUs.

    Other backends use JAX's own gradients, and resample in the fewest passes over memory. The
    default backend decides when a function is traced. `jax.lax.platform_dependent` would decide
    later, but both forms would be traced, differentiated and counted.
    """
    return jax.default_backend() == "cpu"


@dataclasses.dataclass(frozen=True)
class Geometry:
    """The geometry that a convolution shares with its two adjoints.

    Attributes:
      size: height and width of the picture.
      taps: height and width of the kernel.
      stride: step in the picture between neighbouring pixels of the result.
      padding: rows and columns of zeros around the picture, ((above, below), (left, right)).
    """

    size: tuple[int, int]
    taps: tuple[int, int]
    stride: int
    padding: tuple[tuple[int, int], tuple[int, int]]


def _bilinear(function: Callable) -> Callable:
    """Wraps a function of (geometry, a, b) so that `_set_gradients` can set its gradients."""
    closed = jax.custom_vjp(function, nondiff_argnums=(0,))

    @functools.wraps(function)
    def call(geometry: Geometry, a: jax.Array, b: jax.Array) -> jax.Array:
        return (closed if _on_cpu() else function)(geometry, a, b)

    call.closed = closed
    return call


def _set_gradients(function: Callable, of_a: Callable, of_b: Callable) -> None:
    """Sets the gradients of a function of (geometry, a, b).

    Args:
      function: made by `_bilinear`.
      of_a: (geometry, b, gradient of the result) to the gradient of a.
      of_b: (geometry, a, gradient of the result) to the gradient of b.
    """

    def forward(geometry, a, b):
        # What each gradient needs, or None if it is not asked for: then it is not computed.
        needs = (b.value if a.perturbed else None, a.value if b.perturbed else None)
        return function(geometry, a.value, b.value), needs

    def backward(geometry, needs, gradient):
        return tuple(
            None if need is None else of(geometry, need, gradient)
            for of, need in zip((of_a, of_b), needs, strict=True)
        )

    function.closed.defvjp(forward, backward, symbolic_zeros=True)


def _lax_conv(
    x, kernel, padding, *, stride=1, zeros=0, dilation=1, numbers=("NHWC", "HWIO", "NHWC")
):
    """Computes XLA's convolution; rows and columns are axes 1 and 2, `zeros` go between pixels."""
    # With negative padding, XLA's CPU backend reads outside the picture (JAX 0.10.2): crop instead.
    (top, bottom), (left, right) = [[max(-n, 0) for n in pair] for pair in padding]
    x = x[:, top : x.shape[1] - bottom, left : x.shape[2] - right]
    padding = [[max(n, 0) for n in pair] for pair in padding]
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        padding,
        lhs_dilation=(1 + zeros, 1 + zeros),
        rhs_dilation=(dilation, dilation),
        dimension_numbers=numbers,
    )


@_bilinear
def _convolve(geometry: Geometry, x: jax.Array, kernel: jax.Array) -> jax.Array:
    """The convolution: `[B, H, W, I]` and `[kH, kW, I, O]` to `[B, h, w, O]`."""
    return _lax_conv(x, kernel, geometry.padding, stride=geometry.stride)


@_bilinear
def _spread(geometry: Geometry, y: jax.Array, kernel: jax.Array) -> jax.Array:
    """The adjoint in the picture: `[B, h, w, O]` and `[kH, kW, I, O]` to `[B, H, W, I]`.

    Pixel i of y, times tap t, is added to pixel `stride * i + t - padding` of the result: a
    transposed convolution, for which GPUs have kernels of their own. On CPUs it would multiply the
    zeros between the pixels of y, too. There, pixels of the result that are a multiple of the
    stride apart use the same taps, and are a plain convolution of y with these. A stride of 2
    gives four such phases.
    """
    stride, flipped = geometry.stride, kernel.swapaxes(2, 3)
    if not _on_cpu():

        def padding(axis):
            before = geometry.taps[axis] - 1 - geometry.padding[axis][0]
            spread = (y.shape[1 + axis] - 1) * stride + 1
            return before, geometry.size[axis] + geometry.taps[axis] - 1 - spread - before

        return _lax_conv(y, flipped[::-1, ::-1], (padding(0), padding(1)), zeros=stride - 1)

    def phase(axis, first):
        """Returns the taps for pixels `first`, `first + stride`, ..., and the padding of y."""
        shift, tap = divmod(first + geometry.padding[axis][0], stride)
        taps = range(tap, geometry.taps[axis], stride)
        pixels = len(range(first, geometry.size[axis], stride))
        last_to_first = slice(taps[-1], tap - stride if tap >= stride else None, -stride)
        return last_to_first, (len(taps) - 1 - shift, pixels + shift - y.shape[1 + axis])

    def pixels(row, column):
        (rows, above_below), (columns, left_right) = phase(0, row), phase(1, column)
        return _lax_conv(y, flipped[rows, columns], (above_below, left_right))

    phases = [[pixels(row, column) for column in range(stride)] for row in range(stride)]
    return _interleave(phases, geometry.size)


@_bilinear
def _correlate(geometry: Geometry, x: jax.Array, y: jax.Array) -> jax.Array:
    """The adjoint in the kernel: `[B, H, W, I]` and `[B, h, w, O]` to `[kH, kW, I, O]`."""

    def padding(axis):  # the second is as far as the last taps reach; it may be negative
        before, stride = geometry.padding[axis][0], geometry.stride
        reach = (y.shape[1 + axis] - 1) * stride + geometry.taps[axis]
        return before, reach - before - geometry.size[axis]

    numbers = ("CHWN", "IHWO", "HWNC")  # sums over the batch
    paddings = (padding(0), padding(1))
    return _lax_conv(x, y, paddings, dilation=geometry.stride, numbers=numbers)


_set_gradients(
    _convolve,
    lambda geometry, kernel, dy: _spread(geometry, dy, kernel),
    lambda geometry, x, dy: _correlate(geometry, x, dy),
)
_set_gradients(
    _spread,
    lambda geometry, kernel, dx: _convolve(geometry, dx, kernel),
    lambda geometry, y, dx: _correlate(geometry, dx, y),
)
_set_gradients(
    _correlate,
    lambda geometry, y, dkernel: _spread(geometry, y, dkernel),
    lambda geometry, x, dkernel: _convolve(geometry, x, dkernel),
)


def _interleave(phases: list[list[jax.Array]], size: tuple[int, int]) -> jax.Array:
    """Interleaves n x n phases `[B, h, w, C]` into `[B, *size, C]`.

    `phases[row][column]` has every n-th pixel from (row, column) on. Later phases may be a pixel
    smaller.
    """
    n = len(phases)
    if n == 1:
        return phases[0][0]
    b, h, w, c = phases[0][0].shape

    def whole(x):
        return jnp.pad(x, ((0, 0), (0, h - x.shape[1]), (0, w - x.shape[2]), (0, 0)))

    rows = [jnp.stack([whole(x) for x in row], axis=3) for row in phases]
    out = jnp.stack(rows, axis=2)  # [B, h, n, w, n, C]
    return out.reshape(b, n * h, n * w, c)[:, : size[0], : size[1]]


def _box(x: jax.Array) -> jax.Array:
    """Returns the sums of all 2x2 windows; `[B, H, W, C]` to `[B, H - 1, W - 1, C]`."""
    x = x[:, 1:] + x[:, :-1]
    return x[:, :, 1:] + x[:, :, :-1]


def _widen(kernel: jax.Array) -> jax.Array:
    """Merges a kernel with sums of 2x2 windows; `[3, 3, I, O]` to `[4, 4, I, O]`."""
    padded = jnp.pad(kernel, ((1, 1), (1, 1), (0, 0), (0, 0)))
    return padded[1:, 1:] + padded[:-1, 1:] + padded[1:, :-1] + padded[:-1, :-1]


def conv(
    x: jax.Array,
    kernel: jax.Array,
    *,
    stride: int = 1,
    padding: str | tuple = "SAME",
    dtype: jnp.dtype = jnp.float32,
) -> jax.Array:
    """Plain convolution; `[B, H, W, I]` and `[kH, kW, I, O]` to `[B, h, w, O]` in `dtype`."""
    size, taps = x.shape[1:3], kernel.shape[:2]
    if isinstance(padding, str):
        padding = tuple(jax.lax.padtype_to_pads(size, taps, (stride, stride), padding))
    geometry = Geometry(size, taps, stride, padding)
    return _convolve(geometry, x.astype(dtype), kernel.astype(dtype))


def upsample_conv(x: jax.Array, kernel: jax.Array, *, dtype: jnp.dtype = jnp.float32) -> jax.Array:
    """`conv(upsample(x), kernel)` with 9 or 16 products per pixel of `x` instead of 36.

    Repeating pixels equals putting zeros between them and then summing 2x2 windows. On CPUs the
    sums come after the convolution, which becomes a transposed one with 9 products (StyleGAN2,
    arXiv 1912.04958, official code, `upsample_conv_2d`) at the price of another pass over the
    result. Elsewhere the sums are merged into the kernel, which gives 16 products.

    Args:
      x: `[B, H, W, I]`.
      kernel: `[3, 3, I, O]`.
      dtype: dtype of the computation and the result.

    Returns:
      `[B, 2H, 2W, O]`.
    """
    h, w = x.shape[1:3]
    x, backwards = x.astype(dtype), kernel[::-1, ::-1].swapaxes(2, 3)
    if _on_cpu():
        between = Geometry((2 * h + 1, 2 * w + 1), (3, 3), 2, ((0, 0), (0, 0)))
        return _box(_spread(between, x, backwards.astype(dtype)))
    onto = Geometry((2 * h, 2 * w), (4, 4), 2, ((1, 1), (1, 1)))
    return _spread(onto, x, _widen(backwards).astype(dtype))


def conv_downsample(
    x: jax.Array, kernel: jax.Array, *, dtype: jnp.dtype = jnp.float32
) -> jax.Array:
    """`downsample(conv(x, kernel))` with 9 or 16 products per pixel of the result instead of 36.

    On CPUs the means of all 2x2 windows come first, and the convolution with a stride of 2 needs 9
    products (StyleGAN2, arXiv 1912.04958, official code, `conv_downsample_2d`) at the price of
    another pass over `x`. Elsewhere the means are merged into the kernel, which gives 16 products.

    Args:
      x: `[B, H, W, I]`, H and W even.
      kernel: `[3, 3, I, O]`.
      dtype: dtype of the computation and the result.

    Returns:
      `[B, H/2, W/2, O]`.
    """
    if _on_cpu():
        means = _box(jnp.pad(x.astype(dtype), ((0, 0), (1, 1), (1, 1), (0, 0)))) / 4
        return conv(means, kernel, stride=2, padding="VALID", dtype=dtype)
    return conv(x, _widen(kernel) / 4, stride=2, padding=((1, 1), (1, 1)), dtype=dtype)


def conv_transpose(x: jax.Array, kernel: jax.Array, *, dtype: jnp.dtype = jnp.float32) -> jax.Array:
    """Transposed 5x5 convolution of stride 2.

    Input pixel i times `kernel[k]` is added to output pixel 2i + k - 2. This equals PyTorch's
    `conv_transpose2d(stride=2, padding=2, output_padding=1)`, whose weight `[I, O, 5, 5]` is
    `kernel` with its axes moved, not flipped.

    Args:
      x: `[B, H, W, I]`.
      kernel: `[5, 5, I, O]`.
      dtype: dtype of the computation and the result.

    Returns:
      `[B, 2H, 2W, O]`.
    """
    size = (2 * x.shape[1], 2 * x.shape[2])
    onto = Geometry(size, (5, 5), 2, ((2, 2), (2, 2)))
    return _spread(onto, x.astype(dtype), kernel.swapaxes(2, 3).astype(dtype))
