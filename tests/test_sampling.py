import dataclasses
import logging
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dac import sampling
from dac.covers.conditions import FIELDS, Album
from dac.covers.images import MARGIN
from dac.errors import UserError
from dac.sampling import GRID_ROWS, Run, fixed_latents, lower_draw, sample_grid
from dac.training.state import init_state

GENRES = ("ambient", "dub", "thrash metal")


def test_to_uint8_clips_and_rounds():
    values = jnp.array([-3.0, -1.0, 0.0, 1.0, 2.0, 0.003])
    np.testing.assert_array_equal(sampling.to_uint8(values), [0, 0, 128, 255, 255, 128])


def random_state(config):
    """Returns a state of random numbers without compiling the initialisation."""
    shapes = jax.eval_shape(lambda: init_state(config, len(GENRES)))
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda x: jnp.array(rng.normal(size=x.shape), x.dtype), shapes)


def make_run(config, images_seen=320, **options):
    config.update(options)
    return Run(
        config=config,
        genres=GENRES,
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
    """Returns the requested album and the warnings."""
    warnings = []
    return run.album(**asked, warn=warnings.append), warnings


def test_covers_are_drawn_in_float32_whatever_the_training_was_in(run):
    config = run.config.copy_and_resolve_references()
    config.precision = "bf16"
    trained_in_bf16 = dataclasses.replace(run, config=config)
    np.testing.assert_array_equal(trained_in_bf16.sample([Album()]), run.sample([Album()]))


def test_request_is_parsed_into_an_album(run):
    assert ask(run) == (Album(), [])
    asked = {"genres": ["Dub=0.5", "ambient"], "year": " 1988", "artist": "椎名林檎", "title": "🦆"}
    assert ask(run, **asked) == (Album({1: 0.5, 0: 1.0}, 1988, "椎名林檎", "🦆"), [])


def test_year_out_of_range_is_clamped_with_a_warning(run):
    album, (warning,) = ask(run, year="1901")
    assert album.year == 1950
    assert "1950 to 2025; using 1950" in warning
    assert ask(run, year="2099")[0].year == 2025


@pytest.mark.parametrize("year", ["", "soon", "88", "-1988", "1988.5", "1_988", "1859", "2101"])
def test_invalid_year_is_rejected(run, year):
    with pytest.raises(UserError, match=rf"the year must be from 1860 to 2100, not '{year}'"):
        ask(run, year=year)


@pytest.mark.parametrize("field", ["artist", "title"])
def test_blank_name_is_rejected_and_long_name_is_cut(run, field):
    for name in ("", " \t", "\u200b\x00"):
        with pytest.raises(UserError, match=rf"the {field} .* is blank; .*leave it out") as error:
            ask(run, **{field: name})
        assert "\x00" not in str(error.value)
    _, (warning,) = ask(run, **{field: "å" * 10_000})
    assert field in warning
    assert "64" in warning


def test_fields_not_trained_on_are_rejected(config):
    run = make_run(config, conditions=("genres",))
    with pytest.raises(UserError, match="was trained on genre; it knows no year or title: leave"):
        ask(run, genres=["dub"], year="1988", title="Version")
    with pytest.raises(UserError, match="this run is unconditional; it knows no genre"):
        ask(make_run(config, conditions=()), genres=["dub"])


def test_cover_depends_only_on_album_seed_and_index(run):
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


def test_the_condition_counts_as_much_as_the_config_says(config):
    """With scale 0 all genres give the same cover."""
    for scale, alike in ((0.0, True), (0.3, False)):
        run = make_run(config, conditions=("genres",), condition_scale=scale)
        dub, ambient = (run.sample([Album({genre: 1.0})], 0) for genre in (1, 0))
        assert np.array_equal(dub, ambient) == alike


def test_unconditional_run_generates_covers(config):
    covers = make_run(config, conditions=()).sample([Album()] * 2, 0)
    assert (covers[0] != covers[1]).any()


def cells(run, genre_counts=(3, 1, 2)):
    """Returns the covers of a sample grid by row and column, and the width of the labels."""
    picture = sample_grid(run, genre_counts)
    side, columns = 64 + MARGIN, run.config.grid_columns
    pixels = np.asarray(picture)[MARGIN:]
    labels = picture.width - columns * side - MARGIN
    rows = [
        [
            pixels[top : top + 64, labels + MARGIN + i * side :][:, :64].tobytes()
            for i in range(columns)
        ]
        for top in range(0, len(pixels), side)
    ]
    return rows, labels


@pytest.mark.parametrize("fields", [("genres",), ("genres", "year"), ("year",)])
def test_grid_rows_are_genres_or_years_and_columns_are_latents(config, fields):
    run = make_run(config, conditions=fields)
    rows, labels = cells(run)
    assert len(rows) == (len(GENRES) if "genres" in fields else GRID_ROWS)
    assert labels > 20
    assert len({cover for row in rows for cover in row}) == 2 * len(rows)
    album = Album(year=1950) if fields == ("year",) else Album({0: 1.0})
    enlarged = run.sample([album] * 2, config.seed).repeat(8, axis=1).repeat(8, axis=2)
    assert rows[0] == [cover.tobytes() for cover in enlarged]


def test_grid_shows_the_most_frequent_genres(config):
    run = make_run(config, conditions=("genres",))
    many = dataclasses.replace(run, genres=tuple(f"genre {i}" for i in range(GRID_ROWS + 2)))
    width = {"genres": jnp.ones((GRID_ROWS + 2, config.latent_size))}
    params = run.variables["params"]
    params = params | {"conditions": params["conditions"] | width}
    many = dataclasses.replace(many, variables=run.variables | {"params": params})
    counts = np.arange(GRID_ROWS + 2)
    rows, _ = sampling._grid_rows(many, counts)
    assert [list(album.genres) for album in rows] == [[i] for i in range(2, GRID_ROWS + 2)]
    assert sample_grid(many, counts).height > GRID_ROWS * 64


def test_grid_of_large_covers_is_bounded(config):
    run = make_run(config, conditions=("genres",))
    large = np.zeros((len(GENRES) * config.grid_columns, 512, 512, 3), np.uint8)
    config.resolution = 512
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "sample", lambda *asked: large)
        picture = sample_grid(dataclasses.replace(run, resolution=512), (1, 1, 1))
    assert picture.height == MARGIN + len(GENRES) * (128 + MARGIN)


