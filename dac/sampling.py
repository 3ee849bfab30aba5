"""Draws covers: a run directory, albums and a seed in, pictures out."""

import dataclasses
import functools
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import flax.struct
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
from dac.run.checkpoint import FOLDER, Checkpoints
from dac.run.players import Variables, draw_latents, gan_of, init_players, make_players
from dac.run.schedule import phase_at, phases
from dac.run.workdir import read_run

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
      pick: number of candidates drawn for each cover, of which the critic's favourite is kept.
      critic: variables of the critic, where `pick` is above 1.
    """

    config: ml_collections.ConfigDict
    genres: tuple[str, ...]
    years: tuple[int, int] | None
    variables: Variables
    images_seen: int
    resolution: int
    alpha: float
    pick: int = 1
    critic: Variables | None = None

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
        self, albums: Sequence[Album], seed: int, latents: Sequence[int] | None = None
    ) -> np.ndarray:
        """Draws a cover for each album.

        Args:
          albums: the albums; fields that the run was not trained on are ignored.
          seed: the seed of the latents.
          latents: which latent of the seed each cover starts from; 0, 1, 2, ... by default.

        Returns:
          `[len(albums), resolution, resolution, 3]` uint8. A cover depends on its album, the seed
          and its latent only.
        """
        return np.concatenate(list(self.sample_batches(albums, seed, latents)))

    def sample_batches(
        self, albums: Sequence[Album], seed: int, latents: Sequence[int] | None = None
    ) -> Iterator[np.ndarray]:
        """Draws the covers that `sample` returns, `BATCH_SIZE` at a time."""
        numbers = range(len(albums)) if latents is None else latents
        if self.pick > 1:
            yield from self._pick_batches(albums, seed, numbers)
            return
        for start in range(0, len(albums), BATCH_SIZE):
            part = list(albums[start : start + BATCH_SIZE])
            padding = BATCH_SIZE - len(part)
            part_numbers = [*numbers[start : start + BATCH_SIZE], *[0] * padding]
            pictures = _draw(
                *_networks(self.config),
                self.variables,
                fixed_latents(self.config, seed, part_numbers),
                encode(part + [Album()] * padding, self.config.conditions, len(self.genres)),
                self.resolution,
                jnp.float32(self.alpha),
            )
            yield np.asarray(pictures)[: len(part)]

    def _pick_batches(
        self, albums: Sequence[Album], seed: int, numbers: Sequence[int]
    ) -> Iterator[np.ndarray]:
        """Draws the candidates of one cover at a time: the critic may score a batch together."""
        networks = (gan_of(self.config), *make_players(self.config))
        batch = []
        for album, number in zip(albums, numbers, strict=True):
            first = int(number) * self.pick
            picture = _draw_best(
                *networks,
                self.variables,
                self.critic,
                fixed_latents(self.config, seed, range(first, first + self.pick)),
                encode([album] * self.pick, self.config.conditions, len(self.genres)),
                self.resolution,
                jnp.float32(self.alpha),
            )
            batch.append(np.asarray(picture))
            if len(batch) == BATCH_SIZE:
                yield np.stack(batch)
                batch = []
        if batch:
            yield np.stack(batch)

    def _year(self, text: str, warn: Callable[[str], None]) -> int:
        if not (re.fullmatch(r"\s*\d{4}\s*", text) and MIN_YEAR <= int(text) <= MAX_YEAR):
            raise UserError(f"the year must be from {MIN_YEAR} to {MAX_YEAR}, not {text!r:.40}")
        first, last = self.years or (MIN_YEAR, MAX_YEAR)
        year = min(max(int(text), first), last)
        if year != int(text):
            warn(f"this run was trained on covers from {first} to {last}; using {year}")
        return year


@flax.struct.dataclass
class _Sampled:
    """The part of a `GanState` that covers are drawn from; it has the names of that."""

    images_seen: jax.Array
    generator_ema: dict
    generator_stats: dict


@flax.struct.dataclass
class _Judged(_Sampled):
    """The same with the critic."""

    critic: dict
    critic_stats: dict


def load_run(
    workdir: str | Path,
    warn: Callable[[str], None] = warnings.warn,
    checkpoint: str | int = "latest",
    pick: int = 1,
) -> Run:
    """Loads a checkpoint of a run directory.

    Args:
      workdir: the run directory.
      warn: receives a line for each checkpoint that is damaged.
      checkpoint: `latest`, `best` (see `config.eval_figure`), or the images seen at one that was
        kept.
      pick: number of candidates for each cover; see `Run`.

    Raises:
      UserError: the directory holds no run, or no such checkpoint, or the critic can't score so
        many candidates.
    """
    workdir = Path(workdir)
    config, dataset = read_run(workdir)
    try:
        genres = tuple(dataset["genres"])
        years = None if dataset["years"] is None else tuple(dataset["years"])
        schedule = phases(config)
        shapes, critic_shapes = jax.eval_shape(lambda: init_players(config, len(genres)))
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"the run {workdir} is of another version of this program ({error!r:.80}); train again"
        ) from error
    group = gan_of(config).critic_group or 1
    if pick > group and pick % group:
        raise UserError(
            f"the critic of {config.gan!r} scores {group} covers together, so it can't pick from "
            f"{pick}: use {pick // group * group} or {pick // group * group + group}"
        )
    no_checkpoint = UserError(f"the run {workdir} has no checkpoint yet; train it for longer")
    if not (workdir / FOLDER).is_dir():
        raise no_checkpoint
    device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    part = {
        "images_seen": jax.ShapeDtypeStruct((), jnp.int32),
        "generator_ema": shapes["params"],
        "generator_stats": shapes.get("batch_stats", {}),
    }
    if pick > 1:
        part |= {
            "critic": critic_shapes["params"],
            "critic_stats": critic_shapes.get("batch_stats", {}),
        }
    template = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=device),
        (_Judged if pick > 1 else _Sampled)(**part),
    )
    with Checkpoints(workdir, read_only=True) as checkpoints:
        restored = checkpoints.restore(template, warn, _images_seen(checkpoints, checkpoint))
    if restored is None:
        raise no_checkpoint
    state, _ = restored
    images_seen = int(state.images_seen)
    phase = phase_at(schedule, max(images_seen - 1, 0))
    return Run(
        config=config,
        genres=genres,
        years=years,
        variables={"params": state.generator_ema, "batch_stats": state.generator_stats},
        images_seen=images_seen,
        resolution=phase.resolution,
        alpha=phase.alpha(images_seen),
        pick=pick,
        critic={"params": state.critic, "batch_stats": state.critic_stats} if pick > 1 else None,
    )


def _images_seen(checkpoints: Checkpoints, asked: str | int) -> int | None:
    """Returns which checkpoint is asked for; None for the newest that is whole."""
    if asked == "latest":
        return None
    if asked == "best":
        best = checkpoints.best()
        if best is None:
            raise UserError(
                f"no checkpoint in {checkpoints.folder} was measured; train with "
                "--config.eval_every_kimg, or use another checkpoint"
            )
        return best
    if not str(asked).isdecimal():
        raise UserError(f"the checkpoint must be latest, best or a number, not {asked!r:.40}")
    return int(asked)


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
    """Returns some latents of the endless sequence of a seed, `[len(numbers), Z]` float32."""
    key = jax.random.key(seed)
    keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.asarray(numbers, jnp.uint32))
    return draw_latents(config, keys)


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
        resolution,
        jnp.float32(1.0),
    )


def to_uint8(images: jax.Array) -> jax.Array:
    """Converts pictures from [-1, 1] to uint8, clipping and rounding; any shape."""
    return jnp.rint(jnp.clip((images + 1.0) * 127.5, 0.0, 255.0)).astype(jnp.uint8)


def _networks(config):
    generator, _ = make_players(config)
    return gan_of(config), generator


@functools.partial(jax.jit, static_argnames=("gan", "generator", "resolution"))
def _draw(gan, generator, variables, latents, conditions, resolution, alpha):
    pictures = generator.apply(variables, latents, conditions, *gan.stage(resolution, alpha))
    return to_uint8(pictures)


@functools.partial(jax.jit, static_argnames=("gan", "generator", "critic", "resolution"))
def _draw_best(
    gan, generator, critic, variables, critic_variables, latents, conditions, resolution, alpha
):
    stage = gan.stage(resolution, alpha)
    pictures = generator.apply(variables, latents, conditions, *stage)
    scores = critic.apply(critic_variables, pictures, conditions, *stage)
    return to_uint8(pictures[jnp.argmax(scores)])


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
