import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import default, progan_genre
from dac.errors import UserError
from dac.run.schedule import annealed, phase_at, phases

KIMG = st.integers(0, 100).map(lambda images: images / 1000)


def test_base_config_has_the_official_schedule():
    config = default.get_config()
    config.resolution = 1024
    run = phases(config)
    assert [p.resolution for p in run] == [4, 8, 16, 32, 64, 128, 256, 512, 1024]
    assert [p.batch_size for p in run] == [128, 128, 128, 64, 32, 16, 8, 4, 4]
    assert run[-1].learning_rate == 1.5e-3
    whole_batches = pytest.approx(600_000, abs=128)
    assert run[0].end == whole_batches
    for phase in run[1:]:
        assert phase.fade_end - phase.start == whole_batches
        assert phase.end - phase.fade_end == whole_batches


@hypothesis.settings(max_examples=40, deadline=None)
@hypothesis.given(
    st.lists(st.tuples(st.sampled_from([1, 3, 4, 16]), KIMG, KIMG), min_size=3, max_size=3)
)
def test_steps_hit_every_phase_boundary(by_resolution):
    """Steps land exactly on the start of each phase and the end of each fade-in."""
    config = default.get_config()
    config.resolution = 16
    config.batch_sizes, config.fade_kimg, config.stable_kimg = zip(*by_resolution, strict=True)
    try:
        run = phases(config)
    except UserError:
        assert not any(config.stable_kimg + config.fade_kimg[1:])
        return
    clock, met, last_alpha = 0, set(), 0.0
    while clock < run[-1].end:
        phase = phase_at(run, clock)
        met.add(clock)
        alpha = phase.alpha(clock)
        assert 0 <= alpha <= 1
        assert clock == phase.start or alpha >= last_alpha
        assert (alpha == 0) == (clock == phase.start < phase.fade_end)
        clock, last_alpha = clock + phase.batch_size, alpha
    assert clock == run[-1].end
    assert {p.start for p in run} <= met
    assert {p.fade_end for p in run if p.fade_end < p.end} <= met
    assert phase_at(run, clock) is run[-1]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("resolution", 48, "such as 32 or 64"),
        ("resolution", 2, "such as 4 or 8"),
        ("resolution", -8, "power of two"),
        ("batch_sizes", (64, 64), "needs 5"),
        ("batch_sizes", (64, 64, 0, 32, 32), "above 0"),
        ("batch_sizes", (64, 64, 1.5, 32, 32), "whole numbers"),
        ("fade_kimg", (0.0, float("nan"), 1.0, 1.0, 1.0), "at least 0"),
        ("stable_kimg", (3e6, 0.0, 0.0, 0.0, 0.0), "clock"),
    ],
)
def test_invalid_schedule_is_rejected(field, value, message):
    config = progan_genre.get_config("demo")
    config[field] = value
    with pytest.raises(UserError, match=message):
        phases(config)


def test_traced_alpha_equals_alpha():
    for phase in phases(progan_genre.get_config("demo")):
        moments = np.arange(phase.start, phase.end, 1777)
        traced = jax.vmap(phase.traced_alpha)(jnp.asarray(moments))
        np.testing.assert_allclose(traced, [phase.alpha(int(m)) for m in moments], atol=1e-6)


def test_an_annealed_factor_follows_a_cosine_over_the_run():
    clock = jnp.array([0, 250, 500, 1000, 2000], jnp.int32)
    half = 0.6  # of the way from 1 to 0.2
    first = 0.2 + 0.8 * (1 + np.cos(np.pi / 4)) / 2
    np.testing.assert_allclose(annealed(0.2, clock, 1000), [1, first, half, 0.2, 0.2], rtol=1e-6)
    np.testing.assert_array_equal(annealed(1.0, clock, 1000), np.ones(5))
