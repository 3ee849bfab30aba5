"""Makes covers: a run directory in, pictures out."""

import dataclasses
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import ml_collections
import numpy as np

from dac.covers.conditions import (
    MAX_CHARACTERS,
    MAX_YEAR,
    MIN_YEAR,
    Album,
    find_genres,
    fold_name,
)
from dac.errors import UserError
from dac.training.checkpoint import FOLDER, Checkpoints
from dac.training.latents import fixed_latents
from dac.training.samples import conditions_at, generate
from dac.training.schedule import phase_at, phases
from dac.training.state import Params, init_state
from dac.training.workdir import read_run

# Pictures are computed in batches of one size, so that one does not depend on how many are made.
BATCH_SIZE = 16


@dataclasses.dataclass(frozen=True)
class Run:
    """A trained generator and what it needs to be used.

    Attributes:
      config: of the run.
      genres: its genre vocabulary.
      fields: what it can be told of an album, of `dac.covers.conditions.FIELDS`: those of the
        config that were known of a cover.
      years: the first and the last that it was trained on, or None where no cover had one.
      variables: of the generator: the moving average of its parameters, and batch statistics.
      images_seen: the clock at the checkpoint.
      resolution: of the covers it makes.
      alpha: how far that resolution's fade-in has come.
    """

    config: ml_collections.ConfigDict
    genres: tuple[str, ...]
    fields: tuple[str, ...]
    years: tuple[int, int] | None
    variables: dict[str, Params]
    images_seen: int
    resolution: int
    alpha: float

    def album(
        self,
        genres: Sequence[str] | None = None,
        year: str | None = None,
        artist: str | None = None,
        title: str | None = None,
        *,
        warn: Callable[[str], None],
    ) -> Album:
        """Returns the album that a person asks for; what is None is left open.

        Args:
          genres: names, each with a weight if it ends in one, as in `dub=0.3`.
          year: of release; the nearest that the run was trained on is taken.
          artist: name.
          title: name of the album.
          warn: told of what is taken otherwise than it was asked for.

        Raises:
          UserError: the run was not trained on one of them, or can't read it.
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
            raise UserError("the genre is blank; name one or several, or leave it out")
        return Album(
            genres=None if genres is None else find_genres(self.genres, genres),
            year=None if year is None else self._year(year, warn),
            artist=None if artist is None else _name("artist", artist, warn),
            title=None if title is None else _name("title", title, warn),
        )

    def sample(self, albums: Sequence[Album], seed: int) -> np.ndarray:
        """Makes a cover for each album; cover i depends on its album, the seed and i alone.

        Args:
          albums: what is known of each; the fields that the run does not have are not read.
          seed: of the latents.

        Returns:
          `[len(albums), resolution, resolution, 3]` uint8.
        """
        covers = []
        for start in range(0, len(albums), BATCH_SIZE):
            part = list(albums[start : start + BATCH_SIZE])
            padded = part + [Album()] * (BATCH_SIZE - len(part))
            latents = fixed_latents(self.config, seed, start, BATCH_SIZE)
            conditions = conditions_at(self.config, padded, len(self.genres), self.images_seen)
            made = generate(
                self.config, self.variables, latents, conditions, self.resolution, self.alpha
            )
            covers.append(made[: len(part)])
        return np.concatenate(covers)

    def _year(self, text: str, warn: Callable[[str], None]) -> int:
        if not (re.fullmatch(r"\s*\d{4}\s*", text) and MIN_YEAR <= int(text) <= MAX_YEAR):
            raise UserError(f"the year {text!r:.40} is not one from {MIN_YEAR} to {MAX_YEAR}")
        first, last = self.years or (MIN_YEAR, MAX_YEAR)
        year = min(max(int(text), first), last)
        if year != int(text):
            warn(f"this run was trained on covers of {first} to {last}; {year} is taken")
        return year


def _name(field: str, text: str, warn: Callable[[str], None]) -> str:
    folded = fold_name(text)
    if not folded:
        raise UserError(f"the {field} {text!r:.40} is blank; give a name, or leave it out")
    if len(folded) > MAX_CHARACTERS:
        warn(f"the {field} is long; its first {MAX_CHARACTERS} characters are read")
    return text


def _listed(fields: Sequence[str], last: str = "and") -> str:
    """Fields in words: `genre, year and title`."""
    *head, tail = ["genre" if field == "genres" else field for field in fields]
    return f"{', '.join(head)} {last} {tail}" if head else tail


def load_run(workdir: Path, warn: Callable[[str], None]) -> Run:
    """Loads the newest checkpoint of a run directory.

    Args:
      workdir: run directory.
      warn: told of checkpoints that are damaged.

    Raises:
      UserError: there is no run in it, or no checkpoint yet.
    """
    workdir = Path(workdir)
    config, dataset = read_run(workdir)
    try:
        genres = tuple(dataset["genres"])
        fields = tuple(f for f in config.conditions if f in dataset["fields"])
        years = None if dataset["years"] is None else tuple(dataset["years"])
        run = phases(config)
        template = jax.eval_shape(lambda: init_state(config, len(genres)))
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"the run {workdir} is of another version of this program ({error!r:.80}); train again"
        ) from error
    if not (workdir / FOLDER).is_dir():
        raise UserError(f"the run {workdir} has no checkpoint yet; train it for longer")
    device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    template = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=device), template
    )
    checkpoints = Checkpoints(workdir, read_only=True)
    restored = checkpoints.restore(template, warn)
    checkpoints.close()
    if restored is None:
        raise UserError(f"the run {workdir} has no checkpoint yet; train it for longer")
    state, _ = restored
    images_seen = int(state.images_seen)
    phase = phase_at(run, max(images_seen - 1, 0))
    return Run(
        config=config,
        genres=genres,
        fields=fields,
        years=years,
        variables=state.ema_variables,
        images_seen=images_seen,
        resolution=phase.resolution,
        alpha=phase.alpha(images_seen),
    )
