import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dac.covers.conditions import FIELDS, Album, encode
from dac.errors import UserError
from dac.networks.convolutions import conv
from dac.networks.progan import active_modules
from dac.run.schedule import phases
from dac.training import parallel
from dac.training.losses import LOSSES
from dac.training.state import init_state
from dac.training.step import make_train_step

GENRES = 3


def make_batch(config, phase, devices, seed=0):
    """Makes the same covers for any number of devices, `[devices, n_critic, B, ...]`."""
    random = np.random.default_rng(seed)
    count, resolution = phase.images_per_step, phase.resolution
    albums = [
        Album({i % GENRES: 1.0} if i % 5 else None, 1950 + i, f"artist {i % 7}", f"title {i}")
        for i in range(count)
    ]
    arrays = encode(albums, config.conditions, GENRES)
    arrays["image"] = random.integers(0, 256, (count, resolution, resolution, 3), np.uint8)
    shape = (phase.n_critic, devices, -1)
    return {k: x.reshape(*shape, *x.shape[1:]).swapaxes(0, 1) for k, x in arrays.items()}


def run_steps(
    config, phase, devices, steps=3, images_seen=None, state=None, augment=False, penalty_scale=1
):
    """Trains for some steps on the first devices; returns all states and the last metrics."""
    mesh = parallel.make_mesh(jax.devices()[:devices], (phase,))
    state = state or jax.jit(lambda: init_state(config, GENRES))()
    state = state.replace(
        images_seen=jnp.int32(phase.start if images_seen is None else images_seen)
    )
    state = jax.device_put(state, parallel.replicated(mesh))
    batch = parallel.split(mesh, make_batch(config, phase, devices))
    step = make_train_step(config, phase, augment, penalty_scale)
    step, _ = parallel.compile_step(step, mesh, config.parallelism, state, batch)
    states = [jax.device_get(state)]
    for _ in range(steps):
        state, metrics = step(state, batch)
        states.append(jax.device_get(state))
    return states, jax.device_get(metrics)


# Biases of WGAN-GP's generator that batch norm cancels, and a running mean that they shift. Their
# gradients are rounding errors, which Adam turns into full steps.
IDLE = {
    "wgan_gp": (
        *("['block_8x8']['conv']['bias']", "['block_8x8']['shortcut']['bias']"),
        "['norm']['mean']",
    )
}


def assert_close(tree, other, rtol, idle=()):
    """Compares trees as whole vectors, because rounding errors are relatively large near zero."""
    a, b = (
        np.concatenate(
            [
                np.ravel(x).astype(np.float64)
                for path, x in jax.tree.leaves_with_path(t)
                if jax.tree_util.keystr(path) not in idle
            ]
        )
        for t in (tree, other)
    )
    assert np.linalg.norm(a - b) <= rtol * np.linalg.norm(a)


def small_config(name):
    """Returns a small config: batches of 32 at 8x8, or 16x16 for DCGAN to use all its layers."""
    config = importlib.import_module(f"configs.{name}").get_config("demo")
    config.update({"fmap_base": 16, "fmap_max": 8, "latent_size": 8})
    config.resolution = 16 if name == "dcgan" else 8
    config.update({"batch_sizes": (32,) * 3, "learning_rates": config.learning_rates[:3]})
    config.update({"fade_kimg": (0.0, 0.32, 0.32), "stable_kimg": (0.32,) * 3})
    config.augment_resolution = 4
    return config


@pytest.fixture(scope="module", params=["progan_full", "wgan_gp", "dcgan"])
def gan_on_one_device(request):
    """A config, its last phase, and the result of three steps on one device with augmentation."""
    config = small_config(request.param)
    config.class_loss_weight = 1.0
    phase = phases(config)[-1]
    start = phase.start + 3 * phase.batch_size  # inside the fade-in, where there is one
    (*_, state), metrics = run_steps(config, phase, 1, images_seen=start, augment=True)
    return config, phase, start, state, metrics


@pytest.mark.parametrize(
    ("devices", "parallelism"),
    [(1, "pmap"), (2, "shard_map"), (8, "shard_map"), (8, "pmap")],
)
def test_training_does_not_depend_on_devices_or_parallelism(
    gan_on_one_device, devices, parallelism
):
    config, phase, start, one, metrics_of_one = gan_on_one_device
    config = config.copy_and_resolve_references()
    config.parallelism = parallelism
    (*_, many), metrics = run_steps(config, phase, devices, images_seen=start, augment=True)
    for name in ("generator", "critic", "generator_ema", "generator_stats", "critic_stats"):
        if tree := getattr(one, name):
            idle = IDLE.get(config.gan, ()) if name.startswith("generator") else ()
            assert_close(tree, getattr(many, name), 1e-5, idle)
    assert_close(metrics_of_one, metrics, 1e-4)


def test_step_changes_only_active_modules(config):
    config.update({"resolution": 16, "batch_sizes": (4, 4, 4), "learning_rates": (1e-3,) * 3})
    config.update({"fade_kimg": (0.0, 0.1, 0.1), "stable_kimg": (0.1, 0.1, 0.1)})
    phase = phases(config)[1]
    # Inside the fade-in, where the layers of both resolutions are active.
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


