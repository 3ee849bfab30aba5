"""Trains a GAN: python -m experiments.train --config=configs/progan_genre.py:demo."""

import json
import signal
import sys
from pathlib import Path

import jax
import ml_collections
from absl import flags
from ml_collections import config_flags

from dac.covers.dataset import CoverDataset
from dac.errors import UserError
from dac.training import loop
from dac.training.checks import check_config
from data_pipeline.cli import INTERRUPTED
from experiments import cli, data, processes

CONFIG = config_flags.DEFINE_config_file(
    "config", help_string="config file and variant, as in configs/progan_genre.py:demo"
)
WORKDIR = flags.DEFINE_string("workdir", None, "run directory; by default runs/<config>")
DRY_RUN = flags.DEFINE_bool(
    "dry_run", False, "print what the run would take at each resolution, and write nothing"
)


def main() -> int:
    """Trains, and returns the exit code."""
    config = load_config()
    workdir = Path(WORKDIR.value or Path("runs") / config.name)
    check_config(config)  # before a dataset is built for it
    with processes.joined():
        return train(config, workdir)


def train(config: ml_collections.ConfigDict, workdir: Path) -> int:
    """Trains, or says what it would take, and returns the exit code."""
    first = jax.process_index() == 0
    processes.agree("the config or the run directory", f"{config.to_json()} {workdir.resolve()}")
    path = data.open_dataset(config.dataset, config.resolution)
    dataset = CoverDataset(path, config.dataset_memory_gib)
    processes.agree("the dataset", json.dumps(dataset.identity))
    if DRY_RUN.value:
        table = loop.dry_run(config, dataset)
        if first:
            print(table)
        return 0
    if first:
        print(f"dataset: {path}\nrun directory: {workdir}", file=sys.stderr, flush=True)
    stopped = loop.train(config, workdir, dataset)
    if stopped:
        return INTERRUPTED if stopped == signal.SIGINT else 0
    if not first:
        return 0
    genre = ""
    if "genres" in config.conditions:
        genre = f"--genre='{dataset.genres[dataset.genre_counts().argmax()]}' "
    print(
        f"sample grids: {workdir / 'samples'}, animation: {workdir / 'progress.gif'}\n"
        f"curves: tensorboard --logdir={workdir / 'tensorboard'}\n"
        "covers: python -m experiments.sample "
        f"--workdir={workdir} {genre}--n=16 --out=covers.png"
    )
    return 0


def load_config() -> ml_collections.ConfigDict:
    """Returns the config that the flags name.

    Raises:
      UserError: there is none.
    """
    flag = flags.FLAGS["config"]
    # The name may end in :variant.
    file = config_flags.get_config_filename(flag).split(":")[0] if flag.present else None
    if not file or not Path(file).is_file():
        known = ", ".join(sorted(str(path) for path in Path("configs").glob("[a-z]*.py")))
        wrong = f"there is no config {file}" if file else "--config is missing"
        raise UserError(f"{wrong}; there are {known or 'none here: run in the project folder'}")
    return CONFIG.value


if __name__ == "__main__":
    cli.run(main)
