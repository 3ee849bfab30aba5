"""Measures a run: do its covers show what they were asked to show?

Each condition is asked for alone, all others unknown, and read back by networks taught by real
covers. Genre and year are on the cover itself. A name is not, but it leans to a genre, of real
albums as of the demo's: whether it is read shows in how often the cover has a genre of its album.
"""

import dataclasses
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from dac import sampling
from dac.covers.conditions import Album, encode
from dac.covers.dataset import CoverDataset
from dac.covers.images import shrink
from dac.errors import UserError
from dac.files import write_text
from dac.metrics import fidelity
from experiments import cli, data

WORKDIR = flags.DEFINE_string("workdir", None, "run directory", required=True)
COUNT = flags.DEFINE_integer("n", 1000, "number of covers to generate for each field", 2, 10_000)
SEED = flags.DEFINE_integer("seed", 0, "of the covers and the readers", 0, 2**32 - 1)

HELD_OUT = 0.2  # share of the real covers that a reader is tested on
MIN_REAL = 20
MAX_REAL = 20_000  # real covers for a reader
MAX_SIDE = 64  # pixels: larger covers are shrunk to be read
YEAR_MARKS = 16  # the reader places years between these, spread evenly
NEAR = 10  # years
SIGNIFICANT = 0.001

# What is read from covers that are asked for by a field, and what agrees with it.
SEEN_AS = {"genres": "genres", "year": "year", "artist": "genres", "title": "genres"}
READS_AS = {
    "genres": "the genre asked for",
    "year": f"within {NEAR} years",
    "artist": "a genre of the artist",
    "title": "a genre of the title",
}


def main() -> None:
    """Prints a line for each condition and writes `evaluation.json` in the run directory."""
    workdir = Path(WORKDIR.value)
    run = sampling.load_run(workdir, lambda text: progress(f"warning: {text}"))
    if not run.fields:
        print(f"the run {workdir} is unconditional: nothing is asked of its covers")
        return
    dataset = CoverDataset(
        data.open_dataset(run.config.dataset, run.config.resolution),
        run.config.dataset_memory_gib,
    )
    if (dataset.genres, dataset.years) != (run.genres, run.years):
        raise UserError(
            f"{dataset.path} has other genres or years than {workdir} was trained on; give the "
            "--data_dir of the dataset that it was"
        )
    albums = [dataset.album(i) for i in range(len(dataset))]
    side = min(run.resolution, MAX_SIDE)
    readers, fields, skipped = {}, {}, {}
    for field in run.fields:
        seen = SEEN_AS[field]
        known = [a for a in albums if getattr(a, field) and getattr(a, seen)]
        if len(known) < MIN_REAL:
            told = " and ".join(dict.fromkeys((field, seen)))
            skipped[field] = f"{len(known)} covers have {told} known, {MIN_REAL} are needed"
            continue
        if seen not in readers:
            readers[seen] = train_reader(dataset, seen, side)
        read, real = readers[seen]
        wanted = wanted_albums(run, field, known)
        progress(f"making {len(wanted):,} covers by {field} alone ...")
        covers = run.sample([Album(**{field: getattr(a, field)}) for a in wanted], SEED.value)
        found = read(shrink(covers, side))
        fields[field] = measure(seen, found, wanted) | {"real": real}
        if field == "genres":
            count = len(run.genres)
            fields[field]["by_genre"] = {
                name: float(np.mean(found[i::count] == i))
                for i, name in enumerate(run.genres[: len(wanted)])
            }
    if not fields:
        reasons = "; ".join(f"{field}: {reason}" for field, reason in skipped.items())
        raise UserError(f"nothing can be read back from {dataset.path}: {reasons}")
    report = {
        "images_seen": run.images_seen,
        "resolution": run.resolution,
        "seed": SEED.value,
        "fields": fields,
        "skipped": skipped,
    }
    write_text(workdir / "evaluation.json", json.dumps(report, indent=2) + "\n")
    print_report(workdir, report)


def train_reader(
    dataset: CoverDataset, seen: str, side: int
) -> tuple[Callable[[np.ndarray], np.ndarray], dict[str, Any]]:
    """Teaches a reader on real covers and tests it on others.

    Args:
      dataset: of the real covers.
      seen: what to read, "genres" or "year".
      side: of the covers to read, in pixels.

    Returns:
      A function from covers `[N, side, side, 3]` uint8 to what it reads, `[N]`: the likeliest genre
      or the year; and `measure` of the real covers that were held out.
    """
    albums = [dataset.album(i) for i in range(len(dataset))]
    known = [i for i, album in enumerate(albums) if getattr(album, seen)]
    known = np.random.default_rng(SEED.value).permutation(known)[:MAX_REAL]
    test, train = np.split(known, [round(HELD_OUT * len(known))])
    progress(f"teaching a reader of {seen} by {len(train):,} real covers ...")
    taught = [albums[i] for i in train]
    if seen == "year":
        first, last = dataset.years
        marks = np.linspace(first, max(last, first + 1), YEAR_MARKS)
        targets = fidelity.two_hot(np.array([album.year for album in taught]), marks)
    else:
        targets = encode(taught, ["genres"], len(dataset.genres))["genres"]
    reader = fidelity.train_reader(dataset.images(train, side), targets, SEED.value)

    def read(images):
        probabilities = reader.read(images)
        return probabilities @ marks if seen == "year" else probabilities.argmax(axis=1)

    found = read(dataset.images(test, side))
    return read, measure(seen, found, [albums[i] for i in test])


def wanted_albums(run: sampling.Run, field: str, known: Sequence[Album]) -> list[Album]:
    """What to ask for: each genre in turn, years spread evenly, or names of real albums."""
    if field == "genres":
        return [Album(genres={i % len(run.genres): 1.0}) for i in range(COUNT.value)]
    if field == "year":
        return [Album(year=round(year)) for year in np.linspace(*run.years, COUNT.value)]
    order = np.random.default_rng(SEED.value).permutation(len(known))
    return [known[i] for i in np.resize(order, COUNT.value)]


def measure(seen: str, found: np.ndarray, wanted: Sequence[Album]) -> dict[str, Any]:
    """Compares what was read with what was wanted, as JSON values.

    Args:
      seen: what was read, "genres" or "year".
      found: what was read of each cover, `[N]`.
      wanted: the album that each cover is to fit.
    """
    if seen == "year":
        years = np.array([album.year for album in wanted])
        fits = np.abs(found[:, None] - years) <= NEAR
        more = {"median_error": float(np.median(np.abs(found - years)))}
    else:
        genres, which = np.unique(found, return_inverse=True)
        fits = np.array([[genre in a.genres for a in wanted] for genre in genres])[which]
        more = {}
    return {"covers": len(wanted)} | dataclasses.asdict(fidelity.agreement(fits)) | more


def print_report(workdir: Path, report: dict[str, Any]) -> None:
    """Prints what was measured, a line a field."""
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
    print(f"\nmade      of {COUNT.value:,} covers asked for by that field alone")
    print("shuffled  expected of the same if they ignored what was asked")
    print("real      of real covers that the reader was not taught by")
    if "year" in fields:
        made, real = (m["median_error"] for m in (fields["year"], fields["year"]["real"]))
        print(f"\nyear, median error: {made:.1f} years; of real covers {real:.1f}")
    if "genres" in fields:
        print("\ngenres, one by one:")
        for name, share in fields["genres"]["by_genre"].items():
            print(f"  {name:24.24s}{share:7.1%}")


def progress(text: str) -> None:
    """Tells what is being done, apart from the result."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    cli.run(main)
