"""Measures a run: do its covers show what was asked for?"""

import json
import sys
from pathlib import Path
from typing import Any

from absl import flags

from dac import sampling
from dac.covers.dataset import CoverDataset
from dac.files import write_text
from dac.metrics.evaluate import NEAR, evaluate
from dac.run.workdir import dataset_of_run
from experiments import cli, data

FLAGS = flags.FLAGS
SIGNIFICANT = 0.001
READS_AS = {
    "genres": "the genre asked for",
    "year": f"within {NEAR} years",
    "artist": "a genre of the artist",
    "title": "a genre of the title",
}


def define_flags() -> None:
    """Defines the flags of the command."""
    flags.DEFINE_string("workdir", None, "run directory", required=True)
    flags.DEFINE_integer("n", 1000, "number of covers to generate for each field", 2, 10_000)
    flags.DEFINE_integer("seed", 0, "seed of the covers and the readers", 0, 2**32 - 1)
    data.define_flags()
    flags.adopt_module_key_flags(data)  # for --help


def main() -> None:
    """Prints a line for each field, and writes `evaluation.json` in the run directory."""
    workdir = Path(FLAGS.workdir)
    run = sampling.load_run(workdir, lambda text: progress(f"warning: {text}"))
    if not run.fields:
        print(f"the run {workdir} is unconditional: its covers can't be asked for anything")
        return
    path = data.open_dataset(run.config.dataset, run.config.resolution, dataset_of_run(workdir))
    dataset = CoverDataset(path, run.config.dataset_memory_gib)
    report = evaluate(run, dataset, FLAGS.n, FLAGS.seed, progress)
    write_text(workdir / "evaluation.json", json.dumps(report, indent=2) + "\n")
    print_report(workdir, report)


def print_report(workdir: Path, report: dict[str, Any]) -> None:
    """Prints what was measured, a line per field."""
    side, fields = report["resolution"], report["fields"]
    print(f"{workdir}, {side}x{side}, {report['images_seen']:,} images seen\n")
    print(f"{'asked by':10s}{'reads as':24s}{'made':>7s}{'shuffled':>10s}{'real':>8s}")
    for field, measured in fields.items():
        shares = f"{measured['share']:7.1%}{measured['shuffled']:10.1%}"
        real = measured["real"]
        verdict = "read (p < 0.001)"
        if measured["p"] >= SIGNIFICANT:
            illegible = "; nor are real covers" if real["p"] >= SIGNIFICANT else ""
            verdict = f"not read (p = {measured['p']:.3f}{illegible})"
        print(f"{field:10s}{READS_AS[field]:24s}{shares}{real['share']:8.1%}   {verdict}")
    for field, reason in report["skipped"].items():
        print(f"{field:10s}skipped: {reason}")
    print(f"\nmade      {report['count']:,} generated covers, asked for by that field alone")
    print("shuffled  expected share if they ignored what was asked for")
    print("real      real covers that the reader was not trained on")
    if "year" in fields:
        made, real = (m["median_error"] for m in (fields["year"], fields["year"]["real"]))
        print(f"\nyear, median error: {made:.1f} years; of real covers {real:.1f}")
    if "genres" in fields:
        print("\ngenres, one by one:")
        for name, share in fields["genres"]["by_genre"].items():
            print(f"  {name:24.24s}{share:7.1%}")


def progress(text: str) -> None:
    """Prints what is going on to stderr."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    cli.run(main, define_flags)
