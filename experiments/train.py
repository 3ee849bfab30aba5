"""Trains a GAN: python -m experiments.train --config=configs/progan_genre.py:demo."""

import os
import signal
import sys
from pathlib import Path

from absl import flags
from ml_collections import config_flags

from dac.covers.dataset import CoverDataset, find_dataset
from dac.errors import UserError
from dac.training import loop
from data_pipeline.demo_covers.demo_covers_dataset_builder import DemoCovers
from experiments import cli

CONFIG = config_flags.DEFINE_config_file(
    "config", help_string="config file and variant, as in configs/progan_genre.py:demo"
)
WORKDIR = flags.DEFINE_string("workdir", None, "run directory; by default runs/<config>")
DATA_DIR = flags.DEFINE_string(
    "data_dir",
    os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets"),
    "where TFDS datasets are; by default $TFDS_DATA_DIR or ~/tensorflow_datasets",
)


def main() -> int:
    """Trains, and returns the exit code."""
    config = load_config()
    workdir = Path(WORKDIR.value or Path("runs") / config.name)
    data_dir = Path(DATA_DIR.value).expanduser()
    path = open_dataset(config.dataset, data_dir, config.resolution)
    print(f"dataset: {path}\nrun directory: {workdir}", file=sys.stderr, flush=True)
    dataset = CoverDataset(path, config.dataset_memory_gib)
    stopped = loop.train(config, workdir, dataset)
    if stopped:
        return cli.INTERRUPTED if stopped == signal.SIGINT else 0
    most_frequent = dataset.genres[dataset.genre_counts().argmax()]
    print(
        f"sample grids: {workdir / 'samples'}\n"
        f"curves: tensorboard --logdir={workdir / 'tensorboard'}\n"
        "covers: python -m experiments.sample "
        f"--workdir={workdir} --genre='{most_frequent}' --n=16 --out=covers.png"
    )
    return 0


def load_config():
    """Returns the config that the flags name.

    Raises:
      UserError: there is none.
    """
    known = ", ".join(sorted(f"configs/{p.name}" for p in Path("configs").glob("[a-z]*.py")))
    if CONFIG.value is None:
        raise UserError(f"--config is missing; there are {known}")
    return CONFIG.value


def open_dataset(name: str, data_dir: Path, resolution: int) -> Path:
    """Returns the folder of a built dataset; builds the demo covers on first use.

    Raises:
      UserError: it has not been built.
    """
    path = find_dataset(data_dir, name, resolution)
    if path is None and name == DemoCovers.name:
        print(f"building the demo covers in {data_dir} ...", file=sys.stderr, flush=True)
        DemoCovers(data_dir=data_dir).download_and_prepare()
        path = find_dataset(data_dir, name, resolution)
    if path is None:
        raise UserError(
            f"the dataset {name} at {resolution}x{resolution} or larger is not in {data_dir}; "
            f"build it: tfds build data_pipeline/{name} --manual_dir=data/covers (after: pip "
            "install -e '.[build]'); or try --config=configs/progan_genre.py:demo, which needs none"
        )
    return path


if __name__ == "__main__":
    cli.run(main)
