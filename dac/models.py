"""Where generators come from: a run directory, a model folder, or the one that ships.

A model folder is what `save_model` writes: `config.json` (config, genres, years, how far training
got), `model.safetensors` (the generator), and what `experiments.export` adds for other programs.
"""

import hashlib
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import flax.struct
import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import safetensors.numpy
from flax.traverse_util import flatten_dict, unflatten_dict
from safetensors import SafetensorError

from dac.errors import UserError
from dac.files import write_bytes, write_text
from dac.run.players import Variables, init_generator
from dac.run.schedule import phase_at, phases
from dac.run.workdir import read_run
from dac.sampling import Run

if TYPE_CHECKING:
    from dac.run.checkpoint import Checkpoints

PRETRAINED = Path(__file__).parent / "pretrained"
CONFIG_FILE, WEIGHTS_FILE = "config.json", "model.safetensors"
FORMAT = 1  # of `config.json`


@flax.struct.dataclass
class _Sampled:
    """The part of a `GanState` that covers are drawn from; it has the names of that."""

    images_seen: jax.Array
    generator_ema: dict
    generator_stats: dict


def load_run(
    workdir: str | Path,
    warn: Callable[[str], None] = warnings.warn,
    checkpoint: str | int = "latest",
) -> Run:
    """Loads the generator of a run directory.

    Args:
      workdir: the run directory.
      warn: receives a line for each checkpoint that is damaged.
      checkpoint: `latest`, `best` (see `config.eval_figure`), or the images seen at one that was
        kept.

    Raises:
      UserError: the directory holds no run, or no such checkpoint.
    """
    workdir = Path(workdir)
    config, dataset = read_run(workdir)
    try:
        genres = tuple(dataset["genres"])
        years = None if dataset["years"] is None else tuple(dataset["years"])
        schedule = phases(config)
        shapes = jax.eval_shape(lambda: init_generator(config, len(genres)))
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"the run {workdir} is of another version of this program ({error!r:.80}); train again"
        ) from error
    # Imported here: Orbax takes a second or two to import, and a model folder needs none of it.
    from dac.run.checkpoint import FOLDER, Checkpoints

    no_checkpoint = UserError(f"the run {workdir} has no checkpoint yet; train it for longer")
    if not (workdir / FOLDER).is_dir():
        raise no_checkpoint
    device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    sampled = _Sampled(
        images_seen=jax.ShapeDtypeStruct((), jnp.int32),
        generator_ema=shapes["params"],
        generator_stats=shapes.get("batch_stats", {}),
    )
    template = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=device), sampled
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
    )


def _images_seen(checkpoints: "Checkpoints", asked: str | int) -> int | None:
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


def save_model(run: Run, folder: Path) -> None:
    """Writes a generator as a model folder, which is created if it does not exist."""
    folder.mkdir(parents=True, exist_ok=True)
    described = {
        "format": FORMAT,
        "config": json.loads(run.config.to_json()),
        "genres": run.genres,
        "years": run.years,
        "images_seen": run.images_seen,
        "resolution": run.resolution,
        "alpha": run.alpha,
    }
    write_bytes(folder / WEIGHTS_FILE, weights(run))
    write_text(folder / CONFIG_FILE, json.dumps(described, indent=2, ensure_ascii=False) + "\n")


def weights(run: Run) -> bytes:
    """Returns the variables of the generator in the format of safetensors."""
    arrays = {name: np.asarray(x) for name, x in flatten_dict(run.variables, sep="/").items()}
    return safetensors.numpy.save(arrays)


def digest(run: Run) -> str:
    """Returns the first 16 hexadecimal digits of the SHA-256 of `weights`."""
    return hashlib.sha256(weights(run)).hexdigest()[:16]


def load_model(folder: str | Path) -> Run:
    """Loads a model folder.

    Raises:
      UserError: there is none, or it is damaged, or of another version of this program.
    """
    folder = Path(folder)
    if not (folder / CONFIG_FILE).is_file():
        raise UserError(
            f"{folder} is not a model folder: it has no {CONFIG_FILE}; write one with python -m "
            "experiments.export, or give a run directory as --workdir"
        )
    try:
        described = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
        if described["format"] != FORMAT:
            raise ValueError(f"its format is {described['format']!r:.20}, not {FORMAT}")
        config = ml_collections.ConfigDict(described["config"])
        genres = tuple(map(str, described["genres"]))
        years = None if described["years"] is None else tuple(map(int, described["years"]))
        resolution = int(described["resolution"])
        if resolution not in {phase.resolution for phase in phases(config)}:
            raise ValueError(f"its networks have no resolution of {resolution}")
        shapes = jax.eval_shape(lambda: init_generator(config, len(genres)))
        return Run(
            config=config,
            genres=genres,
            years=years,
            variables=_read_weights(folder / WEIGHTS_FILE, shapes),
            images_seen=int(described["images_seen"]),
            resolution=resolution,
            alpha=float(described["alpha"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, SafetensorError, OSError) as error:
        raise UserError(
            f"the model {folder} is damaged, or of another version of this program "
            f"({' '.join(str(error).split())!s:.120}); export it again"
        ) from error


def _read_weights(file: Path, shapes: Variables) -> Variables:
    """Reads arrays and checks that they are those of a network."""
    arrays = safetensors.numpy.load_file(file)
    wanted = flatten_dict(shapes, sep="/")
    for name in sorted(wanted.keys() | arrays.keys()):
        found, expected = (
            f"{x[name].dtype} {list(x[name].shape)}" if name in x else "missing"
            for x in (arrays, wanted)
        )
        if found != expected:
            raise ValueError(f"{file.name}: {name} is {found}, expected {expected}")
    variables = unflatten_dict({name: jnp.asarray(x) for name, x in arrays.items()}, sep="/")
    return {"batch_stats": {}} | variables
