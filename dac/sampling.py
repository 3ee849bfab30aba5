"""Makes covers: a run directory in, pictures out."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import ml_collections
import numpy as np

from dac.covers.conditions import encode_genres, find_genres
from dac.errors import UserError
from dac.training.checkpoint import FOLDER, Checkpoints
from dac.training.samples import fixed_latents, generate
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
      params: the generator's moving average.
      images_seen: the clock at the checkpoint.
      resolution: of the covers it makes.
      alpha: how far that resolution's fade-in has come.
    """

    config: ml_collections.ConfigDict
    genres: tuple[str, ...]
    params: Params
    images_seen: int
    resolution: int
    alpha: float

    def sample(self, genres: Sequence[Sequence[int] | None], seed: int) -> np.ndarray:
        """Makes a cover for each album; cover i depends on its genres, the seed and i alone.

        Args:
          genres: indices of each album's genres, or None where they are not given.
          seed: of the latents.

        Returns:
          `[len(genres), resolution, resolution, 3]` uint8.
        """
        covers = []
        for start in range(0, len(genres), BATCH_SIZE):
            part = list(genres[start : start + BATCH_SIZE])
            latents = fixed_latents(seed, start, BATCH_SIZE, self.config.latent_size)
            padded = part + [None] * (BATCH_SIZE - len(part))
            conditions = encode_genres(padded, len(self.genres))
            covers.append(
                generate(
                    self.config, self.params, latents, conditions, self.resolution, self.alpha
                )[: len(part)]
            )
        return np.concatenate(covers)

    def find_genres(self, names: Sequence[str]) -> list[int] | None:
        """Indices of genres by name; None for no names.

        Raises:
          UserError: the run does not know one of them.
        """
        return find_genres(self.genres, names) if names else None


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
    images_seen = int(restored[0].images_seen)
    phase = phase_at(run, max(images_seen - 1, 0))
    return Run(
        config=config,
        genres=genres,
        params=restored[0].generator_ema,
        images_seen=images_seen,
        resolution=phase.resolution,
        alpha=phase.alpha(images_seen),
    )