def test_adam_is_reset_at_the_start_and_end_of_a_fade_in(config):
    phase = phases(config)[1]
    states, _ = run_steps(config, phase, 1, steps=4, images_seen=phase.fade_end - 16)
    assert [int(s.critic_optimizer["output"][0].count) for s in states] == [0, 1, 2, 1, 2]
    assert [int(s.generator_optimizer["conv_4x4"][0].count) for s in states] == [0, 1, 2, 1, 2]
    used = states[-1].critic_optimizer["output"][0].nu["kernel"]
    states, _ = run_steps(config, phase, 1, steps=1, images_seen=phase.start, state=states[-1])
    assert int(states[1].critic_optimizer["output"][0].count) == 1
    assert not np.array_equal(states[1].critic_optimizer["output"][0].nu["kernel"], used)


@pytest.mark.parametrize("phase", [0, 1])
def test_half_life_of_the_moving_average_is_in_images(config, phase):
    """That of a layer new at this resolution grows with the images that the layer has seen."""
    phase = phases(config)[phase]
    states, _ = run_steps(config, phase, 1, steps=3, images_seen=phase.start)
    full = 1000 * config.ema_half_life_kimg
    new = {f"{kind}_{phase.resolution}x{phase.resolution}" for kind in ("block", "to_rgb")}
    for module, tree in states[-1].generator_ema.items():
        if module not in active_modules(phase.resolution):
            continue
        expected = jax.tree.map(np.float64, states[0].generator_ema[module])
        for state in states[1:]:
            seen = int(state.images_seen) - phase.start
            ramped = phase.start == 0 or module in new
            half_life = min(full, 0.05 * seen) if ramped else full
            decay = 0.5 ** (phase.batch_size / half_life)
            expected = jax.tree.map(
                lambda old, now, decay=decay: decay * old + (1 - decay) * now,
                *(expected, state.generator[module]),
            )
        jax.tree.map(
            lambda ours, theirs: np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6),
            *(tree, expected),
        )


def test_first_update_is_an_adam_step(config):
    """With beta1 = 0, the first Adam step moves each weight by the learning rate."""
    states, _ = run_steps(config, phases(config)[0], 1, steps=1)
    for player in ("generator", "critic"):
        old, new = (getattr(s, player)["conv_4x4"]["kernel"] for s in states)
        np.testing.assert_allclose(np.abs(new - old), 1e-3, rtol=0.02)


def test_embeddings_of_hidden_genres_are_not_trained(config):
    """If genres are always hidden, their embeddings do not change."""
    config.condition_drop_rate = 0.999999
    states, _ = run_steps(config, phases(config)[0], 1)
    for player in ("generator", "critic"):
        old, new = (getattr(s, player)["conditions"] for s in (states[0], states[-1]))
        np.testing.assert_array_equal(old["genres"], new["genres"])
        assert not np.array_equal(old["genres_unknown"], new["genres_unknown"])


@pytest.mark.parametrize(("size", "devices"), [(12, 8), (6, 1), (16, 8)])
def test_batch_size_that_devices_cannot_share_is_rejected(config, size, devices):
    config.batch_sizes = (size, size)
    with pytest.raises(UserError, match=r"use a multiple of"):
        parallel.make_mesh(jax.devices()[:devices], phases(config))


def test_steps_on_cpus_do_without_ynnpack(config, monkeypatch):
    """It would run narrow convolutions on one thread. An XLA without that option compiles, too."""
    mesh = parallel.make_mesh(jax.devices()[:1], phases(config))
    kernel, x = jnp.ones((3, 3, 64, 64)), jnp.ones((1, 4, 16, 16, 64))

    def step(kernel, x):
        return kernel, conv(x, kernel)

    compiled, _ = parallel.compile_step(step, mesh, "shard_map", kernel, x)
    assert "ynn_fusion" not in compiled.as_text()
    monkeypatch.setattr(parallel, "CPU_OPTIONS", {"xla_cpu_no_such_option": ""})
    parallel.compile_step(step, mesh, "shard_map", kernel, x)


def trace(config, augment=False):
    """Traces a step of the last phase without compiling it; returns input and output shapes."""
    phase = phases(config)[-1]
    step = make_train_step(config, phase, augment)
    state = jax.eval_shape(lambda: init_state(config, GENRES))
    batch = {k: x[0] for k, x in make_batch(config, phase, 1).items()}
    _, shapes = jax.make_jaxpr(step, axis_env=[(parallel.DATA_AXIS, 1)], return_shape=True)(
        state, batch
    )
    return state, shapes


SUBSETS = [tuple(field for i, field in enumerate(FIELDS) if bits >> i & 1) for bits in range(16)]


