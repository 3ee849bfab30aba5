"""A measured run as text for the terminal."""

from collections.abc import Sequence
from typing import Any

from dac.metrics.adherence import NEAR

AGAINST = {
    "training": "generated / training",
    "held_out": "generated / held out",
    "real_held_out": "real: held out / training",
    "real_halves": "real: two halves",
}
READS_AS = {
    "genres": "the genre",
    "year": "the year",
    "artist": "a genre of the artist",
    "title": "a genre of the title",
}
SETS = {
    "generated": "generated, by it alone",
    "like_real": "generated, like real ones",
    "relabelled": "generated, relabelled",
    "real": "real, held out",
}


def of_run(name: str, report: dict[str, Any]) -> str:
    """Returns all figures of `evaluation.json` as text.

    Args:
      name: of the run.
      report: the content of the file.
    """
    side = report["resolution"]
    parts = [
        f"{name}: {side}x{side}, {report['images_seen']:,} images seen; "
        f"{report['samples']:,} covers like real ones, seed {report['seed']}; "
        f"{report['real']['training']:,} training and {report['real']['held_out']:,} held-out "
        f"covers; features: {report['features']['name']}",
        aligned(quality(report)),
    ]
    parts += [aligned(t) for t in (groups(report, "by_genre"), groups(report, "by_decade")) if t]
    parts += [aligned(table) for table in conditions(report)]
    parts += ["\n".join(f"{name}: {text}" for name, text in verdicts(report))]
    return "\n\n".join(parts)


def quality(report: dict[str, Any]) -> list[list[str]]:
    """Returns the figures of quality and variety as a table; the first row is its head."""
    measured = report["quality"]
    names = [n for n in measured["training"] if not n.endswith("_std")]
    rows = [["", *names]]
    for key, title in AGAINST.items():
        rows.append([title, *(figure(measured[key], name) for name in names)])
    return rows


def groups(report: dict[str, Any], key: str) -> list[list[str]] | None:
    """Returns the figures of each genre or decade; `real halves` is the distance of these."""
    measured = report[key]
    if not measured:
        return None
    first = next(iter(measured.values()))
    names = [n for n in first if not n.endswith("_std") and n != "real_halves"]
    distance = names[2]
    rows = [[key.replace("_", " "), *names, "real halves"]]
    for group, figures in measured.items():
        floor = figure(figures["real_halves"], distance)
        rows.append([group, *(figure(figures, name) for name in names), floor])
    return rows


def conditions(report: dict[str, Any]) -> list[list[list[str]]]:
    """Returns a table for each field: how well what was asked for is read."""
    tables = []
    for field, measured in report["conditions"].items():
        if "skipped" in measured:
            tables.append([[f"{field}: skipped, {measured['skipped']}"]])
            continue
        by_year = field == "year"
        head = ["correlation", "slope", "median error", f"within {NEAR} years"]
        head = head if by_year else ["AUC", "top-1", "z", "p of namings"]
        rows = [[f"{field}: reads as {READS_AS[field]}", "covers", *head, ""]]
        for key, title in SETS.items():
            found = measured.get(key)
            if not found:
                continue
            if by_year:
                values = [f"{found['correlation']:.2f}", f"{found['slope']:.2f}"]
                values += [f"{found['median_error']:.1f}", f"{found['near']:.1%}"]
            else:
                values = [f"{found['auc']:.3f}", f"{found['top1']:.1%}"]
                values += [f"{found['z']:.1f}", f"{found['p']:.3f}"]
            rows.append([title, f"{found['covers']:,}", *values, found["verdict"]])
        tables.append(rows)
        # No genre has an AUC where there are few covers of each.
        if field == "genres" and any(measured.get(key) for key in ("generated", "real")):
            tables.append(by_genre(measured))
    if report.get("between_genres"):
        tables.append(between_genres(report["between_genres"]))
    return tables


def by_genre(measured: dict[str, Any]) -> list[list[str]]:
    """Returns the AUC of each genre."""
    sets = [key for key in ("generated", "real") if measured.get(key)]
    rows = [["AUC by genre", *(SETS[key] for key in sets)]]
    for genre in measured[sets[0]]["by_genre"]:
        values = (measured[key]["by_genre"].get(genre) for key in sets)
        rows.append([genre, *("-" if v is None else f"{v:.3f}" for v in values)])
    return rows


def between_genres(measured: dict[str, Any]) -> list[list[str]]:
    """Returns the share of the variance between genres, and the slope of the genres' means."""
    rows = [["variance between genres", "generated", "real", "slope of means (1 is right)"]]
    for space in ("pixels", "features"):
        found = measured[space]
        shares = (f"{found['generated']:.2%}", f"{found['real']:.2%}")
        rows.append([space, *shares, f"{found['slope']:.2f}"])
    return rows


def verdicts(report: dict[str, Any]) -> list[tuple[str, str]]:
    """Returns what a person should take away, as (subject, words)."""
    quality, said = report["quality"], []
    distance = next(n for n in quality["training"] if n.startswith(("fd_", "fid")))
    found = [quality[key][distance] for key in ("training", "held_out", "real_held_out")]
    said.append(
        (
            "quality",
            f"{distance} {found[0]:.1f} to training covers, {found[1]:.1f} to held-out ones; real "
            f"held-out covers have {found[2]:.1f}",
        )
    )
    for field, measured in report["conditions"].items():
        if "skipped" in measured:
            said.append((field, f"skipped, {measured['skipped']}"))
        elif measured.get("generated"):
            words = measured["generated"]["verdict"]
            if measured.get("real") and not measured["real"]["shown"]:
                words += "; nor is it certain on real covers"
            said.append((field, f"{words}; one seed is one seed"))
    diversity, copies = report["diversity"], report["copies"]
    ratio = diversity["features"]["ratio"]
    said.append(("diversity", f"{diversity['verdict']} ({ratio:.2f} of the real distance)"))
    said.append(("copies", f"{copies['verdict']} (ratio {copies['ratio']:.3f})"))
    return said


def figure(measured: dict[str, Any], name: str) -> str:
    """Returns a figure as text, with its spread if it has one."""
    value, spread = measured[name], measured.get(f"{name}_std")
    if isinstance(value, int):
        return f"{value:,}"
    text = f"{value:.1f}" if name.startswith(("fd", "fid")) else f"{value:.3f}"
    return text if spread is None else f"{text} ±{spread:.3f}"


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Returns a table as lines; columns are right-aligned, but for the first, and those unnamed."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    left = [i == 0 or not name for i, name in enumerate(rows[0])]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if text else cell.rjust(width)
            for cell, width, text in zip(row, widths, left, strict=True)
        ).rstrip()
        for row in rows
    )
