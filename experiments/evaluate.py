"""Measures a run, or compares runs that were measured.

python -m experiments.evaluate --workdir=runs/progan_genre
python -m experiments.evaluate --compare runs/progan_genre runs/wgan_gp
"""

import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
from absl import flags

from dac import models, sampling
from dac.covers.dataset import HELD_OUT, TRAINING, CoverDataset
from dac.errors import UserError
from dac.files import write_bytes, write_text
from dac.metrics.evaluate import Evaluation, evaluate
from dac.metrics.features.extractor import NETWORKS, load_extractor
from dac.run.workdir import REPORT_FILE, dataset_of_run, read_run
from experiments import cli, data
from experiments.report import comparison, tables

FLAGS = flags.FLAGS
COMPARISON = "comparison.html"


def define_flags() -> None:
    """Defines the flags of the command."""
    flags.DEFINE_string("workdir", None, "run directory")
    flags.DEFINE_string(
        "checkpoint", "latest", "latest, best, or the images seen at one that was kept"
    )
    flags.DEFINE_integer("samples", 10_000, "number of covers to generate", 1, 1_000_000)
    flags.DEFINE_enum("features", "efficientnet_lite0", list(NETWORKS), "what to measure with")
    flags.DEFINE_string("inception_weights", None, "file of the weights for --features=inception")
    flags.DEFINE_integer("seed", 0, "seed of the covers", 0, 2**32 - 1)
    flags.DEFINE_string("export_features", None, "a file for the features, ending in .npz")
    flags.DEFINE_bool(
        "compare", False, f"compare the run directories that follow, and write {COMPARISON}"
    )
    data.define_flags()
    flags.adopt_module_key_flags(data)  # for --help


def main(names: Sequence[str]) -> None:
    """Measures a run and writes its report, or compares runs."""
    if FLAGS.compare:
        compare(names)
        return
    if names:
        raise UserError(f"unexpected argument {names[0]!r}; did you mean --workdir={names[0]}?")
    if not FLAGS.workdir:
        raise UserError("--workdir is missing: which run? Or --compare with several")
    if FLAGS.export_features and not FLAGS.export_features.endswith(".npz"):
        raise UserError(f"--export_features={FLAGS.export_features} must end in .npz")
    page = import_page()
    workdir = Path(FLAGS.workdir)
    run = models.load_run(workdir, lambda text: say(f"warning: {text}"), FLAGS.checkpoint)
    path = data.open_dataset(run.config.dataset, run.config.resolution, dataset_of_run(workdir))
    # Covers are read from disk; what is computed from them is cached.
    training, held_out = (CoverDataset(path, 0.0, split) for split in (TRAINING, HELD_OUT))
    extractor = load_extractor(FLAGS.features, FLAGS.inception_weights)
    cache = cli.cache_folder() / "features"
    measured = evaluate(run, training, held_out, extractor, cache, FLAGS.samples, FLAGS.seed, say)
    write_text(workdir / REPORT_FILE, json.dumps(measured.report, indent=2) + "\n")
    if FLAGS.export_features:
        export(measured, Path(FLAGS.export_features))
    samples = sampling.sample_grid(run, training.genre_counts())
    page.write(workdir, run, measured, samples)
    print(tables.of_run(str(workdir), measured.report))
    print(f"\nreport: {workdir / page.FILE}")


def import_page() -> ModuleType:
    """Returns the module that writes pages, which needs the metrics extra.

    Raises:
      UserError: the extra is not installed.
    """
    try:
        from experiments.report import page
    except ImportError as error:
        raise UserError(
            f"measuring needs {error.name}, which comes with: pip install -e '.[metrics]'"
        ) from error
    return page


def export(measured: Evaluation, path: Path) -> None:
    """Writes the features, an array `[N, F]` float32 for each set of covers."""
    content = io.BytesIO()
    np.savez(content, **measured.features)
    write_bytes(path, content.getvalue())


def compare(names: Sequence[str]) -> None:
    """Prints a table of runs that were measured, and writes it as a page."""
    page = import_page()
    if len(names) < 2:
        raise UserError("--compare takes two run directories or more: --compare runs/A runs/B")
    runs = []
    for name in dict.fromkeys(names):
        config, _ = read_run(Path(name))
        file = Path(name) / REPORT_FILE
        try:
            report = json.loads(file.read_text(encoding="utf-8"))
            runs.append(comparison.Measured(name, config.to_dict(), report))
            comparison.compare(runs[-1:])  # has it all that is compared?
        except FileNotFoundError as error:
            raise UserError(
                f"{name} is not measured yet: python -m experiments.evaluate --workdir={name}"
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{file} is damaged or of another version ({error!r:.80}); measure the run again"
            ) from error
    table = comparison.compare(runs)
    page.write_comparison(Path(COMPARISON), table)
    print(comparison.as_text(table))
    print(f"\npage: {COMPARISON}")


def say(text: str) -> None:
    """Prints what is going on to stderr."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    cli.run(main, define_flags, takes_names=True)
