"""Trains a GAN: python -m experiments.train --config=configs/progan_genre.py:demo."""

import json
import signal
import sys
from pathlib import Path

import jax
import ml_collections
from absl import flags

from dac.covers.dataset import CoverDataset
from dac.run.workdir import dataset_of_run
from dac.training.checks import check_config
from dac.training.dry_run import dry_run
from dac.training.loop import train
from data_pipeline.cli import INTERRUPTED
from experiments import cli, configs, data, processes
from experiments.training_figures import evaluate_in_training

FLAGS = flags.FLAGS


def define_flags() -> None:
    """Defines the flags of the command."""
    flags.DEFINE_string("workdir", None, "run directory; by default runs/<name of the config>")
    flags.DEFINE_bool("dry_run", False, "print what each resolution will take, and write nothing")
    for module in (configs, data, processes):
        module.define_flags()
        flags.adopt_module_key_flags(module)  # for --help


def main() -> int:
    """Trains, or prints what it will take, and returns the exit code."""
    config = configs.config()
    workdir = Path(FLAGS.workdir or Path("runs") / config.name)
    check_config(config)  # before a dataset is built for it
    with processes.joined():
        first = jax.process_index() == 0
        processes.agree(
            "the config or the run directory", f"{config.to_json()} {workdir.resolve()}"
        )
        path = data.open_dataset(config.dataset, config.resolution, dataset_of_run(workdir))
        dataset = CoverDataset(path, config.dataset_memory_gib)
        processes.agree("the dataset", json.dumps(dataset.identity))
        if FLAGS.dry_run:
            table = dry_run(config, dataset)
            if first:
                print(table)
            return 0
        if first:
            print(f"dataset: {path}\nrun directory: {workdir}", file=sys.stderr, flush=True)
        stopped = train(config, workdir, dataset, evaluate=evaluate_in_training(config, path))
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


if __name__ == "__main__":
    cli.run(main, define_flags, configs.check_arguments)
