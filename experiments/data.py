"""Finds the dataset of a run; builds the demo covers on first use, as they need no download."""

import os
import sys
from pathlib import Path

import jax
from absl import flags
from jax.experimental import multihost_utils

from dac.covers.dataset import VERSION, find_dataset
from dac.errors import UserError
from data_pipeline.demo_covers.demo_covers_dataset_builder import DemoCovers
from data_pipeline.demo_covers.drawing import SIZES


def define_flags() -> None:
    """Defines the flag that says where datasets are."""
    flags.DEFINE_string(
        "data_dir",
        os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets"),
        "folder of the TFDS datasets; by default $TFDS_DATA_DIR or ~/tensorflow_datasets",
    )


def open_dataset(name: str, resolution: int, started_with: str | None = None) -> Path:
    """Returns the folder of a built dataset with covers of at least a resolution.

    Args:
      name: name of the dataset.
      resolution: side of the covers in pixels.
      started_with: full name of the dataset that the run started with, if it did.

    Raises:
      UserError: it has not been built.
    """
    data_dir = Path(flags.FLAGS.data_dir).expanduser()
    path = find_dataset(data_dir, name, resolution, started_with)
    if path is None and name == DemoCovers.name and resolution > SIZES[-1]:
        raise UserError(
            f"the demo covers are drawn at {SIZES[-1]}x{SIZES[-1]} at most; lower "
            f"config.resolution, which is {resolution}"
        )
    # Of several processes, the first one builds while the others wait.
    if path is None and name == DemoCovers.name and jax.process_index() == 0:
        print(f"building the demo covers in {data_dir} ...", file=sys.stderr, flush=True)
        try:
            size = next(size for size in SIZES if size >= resolution)
            DemoCovers(config=str(size), data_dir=data_dir).download_and_prepare()
        except Exception as error:  # TFDS wraps the errors of the disk in its own
            raise UserError(
                f"the demo covers could not be built in {data_dir} ({error!r:.200}); "
                "give another --data_dir"
            ) from error
    multihost_utils.sync_global_devices("dataset")
    path = path or find_dataset(data_dir, name, resolution, started_with)
    if path is None:
        raise UserError(
            f"the dataset {name} at {resolution}x{resolution} or larger is not in {data_dir}, or "
            f"only in a version before {VERSION}; build it: tfds build data_pipeline/{name} "
            "--manual_dir=data/covers (after: pip install -e '.[build]'); or try "
            "--config=configs/progan_genre.py:demo, which needs none"
        )
    return path
