"""Measures a run: is a cover's genre read back from it as often as from real covers?"""

import json
import sys
from pathlib import Path

import numpy as np
from absl import flags

from dac import sampling
from dac.covers.dataset import CoverDataset
from dac.errors import UserError
from dac.files import write_text
from dac.metrics import fidelity
from experiments import cli, data

WORKDIR = flags.DEFINE_string("workdir", None, "run directory", required=True)
COUNT = flags.DEFINE_integer("n", 1000, "number of covers to generate", lower_bound=1)
SEED = flags.DEFINE_integer("seed", 0, "of the covers and the classifier", 0, 2**32 - 1)
HELD_OUT = 0.2  # share of the real covers that the classifier is tested on
MIN_REAL = 20
MAX_REAL = 20_000  # real covers for the classifier


def main() -> None:
    """Prints the accuracies and writes `evaluation.json` in the run directory."""
    workdir = Path(WORKDIR.value)
    run = sampling.load_run(workdir, lambda text: print(f"warning: {text}", file=sys.stderr))
    dataset = CoverDataset(
        data.open_dataset(run.config.dataset, run.config.resolution),
        run.config.dataset_memory_gib,
    )
    if dataset.genres != run.genres:
        raise UserError(
            f"{dataset.path} has other genres than {workdir} was trained on; give the --data_dir "
            "of the dataset that it was"
        )
    random = np.random.default_rng(SEED.value)
    labels = dataset.labels(np.arange(len(dataset)))
    known = random.permutation(np.flatnonzero(labels["genres_known"]))[:MAX_REAL]
    if len(known) < MIN_REAL:
        raise UserError(
            f"{dataset.path} has {len(known)} covers with genres; {MIN_REAL} are needed"
        )
    test, train = np.split(known, [round(HELD_OUT * len(known))])
    images = {
        part: dataset.images(part_of, run.resolution)
        for part, part_of in (("train", train), ("test", test))
    }
    reader = fidelity.train_genre_reader(images["train"], labels["genres"][train], SEED.value)

    wanted = np.arange(COUNT.value) % len(run.genres)
    generated = reader.read(run.sample([[genre] for genre in wanted], SEED.value))
    real = fidelity.genre_accuracy(
        reader.read(images["test"]), [np.flatnonzero(w) for w in labels["genres"][test]]
    )
    by_genre = {
        name: fidelity.genre_accuracy(generated[wanted == i], [[i]] * int((wanted == i).sum()))
        for i, name in enumerate(run.genres)
        if (wanted == i).any()
    }
    result = {
        "images_seen": run.images_seen,
        "resolution": run.resolution,
        "covers": COUNT.value,
        "genre_accuracy": fidelity.genre_accuracy(generated, [[genre] for genre in wanted]),
        "genre_accuracy_by_genre": by_genre,
        "genre_accuracy_real": real,
    }
    print(f"genre read back, {run.resolution}x{run.resolution}, {run.images_seen:,} images seen")
    for name, accuracy in by_genre.items():
        print(f"  {name:24.24s} {accuracy:6.1%}")
    print(f"  {'generated covers':24s} {result['genre_accuracy']:6.1%}  of {COUNT.value:,}")
    print(f"  {'real covers, held out':24s} {real:6.1%}  of {len(test):,}")
    write_text(workdir / "evaluation.json", json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    cli.run(main)
