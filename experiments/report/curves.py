"""Curves of a run over its clock, as SVG."""

import io
import itertools
import json
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot as plt

INK, LINES = "#8a8a93", ("#d2562a", "#2f7f9e", "#8a63b0", "#5c8a3a")  # on light and dark pages
LOSSES = ("critic_loss", "generator_loss")
STYLE = {
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "duck-and-cover",  # the same curves give the same file
    "svg.fonttype": "none",
}


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Returns the lines of a file of JSON objects; none if there is no such file."""
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def losses(metrics: list[dict[str, Any]]) -> str | None:
    """Returns the curves of the losses, or None if nothing was logged."""
    return _figure("loss", metrics, [name for name in LOSSES if metrics and name in metrics[0]])


def figures(evaluations: list[dict[str, Any]]) -> list[str]:
    """Returns a curve for each figure that was measured in training."""
    names = dict.fromkeys(name for line in evaluations for name in line)
    left_out = ("images_seen", "resolution")
    chosen = [n for n in names if n not in left_out and not n.endswith("_std")]
    return [svg for name in chosen if (svg := _figure(name, evaluations, [name]))]


def _figure(title: str, lines: list[dict[str, Any]], names: list[str]) -> str | None:
    if not lines or not names:
        return None
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(4.6, 2.5), layout="constrained")
        for name, colour in zip(names, LINES, strict=False):
            points = [(line["images_seen"] / 1000, line[name]) for line in lines if name in line]
            marker = "o" if len(points) < 40 else None
            axes.plot(*zip(*points, strict=True), color=colour, marker=marker, ms=3, label=name)
        changes = [
            (line["images_seen"] / 1000, line["resolution"])
            for before, line in itertools.pairwise(lines)
            if line["resolution"] != before["resolution"]
        ]
        for moment, resolution in changes:
            axes.axvline(moment, color=INK, lw=0.5, ls=":")
            axes.annotate(
                f"{resolution}", (moment, 1.0), xycoords=("data", "axes fraction"), fontsize=7
            )
        axes.set_xlabel("thousand images seen")
        axes.set_title(title, fontsize=10)
        if len(names) > 1:
            axes.legend(frameon=False, fontsize=8)
        content = io.StringIO()
        figure.savefig(content, format="svg", transparent=True, metadata={"Date": None})
        plt.close(figure)
    svg = content.getvalue()
    return svg[svg.index("<svg") :]
