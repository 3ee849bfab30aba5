"""Measures speed: python -m experiments.benchmark --what=step; see docs/benchmarks.md."""

import functools
import json
import os
import sys
from pathlib import Path

import ml_collections
from absl import flags
from ml_collections import config_flags

from dac.errors import UserError
from dac.files import write_text
from dac.run.schedule import phases
from dac.training.checks import check_config
from data_pipeline.cli import warn
from experiments import cli, configs, data
from experiments.benchmarks import (
    against_torch,
    checkpoint,
    dataset,
    draw,
    machine,
    start,
    step,
)
from experiments.benchmarks.timing import Columns, Row, table

FLAGS = flags.FLAGS
DEFAULT_CONFIG = "configs/progan_genre.py:demo"


def define_flags() -> None:
    """Defines the flags of the command."""
    configs.define_flags(DEFAULT_CONFIG)
    flags.DEFINE_enum("what", "step", list(MEASURES), "what to measure")
    flags.DEFINE_enum("against", None, ["torch"], "time the same step in PyTorch, too")
    flags.DEFINE_list("resolutions", None, "which of the config's, as in 4,8,16; all by default")
    flags.DEFINE_float("seconds", 10.0, "time for each resolution, compilation aside", 0.0)
    flags.DEFINE_string("out", "benchmark.json", "file for the same numbers as JSON")
    data.define_flags()
    for module in (configs, data):
        flags.adopt_module_key_flags(module)  # for --help


def main() -> None:
    """Prints a table, and writes the same numbers as JSON."""
    config, out = configs.config(), Path(FLAGS.out)
    check_config(config)
    sizes = chosen_sizes(config)
    if FLAGS.against and FLAGS.what != "step":
        raise UserError(f"--against={FLAGS.against} goes with --what=step only")
    if not out.parent.is_dir():
        raise UserError(f"--out={out}: there is no folder {out.parent}; create it first")
    if FLAGS.against:  # both need room on a GPU
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    before = machine.load()
    rows, columns = MEASURES[FLAGS.what](config, sizes)
    after = machine.load()
    about = {
        "what": FLAGS.what,
        "command": ["python", "-m", "experiments.benchmark", *sys.argv[1:]],
        "config": json.loads(config.to_json()),
        "machine": machine.describe(),
        "load_before": before,
        "load_after": after,
    }
    write_text(out, json.dumps(about | {"rows": rows}, indent=2) + "\n")
    print(table(columns, rows))
    print(machine.told(about["machine"], before, after))
    if disturbed := machine.warning(before, after):
        warn(disturbed)


def measure_step(config: ml_collections.ConfigDict, sizes: list[int]) -> tuple[list[Row], Columns]:
    """Measures the training step, alone or against PyTorch."""
    rows = step.measure(config, sizes, FLAGS.seconds, FLAGS.against, say)
    return rows, step.COLUMNS | (against_torch.COLUMNS if FLAGS.against else {})


def measure_data(config: ml_collections.ConfigDict, sizes: list[int]) -> tuple[list[Row], Columns]:
    """Measures the config's dataset."""
    path = data.open_dataset(config.dataset, config.resolution)
    return dataset.measure(config, sizes, FLAGS.seconds, path, say), dataset.COLUMNS


def measure_start(config: ml_collections.ConfigDict, _: list[int]) -> tuple[list[Row], Columns]:
    """Measures the way to the first training step."""
    data.open_dataset(config.dataset, config.resolution)  # builds the demo covers
    return start.measure([*config_flags_of(), f"--data_dir={FLAGS.data_dir}"], say), start.COLUMNS


def measure_checkpoint(
    config: ml_collections.ConfigDict, sizes: list[int]
) -> tuple[list[Row], Columns]:
    """Measures saving a checkpoint."""
    return checkpoint.measure(config, sizes, FLAGS.seconds, say), checkpoint.COLUMNS


def measure_sample(config: ml_collections.ConfigDict, _: list[int]) -> tuple[list[Row], Columns]:
    """Measures making covers."""
    return draw.measure(config, FLAGS.seconds, say), draw.COLUMNS


MEASURES = {
    "step": measure_step,
    "data": measure_data,
    "start": measure_start,
    "checkpoint": measure_checkpoint,
    "sample": measure_sample,
}


def config_flags_of() -> list[str]:
    """Returns the flags that give another command the same config."""
    flag = FLAGS["config"]
    changes = config_flags.get_override_values(flag).items()
    return [
        f"--config={config_flags.get_config_filename(flag)}",
        *(f"--config.{k}={v if isinstance(v, str) else repr(v)}" for k, v in changes),
    ]


def chosen_sizes(config: ml_collections.ConfigDict) -> list[int]:
    """Returns the resolutions to measure.

    Raises:
      UserError: one of them is not among the config's.
    """
    known = [phase.resolution for phase in phases(config)]
    asked = FLAGS.resolutions or list(map(str, known))
    wrong = [size for size in asked if size not in map(str, known)]
    if wrong:
        raise UserError(
            f"--resolutions has {wrong[0]!r:.20}; the config trains at {', '.join(map(str, known))}"
        )
    return [size for size in known if str(size) in asked]


def say(text: str) -> None:
    """Prints what is going on to stderr."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    check_arguments = functools.partial(configs.check_arguments, default=DEFAULT_CONFIG)
    cli.run(main, define_flags, check_arguments)
