import jax
import numpy as np
import pytest

from dac.covers.conditions import Album
from dac.covers.dataset import CoverDataset, find_dataset
from dac.covers.images import MARGIN
from dac.training import samples
from dac.training.latents import fixed_latents
from dac.training.schedule import phases
from dac.training.state import init_state


@pytest.fixture
def dataset(data_dir):
    return CoverDataset(find_dataset(data_dir, "demo_covers", 8), memory_gib=1.0)


def untrained(config, num_genres):
    """Random variables, without compiling what would draw them."""
    shapes = jax.eval_shape(lambda: init_state(config, num_genres)).ema_variables
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda x: rng.normal(size=x.shape).astype(x.dtype), shapes)


def cells(config, dataset):
    """The covers of a sample grid by row and column, and the width that the labels take."""
    variables = untrained(config, len(dataset.genres))
    picture = samples.sample_grid(config, dataset, variables, phases(config)[-1], 320)
    side, columns = 64 + MARGIN, config.grid_columns
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
def test_rows_of_the_grid_are_genres_or_years_and_columns_latents(config, dataset, fields):
    config.conditions = fields
    rows, labels = cells(config, dataset)
    assert len(rows) == (8 if "genres" in fields else 10)
    assert labels > 20
    assert len({cover for row in rows for cover in row}) == 2 * len(rows)
    latents = fixed_latents(config, config.seed, 0, 2)
    album = Album(year=dataset.years[0]) if fields == ("year",) else Album({0: 1.0})
    conditions = samples.conditions_at(config, [album] * 2, len(dataset.genres), 320)
    variables = untrained(config, len(dataset.genres))
    expected = samples.generate(config, variables, latents, conditions, 8, 1.0)
    enlarged = expected.repeat(8, axis=1).repeat(8, axis=2)
    assert rows[0] == [cover.tobytes() for cover in enlarged]


@pytest.mark.parametrize("fields", [(), ("artist", "title")])
def test_without_genres_and_years_each_cover_has_its_own_latent(config, dataset, fields):
    config.conditions = fields
    rows, labels = cells(config, dataset)
    assert labels == 0
    assert len({cover for row in rows for cover in row}) == 2 * samples.GRID_ROWS


def test_a_network_with_batch_norm_makes_a_cover_whatever_is_beside_it(config):
    config.update({"gan": "dcgan", "conditions": ()})
    variables = untrained(config, 0)
    variables["batch_stats"] = jax.tree.map(np.abs, variables["batch_stats"])  # variances
    latents = fixed_latents(config, 0, 0, 4)
    together = samples.generate(config, variables, latents, {}, 8, 1.0)
    alone = samples.generate(config, variables, latents[2:3], {}, 8, 1.0)
    np.testing.assert_allclose(alone[0], together[2].astype(int), atol=1)
    assert (together[0] != together[2]).any()
