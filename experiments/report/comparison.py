"""Compares measured runs: one table, with the config fields that differ."""

import dataclasses
import statistics
from collections.abc import Sequence
from typing import Any

from dac.errors import UserError
from experiments.report import tables

# Names and seeds are no difference between two settings.
NOT_SETTINGS = ("name", "seed")


@dataclasses.dataclass(frozen=True)
class Measured:
    """A measured run.

    Attributes:
      name: its directory.
      config: its config, as a dictionary.
      report: the content of its `evaluation.json`.
    """

    name: str
    config: dict[str, Any]
    report: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What `compare` found.

    Attributes:
      rows: a table of figures; the first row is its head.
      differing: a table of the config fields that differ; the first row is its head.
      seeds: a table of means and standard deviations over runs that differ by seed alone, if there
        are any; the first row is its head.
      warnings: what makes the figures hard to compare.
    """

    rows: list[list[str]]
    differing: list[list[str]]
    seeds: list[list[str]] | None
    warnings: list[str]


def compare(runs: Sequence[Measured]) -> Comparison:
    """Compares runs.

    Raises:
      UserError: they were measured with different features.
    """
    kinds = {run.report["features"]["name"] for run in runs}
    if len(kinds) > 1:
        raise UserError(f"the runs were measured with different features: {', '.join(kinds)}")
    fields = sorted({field for run in runs for field in run.config})
    differing = [
        field for field in fields if len({_text(run.config.get(field)) for run in runs}) > 1
    ]
    figures = [figures_of(run.report) for run in runs]
    names = list(dict.fromkeys(name for found in figures for name in found))
    kimg = [f"{run.report['images_seen'] / 1000:.1f}" for run in runs]
    rows = [["run", "kimg", *names]]
    for run, images, found in zip(runs, kimg, figures, strict=True):
        rows.append([run.name, images, *(_number(found.get(name)) for name in names)])
    table = [["field", *(run.name for run in runs)]]
    table += [[field, *(_text(run.config.get(field)) for run in runs)] for field in differing]
    return Comparison(rows, table, _over_seeds(runs, figures, names), list(_warnings(runs)))


def figures_of(report: dict[str, Any]) -> dict[str, float]:
    """Returns the figures by which runs are compared."""
    quality = report["quality"]
    found = {n: v for n, v in quality["training"].items() if not n.endswith("_std")}
    del found["generated"], found["real"]
    distance = next(iter(found))
    found = {distance: found.pop(distance)} | {
        f"held-out {distance}": quality["held_out"][distance],
        **found,
    }
    for field, measured in report["conditions"].items():
        if generated := measured.get("generated"):
            by_year = field == "year"
            name = "correlation" if by_year else "auc"
            found[f"{field} {name.replace('auc', 'AUC')}"] = generated[name]
            found[f"{field} {'near' if by_year else 'top-1'}"] = generated[
                "near" if by_year else "top1"
            ]
    if between := report.get("between_genres"):
        found["between genres / real"] = between["pixels"]["generated"] / between["pixels"]["real"]
        found["slope"] = between["pixels"]["slope"]
    found["diversity"] = report["diversity"]["features"]["ratio"]
    found["copy ratio"] = report["copies"]["ratio"]
    return found


def as_text(comparison: Comparison) -> str:
    """Returns the comparison as text; the figures are rows, so that it fits a terminal."""
    parts = [tables.aligned(turned(comparison.rows))]
    if comparison.seeds:
        parts.append(tables.aligned(turned(comparison.seeds)))
    if len(comparison.differing) > 1:
        parts.append(tables.aligned(comparison.differing))
    return "\n\n".join(parts + [f"warning: {text}" for text in comparison.warnings])


def turned(rows: list[list[str]]) -> list[list[str]]:
    """Returns a table with rows and columns exchanged: there are more figures than runs."""
    return [list(column) for column in zip(*rows, strict=True)]


def _over_seeds(
    runs: Sequence[Measured], figures: Sequence[dict[str, float]], names: Sequence[str]
) -> list[list[str]] | None:
    """Returns means and standard deviations of runs that differ by seed alone."""
    alike: dict[str, list[int]] = {}
    for i, run in enumerate(runs):
        settings = {k: v for k, v in run.config.items() if k not in NOT_SETTINGS}
        key = f"{sorted(settings.items())!r} {run.report['images_seen']}"
        alike.setdefault(key, []).append(i)
    rows = [["seeds", "number", *names]]
    for members in alike.values():
        if len({runs[i].config["seed"] for i in members}) < 2:
            continue
        row = [runs[members[0]].name, str(len(members))]
        for name in names:
            values = [figures[i][name] for i in members if name in figures[i]]
            if len(values) < 2:
                row.append("-")
                continue
            spread = statistics.stdev(values)
            row.append(f"{_number(statistics.mean(values))} ±{_number(spread)}")
        rows.append(row)
    return rows if len(rows) > 1 else None


def _warnings(runs: Sequence[Measured]):
    for what, values in (
        ("numbers of samples", {run.report["samples"] for run in runs}),
        ("resolutions", {run.report["resolution"] for run in runs}),
        ("numbers of real covers", {tuple(run.report["real"].values()) for run in runs}),
    ):
        if len(values) > 1:
            yield f"the runs were measured with different {what}; distances depend on them"


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)
