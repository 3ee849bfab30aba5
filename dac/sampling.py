"""Makes covers: a run directory in, pictures out."""

import dataclasses
import functools
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from dac.covers.conditions import encode_genres, find_genres
from dac.covers.images import to_uint8
from dac.errors import UserError
from dac.training.checkpoint import FOLDER, Checkpoints
from dac.training.schedule import phase_at, phases
from dac.training.state import Params, init_state, make_players

RUN_FILE = "run.json"
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
    file = workdir / RUN_FILE
    if not file.is_file():
        raise UserError(
            f"{workdir} is not a run directory: it has no {RUN_FILE}; train first: "
            "python -m experiments.train --config=configs/progan_genre.py:demo"
        )
    if not (workdir / FOLDER).is_dir():
        raise UserError(f"the run {workdir} has no checkpoint yet; train it for longer")
    try:
        saved = json.loads(file.read_text(encoding="utf-8"))
        config = ml_collections.ConfigDict(saved["config"])
        genres = tuple(saved["dataset"]["genres"])
        run = phases(config)
        template = jax.eval_shape(lambda: init_state(config, len(genres)))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{file} is damaged, or of another version ({error!r:.80}); train again"
        ) from error
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
