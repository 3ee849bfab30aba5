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
from dac.run.workdir import dataset_begun_with
from dac.training.checks import check_config
from dac.training.dry_run import dry_run
from dac.training.loop import train
from data_pipeline.cli import INTERRUPTED
from experiments import cli, data, processes

FLAGS = flags.FLAGS
NOT_LAUNCHED = ("__init__.py", "default.py")  # in configs/: the others derive from default.py


def define_flags() -> None:
    """Defines the flags of the command."""
    config_flags.DEFINE_config_file(
        "config", help_string="config file and variant, as in configs/progan_genre.py:demo"
    )
    flags.DEFINE_string("workdir", None, "run directory; by default runs/<name of the config>")
    flags.DEFINE_bool("dry_run", False, "print what each resolution will take, and write nothing")
    data.define_flags()
    processes.define_flags()


def main() -> int:
    """Trains, or prints what it will take, and returns the exit code."""
    config = load_config()
    workdir = Path(FLAGS.workdir or Path("runs") / config.name)
    check_config(config)  # before a dataset is built for it
    with processes.joined():
        first = jax.process_index() == 0
        processes.agree(
            "the config or the run directory", f"{config.to_json()} {workdir.resolve()}"
        )
        path = data.open_dataset(config.dataset, config.resolution, dataset_begun_with(workdir))
        dataset = CoverDataset(path, config.dataset_memory_gib)
        processes.agree("the dataset", json.dumps(dataset.identity))
        if FLAGS.dry_run:
            table = dry_run(config, dataset)
            if first:
                print(table)
            return 0
        if first:
            print(f"dataset: {path}\nrun directory: {workdir}", file=sys.stderr, flush=True)
        stopped = train(config, workdir, dataset)
        if stopped:
            return INTERRUPTED if stopped == signal.SIGINT else 0
        if first:
            print_results(config, workdir, dataset)
        return 0


def print_results(config: ml_collections.ConfigDict, workdir: Path, dataset: CoverDataset) -> None:
    """Prints where the results are, and the command that makes covers."""
    genre = ""
    if "genres" in config.conditions:
        genre = f"--genre='{dataset.genres[dataset.genre_counts().argmax()]}' "
    print(
        f"sample grids: {workdir / 'samples'}, animation: {workdir / 'progress.gif'}\n"
        f"curves: tensorboard --logdir={workdir / 'tensorboard'}\n"
        "covers: python -m experiments.sample "
        f"--workdir={workdir} {genre}--n=16 --out=covers.png"
    )


def load_config() -> ml_collections.ConfigDict:
    """Returns the config that the flags name.

    Raises:
      UserError: there is none, or it is the one that the others derive from.
    """
    flag = FLAGS["config"]
    # The name may end in :variant.
    file = config_flags.get_config_filename(flag).split(":")[0] if flag.present else None
    if not file or not Path(file).is_file() or Path(file).name in NOT_LAUNCHED:
        found = sorted(
            path for path in Path("configs").glob("*.py") if path.name not in NOT_LAUNCHED
        )
        wrong = f"there is no config {file} to launch" if file else "--config is missing"
        known = ", ".join(map(str, found)) or "none here: run in the project folder"
        raise UserError(f"{wrong}; there are {known}")
    return FLAGS.config


if __name__ == "__main__":
    cli.run(main, define_flags)
