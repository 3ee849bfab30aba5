import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dac.covers.conditions import FIELDS, Album
from dac.errors import UserError
from dac.sampling import Run, load_run
from dac.training.checkpoint import Checkpoints
from dac.training.state import init_state
from dac.training.workdir import claim_workdir, write_run

GENRES = ("ambient", "dub", "thrash metal")
IDENTITY = {"genres": list(GENRES), "fields": list(FIELDS), "years": [1950, 2025]}


def random_state(config):
    """A state of random numbers, without compiling what would draw them."""
    shapes = jax.eval_shape(lambda: init_state(config, len(GENRES)))
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda x: jnp.array(rng.normal(size=x.shape), x.dtype), shapes)


def make_run(config, images_seen=320, **options):
    config.update(options)
    return Run(
        config=config,
        genres=GENRES,
        fields=tuple(config.conditions),
        years=(1950, 2025),
        variables=random_state(config).ema_variables,
        images_seen=images_seen,
        resolution=8,
        alpha=1.0,
    )


@pytest.fixture
def run(config):
    return make_run(config, conditions=FIELDS)


def ask(run, **asked):
    """Returns the album asked for, and the warnings."""
    warnings = []
    return run.album(**asked, warn=warnings.append), warnings


def test_what_a_person_asks_becomes_an_album(run):
    assert ask(run) == (Album(), [])
    asked = {"genres": ["Dub=0.5", "ambient"], "year": " 1988", "artist": "椎名林檎", "title": "🦆"}
    assert ask(run, **asked) == (Album({1: 0.5, 0: 1.0}, 1988, "椎名林檎", "🦆"), [])


def test_a_year_outside_the_trained_ones_is_the_nearest_and_said(run):
    album, (warning,) = ask(run, year="1901")
    assert album.year == 1950
    assert "1950 to 2025; 1950 is taken" in warning
    assert ask(run, year="2099")[0].year == 2025


@pytest.mark.parametrize("year", ["", "soon", "88", "-1988", "1988.5", "1_988", "1859", "2101"])
def test_a_year_that_is_none_is_refused(run, year):
    with pytest.raises(UserError, match=rf"the year '{year}' is not one from 1860 to 2100"):
        ask(run, year=year)


@pytest.mark.parametrize("field", ["artist", "title"])
def test_a_blank_name_is_refused_and_a_long_one_is_cut(run, field):
    for name in ("", " \t", "\u200b\x00"):
        with pytest.raises(UserError, match=rf"the {field} .* is blank; .*leave it out") as error:
            ask(run, **{field: name})
        assert "\x00" not in str(error.value)
    _, (warning,) = ask(run, **{field: "å" * 10_000})
    assert field in warning
    assert "64" in warning


def test_a_run_refuses_what_it_was_not_trained_on(config):
    run = make_run(config, conditions=("genres",))
    with pytest.raises(UserError, match="was trained on genre; it knows no year or title: leave"):
        ask(run, genres=["dub"], year="1988", title="Version")
    with pytest.raises(UserError, match="this run is unconditional; it knows no genre"):
        ask(make_run(config, conditions=()), genres=["dub"])


def test_a_cover_depends_on_its_album_the_seed_and_its_place_alone(run):
    dub, other = Album({1: 1.0}), Album({0: 1.0}, 1960, "King Echo", "Version")
    covers = run.sample([other] * 17 + [dub, dub], 1)  # two batches
    assert covers.shape == (19, 8, 8, 3)
    assert covers.dtype == np.uint8
    np.testing.assert_array_equal(run.sample([dub] * 18, 1)[17], covers[17])
    assert (covers[17] != covers[18]).any()
    assert (run.sample([dub] * 18, 2)[17] != covers[17]).any()


def test_each_field_changes_the_cover(run):
    known = Album({0: 1.0}, 1988, "King Echo", "Version")
    others = [
        Album({0: 1.0, 1: 1.0}, 1988, "King Echo", "Version"),
        Album({0: 1.0}, 1960, "King Echo", "Version"),
        Album({0: 1.0}, 1988, "Wren Ash", "Version"),
        Album({0: 1.0}, 1988, "King Echo", "The Old Road"),
        *(Album(**{field: getattr(known, field)}) for field in FIELDS),
    ]
    first = [run.sample([album], 0)[0].tobytes() for album in [known, *others]]
    assert len(set(first)) == len(first)


def test_conditions_weigh_what_they_did_at_the_checkpoint(config):
    start, end = (
        make_run(config, images_seen, conditions=("genres",), condition_ramp_kimg=0.3)
        for images_seen in (0, 300)
    )
    dub, ambient = (
        np.stack([run.sample([Album({g: 1.0})], 0) for run in (start, end)]) for g in (1, 0)
    )
    np.testing.assert_array_equal(dub[0], ambient[0])
    assert (dub[1] != ambient[1]).any()
    ramp_off = make_run(config, conditions=("genres",), condition_ramp_kimg=0.0)
    np.testing.assert_array_equal(ramp_off.sample([Album({1: 1.0})], 0), dub[1])


def test_an_unconditional_run_makes_covers(config):
    covers = make_run(config, conditions=()).sample([Album()] * 2, 0)
    assert (covers[0] != covers[1]).any()


def test_a_run_directory_becomes_the_run_that_was_saved(config, tmp_path):
    config.conditions = FIELDS
    with pytest.raises(UserError, match=r"experiments\.train"):
        load_run(tmp_path, pytest.fail)
    write_run(tmp_path, claim_workdir(tmp_path, config, IDENTITY))
    with pytest.raises(UserError, match="no checkpoint yet"):
        load_run(tmp_path, pytest.fail)
    checkpoints = Checkpoints(tmp_path)
    state = random_state(config).replace(images_seen=jnp.int32(176))
    checkpoints.save(state, 176, {})
    checkpoints.wait()
    checkpoints.close()
    loaded = load_run(tmp_path, pytest.fail)
    assert (loaded.genres, loaded.years, loaded.fields) == (GENRES, (1950, 2025), FIELDS)
    # Halfway through the fade-in, from 128 to 224.
    assert (loaded.images_seen, loaded.resolution, loaded.alpha) == (176, 8, 0.5)
    jax.tree.map(np.testing.assert_array_equal, loaded.variables, state.ema_variables)
