"""Finds the dataset of a run; builds the demo covers, which need nothing, on first use."""

import os
import sys
from pathlib import Path

import jax
from absl import flags
from jax.experimental import multihost_utils

from dac.covers.dataset import find_dataset
from dac.errors import UserError
from data_pipeline.demo_covers.demo_covers_dataset_builder import DemoCovers

DATA_DIR = flags.DEFINE_string(
    "data_dir",
    os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets"),
    "where TFDS datasets are; by default $TFDS_DATA_DIR or ~/tensorflow_datasets",
)


def open_dataset(name: str, resolution: int) -> Path:
    """Returns the folder of a built dataset with covers of at least a resolution.

    Raises:
      UserError: it has not been built.
    """
    data_dir = Path(DATA_DIR.value).expanduser()
    path = find_dataset(data_dir, name, resolution)
    # The others of several processes wait while the first one builds.
    if path is None and name == DemoCovers.name and jax.process_index() == 0:
        print(f"building the demo covers in {data_dir} ...", file=sys.stderr, flush=True)
        try:
            DemoCovers(data_dir=data_dir).download_and_prepare()
        except Exception as error:  # TFDS wraps what the disk says in errors of its own
            raise UserError(
                f"the demo covers could not be built in {data_dir} ({error!r:.200}); "
                "give another --data_dir"
            ) from error
    multihost_utils.sync_global_devices("dataset")
    path = path or find_dataset(data_dir, name, resolution)
    if path is None:
        raise UserError(
            f"the dataset {name} at {resolution}x{resolution} or larger is not in {data_dir}; "
            f"build it: tfds build data_pipeline/{name} --manual_dir=data/covers (after: pip "
            "install -e '.[build]'); or try --config=configs/progan_genre.py:demo, which needs none"
        )
    return path
