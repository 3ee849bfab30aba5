"""Pictures from a generator: fixed latents in, uint8 out; and the grid that shows a run."""

import functools

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from PIL import Image

from dac.covers.conditions import encode_genres
from dac.covers.dataset import CoverDataset
from dac.covers.images import grid, to_uint8
from dac.training.schedule import Phase
from dac.training.state import Params, make_players

GRID_ROWS = 10  # genres in a sample grid: the most frequent ones
GRID_CELL = 64  # pixels


def fixed_latents(seed: int, first: int, count: int, size: int) -> jax.Array:
    """Latents `first` to `first + count` of the endless row of a seed; `[count, size]`."""
    key = jax.random.key(seed)
    keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(first, first + count))
    return jax.vmap(lambda k: jax.random.normal(k, (size,)))(keys)


def generate(
    config: ml_collections.ConfigDict,
    params: Params,
    latents: jax.Array,
    conditions: dict[str, np.ndarray],
    resolution: int,
    alpha: float,
) -> np.ndarray:
    """Makes pictures, `[B, resolution, resolution, 3]` uint8.

    Args:
      config: of the run.
      params: of the generator.
      latents: `[B, Z]`.
      conditions: as `encode_genres` gives them.
      resolution: at which to generate.
      alpha: of the fade-in.
    """
    generator, _ = make_players(config)
    alpha = jnp.float32(alpha)
    return to_uint8(
        np.asarray(_generate(generator, params, latents, conditions, resolution, alpha))
    )


@functools.partial(jax.jit, static_argnames=("generator", "resolution"))
def _generate(generator, params, latents, conditions, resolution, alpha):
    return generator.apply({"params": params}, latents, conditions, resolution, alpha)


def sample_grid(
    config: ml_collections.ConfigDict,
    dataset: CoverDataset,
    params: Params,
    phase: Phase,
    images_seen: int,
) -> Image.Image:
    """A row of covers for each of the most frequent genres; a column has one latent."""
    counts = dataset.genre_counts()
    genres = np.sort(np.argsort(-counts, kind="stable")[:GRID_ROWS])
    columns = config.grid_columns
    latents = fixed_latents(config.seed, 0, columns, config.latent_size)
    covers = [
        generate(
            config,
            params,
            latents,
            encode_genres([[genre]] * columns, len(dataset.genres)),
            phase.resolution,
            phase.alpha(images_seen),
        )
        for genre in genres
    ]
    # One size throughout the run, so that the grids make an animation.
    cell = max(GRID_CELL, config.resolution)
    names = [dataset.genres[genre] for genre in genres]
    return grid(np.concatenate(covers), columns, cell, names)