@pytest.mark.parametrize("name", ["progan", "wgan_gp", "dcgan"])
@pytest.mark.parametrize("conditions", SUBSETS, ids="-".join)
def test_every_gan_supports_every_subset_of_conditions(name, conditions):
    config = small_config(name)
    config.conditions = conditions
    state, (new_state, metrics) = trace(config)
    for player in (state.generator, state.critic):
        learned = player.get("conditions", {})
        assert {field for field in FIELDS if f"{field}_unknown" in learned} == set(conditions)
    assert jax.tree.map(lambda x: (x.shape, x.dtype), state) == jax.tree.map(
        lambda x: (x.shape, x.dtype), new_state
    )
    assert all(m.shape == () and m.dtype == jnp.float32 for m in metrics.values())


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize(
    ("name", "loss"),
    [("progan", "rpgan_r1r2"), ("wgan_gp", "rpgan_r1r2"), ("wgan_gp", "non_saturating")],
)
def test_losses_and_precisions_can_be_combined_freely(name, loss, precision):
    config = small_config(name)
    config.loss, config.precision = loss, precision
    state, (new_state, metrics) = trace(config, augment=True)
    always = {"real_score", "fake_score", "critic_loss", "generator_loss"}
    assert set(metrics) == always | set(LOSSES[loss].metrics)
    assert {x.dtype for x in jax.tree.leaves(new_state.generator)} == {jnp.dtype(jnp.float32)}
    assert jax.tree.structure(state) == jax.tree.structure(new_state)


def test_the_critic_is_updated_n_critic_times():
    config = small_config("wgan_gp")
    config.update({"n_critic": 3, "batch_sizes": (8, 8, 8), "loss": "non_saturating"})
    (_, after), _ = run_steps(config, phases(config)[-1], 1, steps=1)
    assert int(after.images_seen) == 24
    assert int(after.step) == 1
    assert {int(s[0].count) for s in after.critic_optimizer.values()} == {3}
    assert {int(s[0].count) for s in after.generator_optimizer.values()} == {1}


def test_the_scale_of_a_lazy_penalty_multiplies_it():
    """With gamma g and interval 2, steps have 2g, 0, 2g, ..."""
    config = small_config("progan_genre")
    config.update({"loss": "rpgan_r1r2", "r1_r2_gammas": (0.5,) * 3, "batch_sizes": (8,) * 3})
    for scale, gamma in ((2, 1.0), (0, 0.0)):
        (_, lazy), metrics = run_steps(config, phases(config)[0], 1, 1, penalty_scale=scale)
        assert (metrics["r1"] > 0) == (scale > 0)
        other = config.copy_and_resolve_references()
        other.r1_r2_gammas = (gamma,) * 3
        (_, expected), _ = run_steps(other, phases(other)[0], 1, 1)
        for name in ("critic_optimizer", "generator_optimizer"):
            assert_close(getattr(expected, name), getattr(lazy, name), 1e-5)


@pytest.mark.parametrize("name", ["wgan_gp", "dcgan"])
def test_running_averages_are_those_of_the_moving_average(name):
    """Two late runs whose generators differ, but not their moving averages, with a half-life of
    many runs: batch statistics are the same, and not those of before. Of the critics, only DCGAN's
    has any.
    """
    config = small_config(name)
    config.update({"loss": "non_saturating", "ema_half_life_kimg": 1e9})  # the quickest to compile
    state = jax.jit(lambda: init_state(config, GENRES))()
    other = state.replace(generator=jax.tree.map(lambda x: x + 0.1, state.generator))
    (before, after), (_, after_other) = (
        run_steps(config, phases(config)[-1], 1, steps=1, images_seen=2**30, state=start)[0]
        for start in (state, other)
    )
    assert_close(after.generator_stats, after_other.generator_stats, 1e-5)
    for old, new in zip(
        jax.tree.leaves(before.generator_stats), jax.tree.leaves(after.generator_stats), strict=True
    ):
        assert not np.array_equal(old, new)
    assert bool(before.critic_stats) == (name == "dcgan")


def test_diff_augment_begins_at_its_resolution():
    config = small_config("progan_genre")
    config.augment_resolution = 8
    for phase, alike in zip(phases(config), (True, False), strict=True):
        plain, augmented = (
            run_steps(config, phase, 1, steps=1, augment=augment)[1] for augment in (False, True)
        )
        assert (plain["critic_loss"] == augmented["critic_loss"]) == alike


@pytest.mark.slow
@pytest.mark.parametrize("name", ["progan_full", "wgan_gp", "dcgan"])
def test_step_runs_at_512x512(name):
    """With 8 to 32 feature maps, and one update of the critic."""
    config = importlib.import_module(f"configs.{name}").get_config()
    config.update({"resolution": 512, "fmap_base": 2048, "fmap_max": 32, "n_critic": 1})
    config.batch_sizes = (4,) * 9
    phase = phases(config)[-1]
    start = phase.start + phase.images_per_step  # inside the fade-in, where there is one
    (before, after), metrics = run_steps(config, phase, 1, steps=1, images_seen=start, augment=True)
    assert all(np.isfinite(value) for value in metrics.values())
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(after.generator))
    assert not np.array_equal(before.critic["output"]["kernel"], after.critic["output"]["kernel"])