@pytest.mark.parametrize("fields", [(), ("artist", "title")])
def test_grid_without_genres_or_years_has_one_latent_per_cover(config, fields):
    rows, labels = cells(make_run(config, conditions=fields))
    assert labels == 0
    assert len({cover for row in rows for cover in row}) == 2 * GRID_ROWS


def test_batch_norm_cover_does_not_depend_on_the_batch(config):
    run = make_run(config, gan="dcgan", conditions=())
    variances = jax.tree.map(np.abs, run.variables["batch_stats"])
    run = dataclasses.replace(run, variables=run.variables | {"batch_stats": variances})
    together = run.sample([Album()] * 4, 0)
    alone = run.sample([Album()], 0, latents=[2])
    np.testing.assert_allclose(alone[0], together[2].astype(int), atol=1)
    assert (together[0] != together[2]).any()


def test_sampling_reuses_the_program_of_lower_draw(config, caplog):
    run = make_run(config, conditions=("genres",), latent_size=9)  # compiled in no other test
    device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    variables = jax.device_put(run.variables, device)
    with jax.log_compiles(), caplog.at_level(logging.WARNING):
        lower_draw(config, variables, len(GENRES), 8).compile()
        dataclasses.replace(run, variables=variables).sample([Album()], 0)
    assert sum("XLA compilation of jit(_draw)" in m for m in caplog.messages) == 1


def test_sampling_does_not_import_training_code():
    code = "import sys, dac.sampling; print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    modules = result.stdout.split()
    unwanted = (
        "optax",
        "tensorflow_datasets",
        "tensorboardX",
        "dac.training",
        "dac.covers.dataset",
    )
    assert not [name for name in modules if name.startswith(unwanted)]


@pytest.mark.parametrize("gan", ["progan", "wgan_gp", "dcgan"])
def test_truncation_draws_latents_towards_their_mean(config, gan):
    """At 0 all latents give one cover, at 1 it changes nothing; between, covers differ less."""
    run = make_run(config, conditions=("genres",), gan=gan)
    variances = jax.tree.map(np.abs, run.variables["batch_stats"])
    run = dataclasses.replace(run, variables=run.variables | {"batch_stats": variances})
    albums = [Album({1: 1.0})] * 8
    none, half, whole = (run.sample(albums, truncation=psi) for psi in (0.0, 0.3, 1.0))
    np.testing.assert_array_equal(none, none[:1].repeat(8, axis=0))
    np.testing.assert_array_equal(whole, run.sample(albums))
    assert 0 < half.astype(float).std(axis=0).mean() < whole.astype(float).std(axis=0).mean()
    latents = fixed_latents(run.config, 0, range(8))
    each = run.draw(albums, latents, [0.0, 0.3] * 4)  # of each cover
    np.testing.assert_array_equal(each[0::2], none[0::2])
    np.testing.assert_array_equal(each[1::2], half[1::2])
