import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dac.training import augment


def test_translate_shifts_and_fills_with_zeros():
    images = jnp.arange(1.0, 65.0).reshape(1, 8, 8, 1)
    moved = augment.translate(images, jnp.array([[1, -1]]))[0, :, :, 0]
    np.testing.assert_array_equal(moved[1:, :-1], images[0, :-1, 1:, 0])
    assert not moved[0].any()
    assert not moved[:, -1].any()


def test_cut_out_zeroes_a_square_clipped_to_the_picture():
    images = jnp.ones((3, 8, 8, 2))
    cut = augment.cut_out(images, jnp.array([[4, 4], [0, 8], [2, 7]]))[..., 0]
    blank = [np.argwhere(np.asarray(image) == 0) for image in cut]
    assert [len(b) for b in blank] == [16, 2 * 2, 4 * 3]
    assert (blank[0].min(0).tolist(), blank[0].max(0).tolist()) == ([2, 2], [5, 5])
    assert (blank[1].min(0).tolist(), blank[1].max(0).tolist()) == ([0, 6], [1, 7])


@pytest.mark.parametrize("size", [4, 8, 32])
def test_diff_augment_draws_every_allowed_shift_and_no_other(size):
    keys = jax.random.split(jax.random.key(0), 4000)
    ramp = jnp.broadcast_to(jnp.arange(1.0, size + 1)[None, :, None, None], (4000, size, size, 1))
    out = np.asarray(augment.diff_augment(ramp, keys))[..., 0]
    row = np.arange(1, size + 1)[:, None]
    # Each pixel's value is its original row, so the difference is the shift.
    shifts = {int(s) for image in out for s in np.unique((row - image)[image > 0])}
    reach = size // 8  # none at 4x4
    assert shifts == set(range(-reach, reach + 1))


def test_gradients_pass_through_remaining_pixels():
    keys = jax.random.split(jax.random.key(1), 2)
    gradient = jax.grad(lambda x: augment.diff_augment(x, keys).sum())(jnp.ones((2, 8, 8, 1)))
    assert set(np.unique(gradient)) == {0.0, 1.0}


def test_auto_augments_below_30_000_covers():
    assert augment.uses_diff_augment("auto", 29_999)
    assert not augment.uses_diff_augment("auto", 30_000)
    assert augment.uses_diff_augment("diffaugment", 10**6)
    assert not augment.uses_diff_augment("none", 10)
