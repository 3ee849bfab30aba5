"""Writes the reports as pages of one file each, which need nothing from elsewhere."""

import base64
from pathlib import Path

import jinja2
import markupsafe
import numpy as np
from PIL import Image

from dac.covers.images import encode_png, grid
from dac.files import write_text
from dac.metrics.evaluate import Evaluation
from dac.run.workdir import FIGURES_FILE
from dac.sampling import Run
from experiments.report import curves, tables
from experiments.report.comparison import Comparison, turned

FILE = "report.html"
CELL = 96  # pixels of a cover in the pairs
MOST_ANIMATION = 8_000_000  # bytes; a larger one is left out

# Names of genres and runs are text of others: all that is not `Markup` is escaped.
_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("experiments.report"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def write(workdir: Path, run: Run, measured: Evaluation, samples: Image.Image) -> None:
    """Writes `report.html` in a run directory.

    Args:
      workdir: the run directory.
      run: the run.
      measured: what was found out about it.
      samples: its sample grid.
    """
    report, config = measured.report, run.config
    evaluations = curves.read_lines(workdir / FIGURES_FILE)
    drawn = [curves.losses(curves.read_lines(workdir / "metrics.jsonl"))]
    drawn += curves.figures(evaluations)
    animation = workdir / "progress.gif"
    shown = animation.is_file() and animation.stat().st_size <= MOST_ANIMATION
    generated, training = measured.closest[:, 0], measured.closest[:, 1]
    pairs = np.concatenate([generated, training])
    text = _TEMPLATES.get_template("run.html").render(
        name=str(workdir),
        about=[
            ("networks", config.gan),
            ("loss", config.loss),
            ("conditioned on", ", ".join(run.fields) or "nothing"),
            ("resolution", f"{run.resolution}x{run.resolution}"),
            ("images seen", f"{run.images_seen:,}"),
            ("seed", str(config.seed)),
        ],
        report=report,
        verdicts=tables.verdicts(report),
        samples=_picture(encode_png(samples)),
        curves=[markupsafe.Markup(svg) for svg in drawn if svg],
        quality=tables.quality(report),
        groups=[t for k in ("by_genre", "by_decade") if (t := tables.groups(report, k))],
        conditions=tables.conditions(report),
        pairs=_picture(encode_png(grid(pairs, len(generated), CELL, ["generated", "training"]))),
        animation=_picture(animation.read_bytes(), "gif") if shown else None,
    )
    write_text(workdir / FILE, text)


def write_comparison(path: Path, comparison: Comparison) -> None:
    """Writes a comparison of runs as a page."""
    text = _TEMPLATES.get_template("comparison.html").render(
        comparison=comparison,
        figures=turned(comparison.rows),
        seeds=comparison.seeds and turned(comparison.seeds),
    )
    write_text(path, text)


def _picture(content: bytes, kind: str = "png") -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
