import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dac.errors import UserError
from dac.run.checkpoint import Checkpoints, all_finite
from dac.training.state import init_state


@pytest.fixture
def state(config):
    return jax.jit(lambda: init_state(config, 3))()


def shift(state, amount):
    return jax.tree.map(lambda x: x + jnp.asarray(amount, x.dtype), state)


def save(folder, state, *clocks, keep_every_kimg=0):
    checkpoints = Checkpoints(folder, keep_every_kimg)
    for clock in clocks:
        moved = shift(state, clock)
        checkpoints.save(moved.replace(images_seen=jnp.int32(clock)), clock, {"clock": clock})
        checkpoints.wait()
    checkpoints.close()
    return checkpoints


def restore(folder, state):
    warnings = []
    checkpoints = Checkpoints(folder)
    restored = checkpoints.restore(state, warnings.append)
    checkpoints.close()
    return restored, warnings


def kept(folder):
    return sorted(int(p.name) for p in (folder / "checkpoints").iterdir() if p.name.isdecimal())


def damage(folder, clock):
    """Truncates the largest file of a checkpoint."""
    files = [p for p in (folder / "checkpoints" / str(clock)).rglob("*") if p.is_file()]
    largest = max(files, key=lambda p: p.stat().st_size)
    largest.write_bytes(largest.read_bytes()[: largest.stat().st_size // 2])


def test_checkpoint_is_restored_exactly(tmp_path, state):
    save(tmp_path, state, 7)
    (restored, extra), warnings = restore(tmp_path, state)
    expected = shift(state, 7).replace(images_seen=jnp.int32(7))
    assert jax.tree.structure(restored) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(restored), jax.tree.leaves(expected), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
    assert (extra, warnings) == ({"clock": 7}, [])


def test_last_two_checkpoints_and_one_per_period_are_kept(tmp_path, state):
    save(tmp_path, state, *range(100, 1300, 100), keep_every_kimg=0.5)
    assert {500, 1000, 1100, 1200} <= set(kept(tmp_path))
    assert len(kept(tmp_path)) <= 5  # the one closest to the start is also kept
    save(tmp_path / "alone", state, 1, 2, 3)
    assert kept(tmp_path / "alone") == [2, 3]


def test_damaged_checkpoint_is_skipped_and_moved_aside(tmp_path, state):
    save(tmp_path, state, 10, 20)
    damage(tmp_path, 20)
    reader = Checkpoints(tmp_path, read_only=True)
    restored, _ = reader.restore(state, lambda _: None)
    assert int(restored.images_seen) == 10
    assert kept(tmp_path) == [10, 20]

    (restored, extra), warnings = restore(tmp_path, state)
    assert int(restored.images_seen) == extra["clock"] == 10
    assert "20 is damaged" in warnings[0]
    assert (tmp_path / "damaged_checkpoints" / "20").is_dir()
    save(tmp_path, state, 20)  # 20 can be saved again
    assert kept(tmp_path) == [10, 20]


def test_partially_written_checkpoint_is_ignored(tmp_path, state):
    save(tmp_path, state, 10)
    half = tmp_path / "checkpoints" / "20.orbax-checkpoint-tmp"
    half.mkdir()
    (half / "state").write_bytes(b"half")
    (restored, _), _ = restore(tmp_path, state)
    assert int(restored.images_seen) == 10


def test_checkpoints_are_left_in_place_if_none_can_be_read(tmp_path, state):
    save(tmp_path, state, 10, 20)
    damage(tmp_path, 10)
    damage(tmp_path, 20)
    with pytest.raises(UserError, match=r"no checkpoint in .* can be read"):
        restore(tmp_path, state)
    assert kept(tmp_path) == [10, 20]


def test_checkpoint_without_a_part_of_the_state_is_not_restored(tmp_path, state):
    save(tmp_path, state, 10)
    more = state.replace(critic=state.critic | {"new": {"kernel": jnp.zeros(3)}})
    with pytest.raises(UserError, match="a part of the state is missing"):
        restore(tmp_path, more)


def test_all_finite_finds_one_nan(state):
    assert all_finite(state)
    kernel = state.critic["conv_4x4"]["kernel"].at[1, 1, 2, 3].set(jnp.nan)
    assert not all_finite(state.critic | {"conv_4x4": {"kernel": kernel}})
