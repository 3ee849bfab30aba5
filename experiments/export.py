"""Writes the generator of a run as a folder that can be used elsewhere."""

import json
from pathlib import Path

from absl import flags

from dac.errors import UserError
from dac.exporting.export import export
from dac.models import digest, load_run
from dac.run.workdir import REPORT_FILE
from dac.sampling import Run
from data_pipeline.cli import warn
from experiments import cli

FLAGS = flags.FLAGS


def define_flags() -> None:
    """Defines the flags of the command."""
    flags.DEFINE_string("workdir", None, "run directory", required=True)
    flags.DEFINE_string("checkpoint", "latest", "latest, best, or images seen at one that was kept")
    flags.DEFINE_string("out", None, "folder of the model", required=True)


def main() -> None:
    """Writes the folder and says what is in it."""
    out, workdir = Path(FLAGS.out), Path(FLAGS.workdir)
    if not out.parent.is_dir():
        raise UserError(f"--out={out}: there is no folder {out.parent}; create it first")
    if (out / "run.json").exists():
        raise UserError(f"--out={out} is a run directory; give another folder")
    run = load_run(workdir, warn, FLAGS.checkpoint)
    export(run, out, _figures(workdir, run))
    size = sum(file.stat().st_size for file in out.iterdir()) / 2**20
    print(
        f"{out}: {run.config.gan} of {run.resolution}x{run.resolution} after "
        f"{run.images_seen / 1000:,.0f} kimg, digest {digest(run)}, {size:.1f} MiB"
    )


def _figures(workdir: Path, run: Run) -> str | None:
    """Returns the tables of `evaluation.json`, if it is of the same checkpoint."""
    try:
        from experiments.report.tables import of_run  # needs the metrics extra

        report = json.loads((workdir / REPORT_FILE).read_text(encoding="utf-8"))
        same = report["images_seen"] == run.images_seen
        return of_run(run.config.name, report) if same else None
    except (ImportError, OSError, ValueError, KeyError, TypeError):
        warn(f"{workdir} was not measured, so the model card has no figures")
        return None


if __name__ == "__main__":
    cli.run(main, define_flags)
