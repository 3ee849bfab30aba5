"""Draws covers: a generator, albums and a seed in, pictures out."""

import dataclasses
import functools
import re
import warnings
from collections.abc import Callable, Iterator, Sequence

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from PIL import Image

from dac.covers.conditions import (
    MAX_CHARACTERS,
    MAX_YEAR,
    MIN_YEAR,
    Album,
    encode,
    find_genres,
    fold_name,
)
from dac.covers.images import grid
from dac.errors import UserError
from dac.run.players import Variables, draw_latents, gan_of, make_players

# Covers are drawn in float32, whatever the training was in: CPUs are faster in it.
PRECISION = "float32"
# Covers are drawn in batches of one size, so that a cover does not depend on how many are drawn.
BATCH_SIZE = 16
GRID_ROWS = 10  # at most this many genres, the most frequent ones, or years
GRID_CELLS = (64, 128)  # least and largest side of a cover in a sample grid, in pixels


@dataclasses.dataclass(frozen=True)
class Run:
    """A trained generator, and what is needed to draw covers with it.

    Attributes:
      config: the config of the run.
      genres: the genre vocabulary.
      years: the first and the last year in training, or None if no cover has one.
      variables: of the generator: moving average of the parameters, and batch statistics.
      images_seen: the clock.
      resolution: side of the covers in pixels.
      alpha: weight of this resolution in [0, 1], below 1 during its fade-in.
    """

    config: ml_collections.ConfigDict
    genres: tuple[str, ...]
    years: tuple[int, int] | None
    variables: Variables
    images_seen: int
    resolution: int
    alpha: float

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of `dac.covers.conditions.FIELDS` that the run is conditioned on."""
        return tuple(self.config.conditions)

    def album(
        self,
        genres: Sequence[str] | None = None,
        year: int | str | None = None,
        artist: str | None = None,
        title: str | None = None,
        *,
        warn: Callable[[str], None] = warnings.warn,
    ) -> Album:
        """Returns the album that a person describes; a field that is None stays open.

        Args:
          genres: names; a name may end in a weight, as in `dub=0.3`.
          year: year of release; the nearest year of the training data is used.
          artist: name of the artist.
          title: name of the album.
          warn: receives a line for each value that was changed.

        Raises:
          UserError: the run was not trained on a field, or a value is not valid.
        """
        asked = {"genres": genres, "year": year, "artist": artist, "title": title}
        refused = [f for f, value in asked.items() if value is not None and f not in self.fields]
        if refused:
            learned = (
                f"was trained on {_listed(self.fields)}" if self.fields else "is unconditional"
            )
            raise UserError(
                f"this run {learned}; it knows no {_listed(refused, 'or')}: leave that out"
            )
        if genres is not None and not genres:
            raise UserError("the genre is blank; name one or more, or leave it out")
        return Album(
            genres=None if genres is None else find_genres(self.genres, genres),
            year=None if year is None else self._year(str(year), warn),
            artist=None if artist is None else _name("artist", artist, warn),
            title=None if title is None else _name("title", title, warn),
        )

    def sample(
        self,
        albums: Sequence[Album],
        seed: int = 0,
        latents: Sequence[int] | None = None,
        truncation: float = 1.0,
    ) -> np.ndarray:
        """Draws a cover for each album.

        Args:
          albums: the albums; fields that the run was not trained on are ignored.
          seed: the seed of the latents.
          latents: which latent of the seed each cover starts from; 0, 1, 2, ... by default.
          truncation: see `draw`.

        Returns:
          `[len(albums), resolution, resolution, 3]` uint8. A cover depends on its album, the seed,
          its latent and the truncation only.
        """
        return np.concatenate(list(self.sample_batches(albums, seed, latents, truncation)))

    def sample_batches(
        self,
        albums: Sequence[Album],
        seed: int = 0,
        latents: Sequence[int] | None = None,
        truncation: float = 1.0,
    ) -> Iterator[np.ndarray]:
        """Draws the covers that `sample` returns, at most `BATCH_SIZE` at a time."""
        numbers = range(len(albums)) if latents is None else latents
        for start in range(0, len(albums), BATCH_SIZE):
            part = albums[start : start + BATCH_SIZE]
            latents = fixed_latents(self.config, seed, numbers[start : start + BATCH_SIZE])
            yield self.draw(part, latents, truncation)

    def draw(
        self,
        albums: Sequence[Album],
        latents: np.ndarray | jax.Array,
        truncation: float | Sequence[float] = 1.0,
    ) -> np.ndarray:
        """Draws covers from latents of one's own.

        Args:
          albums: the albums.
          latents: `[len(albums), Z]` float32.
          truncation: how far latents reach from their mean, in [0, 1]: of all, or of each. Less
            gives more typical covers that differ less; with 0 an album has one cover. See
            `docs/making.md`.

        Returns:
          `[len(albums), resolution, resolution, 3]` uint8.
        """
        scales = np.broadcast_to(np.asarray(truncation, np.float32), len(albums))
        parts = (slice(i, i + BATCH_SIZE) for i in range(0, len(albums), BATCH_SIZE))
        return np.concatenate([self._draw_batch(albums[p], latents[p], scales[p]) for p in parts])

    def _draw_batch(self, albums, latents, scales):
        """Draws at most `BATCH_SIZE` covers, in a batch that is filled up to that size."""
        padding = BATCH_SIZE - len(albums)
        pictures = _draw(
            *_networks(self.config),
            self.variables,
            np.pad(latents, ((0, padding), (0, 0))),
            encode([*albums, *[Album()] * padding], self.config.conditions, len(self.genres)),
            np.pad(scales, (0, padding)),
            self.resolution,
            np.float32(self.alpha),
        )
        return np.asarray(pictures)[: len(albums)]

    def _year(self, text: str, warn: Callable[[str], None]) -> int:
        if not (re.fullmatch(r"\s*\d{4}\s*", text) and MIN_YEAR <= int(text) <= MAX_YEAR):
            raise UserError(f"the year must be from {MIN_YEAR} to {MAX_YEAR}, not {text!r:.40}")
        first, last = self.years or (MIN_YEAR, MAX_YEAR)
        year = min(max(int(text), first), last)
        if year != int(text):
            warn(f"this run was trained on covers from {first} to {last}; using {year}")
        return year


def sample_grid(run: Run, genre_counts: Sequence[int]) -> Image.Image:
    """Draws the grid that shows what a run has learned.

    A row is one of the most frequent genres or, without genres, a year from the first to the last;
    a column is one latent. The albums have no other field. Without genres and years every cover has
    its own latent.

    Args:
      run: the run.
      genre_counts: number of covers of each genre in training, `[G]`.
    """
    columns = run.config.grid_columns
    albums, labels = _grid_rows(run, genre_counts)
    latents = np.arange(len(albums) * columns)
    covers = run.sample(
        [album for album in albums for _ in range(columns)],
        run.config.seed,
        latents % columns if labels else latents,
    )
    # All grids of a run have one size, so that they make an animation.
    least, largest = GRID_CELLS
    return grid(covers, columns, min(max(run.config.resolution, least), largest), labels)


def _grid_rows(run: Run, genre_counts: Sequence[int]) -> tuple[list[Album], list[str] | None]:
    """Returns the album of each row and its label; no labels if all rows are alike."""
    if "genres" in run.fields:
        order = np.argsort(-np.asarray(genre_counts), kind="stable")
        genres = np.sort(order[:GRID_ROWS]).tolist()
        return [Album(genres={g: 1.0}) for g in genres], [run.genres[g] for g in genres]
    if "year" in run.fields:
        years = np.unique(np.linspace(*run.years, GRID_ROWS).round().astype(int)).tolist()
        return [Album(year=year) for year in years], [str(year) for year in years]
    return [Album()] * GRID_ROWS, None


def fixed_latents(
    config: ml_collections.ConfigDict, seed: int, numbers: Sequence[int]
) -> jax.Array:
    """Returns some latents of the endless sequence of a seed, `[len(numbers), Z]` float32.

    Numbers count modulo 2^32.
    """
    wrapped = np.asarray(numbers, np.int64).astype(np.uint32)
    return _latents(ml_collections.FrozenConfigDict(config), jax.random.key(seed), wrapped)


@functools.partial(jax.jit, static_argnames="config")
def _latents(config, key, numbers):
    return draw_latents(config, jax.vmap(lambda i: jax.random.fold_in(key, i))(numbers))


def lower_draw(
    config: ml_collections.ConfigDict, variables: Variables, num_genres: int, resolution: int
) -> jax.stages.Lowered:
    """Lowers the computation behind `Run.sample`, to learn what memory it needs.

    Args:
      config: the config of the run.
      variables: of the generator, or their shapes, on one device.
      num_genres: size of the genre vocabulary.
      resolution: side of the covers in pixels.
    """
    return _draw.lower(
        *_networks(config),
        variables,
        jax.ShapeDtypeStruct((BATCH_SIZE, config.latent_size), jnp.float32),
        encode([Album()] * BATCH_SIZE, config.conditions, num_genres),
        jax.ShapeDtypeStruct((BATCH_SIZE,), jnp.float32),
        resolution,
        jnp.float32(1.0),
    )


def to_uint8(images: jax.Array) -> jax.Array:
    """Converts pictures from [-1, 1] to uint8, clipping and rounding; any shape."""
    return jnp.rint(jnp.clip((images + 1.0) * 127.5, 0.0, 255.0)).astype(jnp.uint8)


def _networks(config):
    generator, _ = make_players(config, PRECISION)
    return gan_of(config), generator


@functools.partial(jax.jit, static_argnames=("gan", "generator", "resolution"))
def _draw(gan, generator, variables, latents, conditions, truncation, resolution, alpha):
    stage = gan.stage(resolution, alpha)
    pictures = generator.apply(
        variables, latents, conditions, *stage, truncation=truncation[:, None]
    )
    return to_uint8(pictures)


def _name(field: str, text: str, warn: Callable[[str], None]) -> str:
    folded = fold_name(text)
    if not folded:
        raise UserError(f"the {field} {text!r:.40} is blank; give a name, or leave it out")
    if len(folded) > MAX_CHARACTERS:
        warn(f"the {field} is long; only its first {MAX_CHARACTERS} characters count")
    return text


def _listed(fields: Sequence[str], last: str = "and") -> str:
    """Returns fields in words: `genre, year and title`."""
    *head, tail = ["genre" if field == "genres" else field for field in fields]
    return f"{', '.join(head)} {last} {tail}" if head else tail
