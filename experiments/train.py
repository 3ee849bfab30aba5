"""Trains a GAN: python -m experiments.train --config=configs/progan_genre.py:demo."""

import signal
import sys
from pathlib import Path

import ml_collections
from absl import flags
from ml_collections import config_flags

from dac.covers.dataset import CoverDataset
from dac.errors import UserError
from dac.training import loop
from experiments import cli, data

CONFIG = config_flags.DEFINE_config_file(
    "config", help_string="config file and variant, as in configs/progan_genre.py:demo"
)
WORKDIR = flags.DEFINE_string("workdir", None, "run directory; by default runs/<config>")


def main() -> int:
    """Trains, and returns the exit code."""
    config = load_config()
    workdir = Path(WORKDIR.value or Path("runs") / config.name)
    loop.check_config(config)  # before a dataset is built for it
    path = data.open_dataset(config.dataset, config.resolution)
    print(f"dataset: {path}\nrun directory: {workdir}", file=sys.stderr, flush=True)
    dataset = CoverDataset(path, config.dataset_memory_gib)
    stopped = loop.train(config, workdir, dataset)
    if stopped:
        return cli.INTERRUPTED if stopped == signal.SIGINT else 0
    most_frequent = dataset.genres[dataset.genre_counts().argmax()]
    print(
        f"sample grids: {workdir / 'samples'}, animation: {workdir / 'progress.gif'}\n"
        f"curves: tensorboard --logdir={workdir / 'tensorboard'}\n"
        "covers: python -m experiments.sample "
        f"--workdir={workdir} --genre='{most_frequent}' --n=16 --out=covers.png"
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
