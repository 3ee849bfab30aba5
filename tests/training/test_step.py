import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dac.networks.progan import active_modules
from dac.training import parallel
from dac.training.schedule import phases
from dac.training.state import init_state
from dac.training.step import make_train_step

GENRES = 3


def make_batch(size, resolution, seed=0):
    random = np.random.default_rng(seed)
    return {
        "image": random.integers(0, 256, (size, resolution, resolution, 3), np.uint8),
        "genres": np.eye(GENRES, dtype=np.float32)[random.integers(GENRES, size=size)],
        "genres_known": random.random(size) < 0.8,
    }


def run_steps(config, phase, devices, steps=3, images_seen=None, state=None):
    """Trains for some steps on the first devices; returns the states, with the initial one."""
    mesh = parallel.make_mesh(jax.devices()[:devices], (phase,))
    state = state or init_state(config, GENRES)
    state = state.replace(
        images_seen=jnp.int32(phase.start if images_seen is None else images_seen)
    )
    state = parallel.replicate(mesh, state)
    batch = parallel.split(mesh, make_batch(phase.batch_size, phase.resolution))
    step = parallel.compile_step(make_train_step(config, phase), mesh, state, batch)
    states = [jax.device_get(state)]
    for _ in range(steps):
        state, metrics = step(state, batch)
        states.append(jax.device_get(state))
    return states, jax.device_get(metrics)


def assert_close(tree, other, rtol):
    """Compares trees as whole vectors, as rounding shows most where numbers are near zero."""
    a, b = (
        np.concatenate([np.ravel(x).astype(np.float64) for x in jax.tree.leaves(t)])
        for t in (tree, other)
    )
    assert np.linalg.norm(a - b) <= rtol * np.linalg.norm(a)


def test_the_number_of_devices_changes_nothing(config):
    config.batch_sizes = (16, 16)
    phase = phases(config)[1]
    (*_, one), metrics_of_one = run_steps(config, phase, 1)
    (*_, four), metrics_of_four = run_steps(config, phase, 4)
    for name in ("generator", "critic", "generator_ema"):
        assert_close(getattr(one, name), getattr(four, name), 1e-5)
    assert_close(metrics_of_one, metrics_of_four, 1e-4)


def test_a_step_changes_the_active_modules_and_no_other(config):
    config.update({"resolution": 16, "batch_sizes": (4, 4, 4), "learning_rates": (1e-3,) * 3})
    config.update({"fade_kimg": (0.0, 0.1, 0.1), "stable_kimg": (0.1, 0.1, 0.1)})
    phase = phases(config)[1]
    # Inside the fade-in, where the layers of both resolutions count.
    states, _ = run_steps(config, phase, 1, images_seen=phase.start + 48)
    before, after = states[0], states[-1]
    for name in ("generator", "critic", "generator_ema", "generator_optimizer", "critic_optimizer"):
        for module, old in getattr(before, name).items():
            changed = [
                not np.array_equal(a, b)
                for a, b in zip(
                    jax.tree.leaves(old), jax.tree.leaves(getattr(after, name)[module]), strict=True
                )
            ]
            assert all(changed) if module in active_modules(8) else not any(changed), module
    assert after.step == 3
    assert after.images_seen == phase.start + 48 + 12


def test_adam_starts_afresh_when_a_fade_begins_and_when_it_ends(config):
    phase = phases(config)[1]
    states, _ = run_steps(config, phase, 1, steps=4, images_seen=phase.fade_end - 16)
    assert [int(s.critic_optimizer["output"][0].count) for s in states] == [0, 1, 2, 1, 2]
    assert [int(s.generator_optimizer["conv_4x4"][0].count) for s in states] == [0, 1, 2, 1, 2]
    used = states[-1].critic_optimizer["output"][0].nu["kernel"]
    states, _ = run_steps(config, phase, 1, steps=1, images_seen=phase.start, state=states[-1])
    assert int(states[1].critic_optimizer["output"][0].count) == 1
    assert not np.array_equal(states[1].critic_optimizer["output"][0].nu["kernel"], used)


def test_the_moving_average_has_its_half_life_in_images(config):
    phase = phases(config)[0]
    states, _ = run_steps(config, phase, 1, steps=2)
    decay = 0.5 ** (phase.batch_size / (1000 * config.ema_half_life_kimg))
    expected = states[0].generator["dense_4x4"]["kernel"].astype(np.float64)
    for state in states[1:]:
        expected = decay * expected + (1 - decay) * state.generator["dense_4x4"]["kernel"]
    np.testing.assert_allclose(
        states[-1].generator_ema["dense_4x4"]["kernel"], expected, rtol=1e-5, atol=1e-7
    )


def test_the_first_update_is_adams(config):
    """With beta1 = 0, a first Adam step moves each weight by the learning rate, up or down."""
    states, _ = run_steps(config, phases(config)[0], 1, steps=1)
    for player in ("generator", "critic"):
        old, new = (getattr(s, player)["conv_4x4"]["kernel"] for s in states)
        np.testing.assert_allclose(np.abs(new - old), 1e-3, rtol=0.02)


def test_hidden_genres_are_not_trained_on(config):
    """Where no genre is ever known, their embeddings stay as they were."""
    config.genre_drop_rate = 0.999999
    states, _ = run_steps(config, phases(config)[0], 1)
    for player in ("generator", "critic"):
        old, new = (getattr(s, player)["conditions"] for s in (states[0], states[-1]))
        np.testing.assert_array_equal(old["genres"], new["genres"])
        assert not np.array_equal(old["genres_unknown"], new["genres_unknown"])


@pytest.mark.parametrize(("size", "devices"), [(12, 8), (6, 1), (16, 8)])
def test_a_batch_that_devices_cannot_share_is_refused(config, size, devices):
    config.batch_sizes = (size, size)
    with pytest.raises(parallel.UserError, match=r"take a multiple of"):
        parallel.make_mesh(jax.devices()[:devices], phases(config))
