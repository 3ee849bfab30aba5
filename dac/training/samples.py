"""Pictures from a generator: latents and albums in, uint8 out; and the grid that shows a run."""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from PIL import Image

from dac.covers.conditions import Album, encode
from dac.covers.dataset import CoverDataset
from dac.covers.images import grid, to_uint8
from dac.training.latents import fixed_latents
from dac.training.schedule import Phase, condition_weight
from dac.training.state import Params, make_players

GRID_ROWS = 10  # genres in a sample grid, the most frequent ones; or years
GRID_CELL = 64  # pixels


def conditions_at(
    config: ml_collections.ConfigDict, albums: Sequence[Album], num_genres: int, images_seen: int
) -> dict[str, np.ndarray]:
    """Returns what the generator reads of albums, as it has learned to at a moment of the clock.

    Args:
      config: of the run.
      albums: B albums; of each, the fields in `config.conditions` are read.
      num_genres: size of the genre vocabulary.
      images_seen: the clock, on which the weight of the conditions depends while it is ramped up.
    """
    conditions = encode(albums, config.conditions, num_genres)
    if conditions and config.condition_ramp_kimg:
        weight = condition_weight(config, images_seen)
        conditions["weight"] = np.full(len(albums), weight, np.float32)
    return conditions


def generate(
    config: ml_collections.ConfigDict,
    variables: dict[str, Params],
    latents: jax.Array,
    conditions: dict[str, np.ndarray],
    resolution: int,
    alpha: float,
) -> np.ndarray:
    """Makes pictures, `[B, resolution, resolution, 3]` uint8.

    Args:
      config: of the run.
      variables: of the generator, `params` and `batch_stats`; the running statistics are used.
      latents: `[B, Z]`.
      conditions: as `conditions_at` gives them.
      resolution: at which to generate.
      alpha: of the fade-in.
    """
    generator, _ = make_players(config)
    alpha = jnp.float32(alpha)
    return to_uint8(
        np.asarray(_generate(generator, variables, latents, conditions, resolution, alpha))
    )


@functools.partial(jax.jit, static_argnames=("generator", "resolution"))
def _generate(generator, variables, latents, conditions, resolution, alpha):
    return generator.apply(variables, latents, conditions, resolution, alpha)


def sample_grid(
    config: ml_collections.ConfigDict,
    dataset: CoverDataset,
    variables: dict[str, Params],
    phase: Phase,
    images_seen: int,
) -> Image.Image:
    """Shows what a run has learned.

    A row for each of the most frequent genres, or else for years from the first to the last: a
    column has one latent, and nothing else is known of the albums. Without genres and years, all
    covers have latents of their own.
    """
    albums, labels = _grid_rows(config, dataset)
    columns = config.grid_columns
    covers = []
    for row, album in enumerate(albums):
        first = 0 if labels else row * columns
        latents = fixed_latents(config, config.seed, first, columns)
        conditions = conditions_at(config, [album] * columns, len(dataset.genres), images_seen)
        alpha = phase.alpha(images_seen)
        covers.append(generate(config, variables, latents, conditions, phase.resolution, alpha))
    # One size throughout the run, so that the grids make an animation.
    cell = max(GRID_CELL, config.resolution)
    return grid(np.concatenate(covers), columns, cell, labels)


def _grid_rows(config, dataset) -> tuple[list[Album], list[str] | None]:
    """The album of each row and its label; no labels where the rows have nothing in common."""
    fields = set(config.conditions) & set(dataset.known_fields)
    if "genres" in fields:
        counts = dataset.genre_counts()
        genres = np.sort(np.argsort(-counts, kind="stable")[:GRID_ROWS])
        return [Album(genres={g: 1.0}) for g in genres], [dataset.genres[g] for g in genres]
    if "year" in fields:
        years = np.unique(np.linspace(*dataset.years, GRID_ROWS).round().astype(int))
        return [Album(year=year) for year in years.tolist()], [str(year) for year in years]
    return [Album()] * GRID_ROWS, None
