"""Measures a run: do its covers show what was asked for?

Each field is asked for alone, with all others unknown, and read back by networks trained on real
covers. Genre and year can be seen on a cover. An artist or a title can't, but real ones lean to a
genre, and so do those of the demo: the test is whether the cover has a genre of the named album.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dac.covers.conditions import Album, encode
from dac.covers.dataset import CoverDataset
from dac.covers.images import shrink
from dac.errors import UserError
from dac.metrics.agreement import agreement
from dac.metrics.readers import train_reader, two_hot
from dac.sampling import Run

HELD_OUT = 0.2  # share of the real covers that a reader is tested on
MIN_REAL = 20  # real covers
MAX_REAL = 20_000  # real covers for a reader
MAX_SIDE = 64  # pixels; larger covers are shrunk for the readers
YEAR_MARKS = 16  # for `two_hot`
NEAR = 10  # years

# What is read from covers that were asked for by a field.
SEEN_AS = {"genres": "genres", "year": "year", "artist": "genres", "title": "genres"}


def evaluate(
    run: Run,
    dataset: CoverDataset,
    count: int = 1000,
    seed: int = 0,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Returns how well the covers of a run show each of its fields, as JSON values.

    Args:
      run: the run; it has at least one field.
      dataset: the real covers that it was trained on.
      count: number of covers to generate for each field, at least 2.
      seed: seed of the covers and the readers.
      say: receives a line about each part of the work.

    Returns:
      `images_seen`, `resolution`, `count` and `seed`; `fields`, with `measure` of the generated
      covers and, under `real`, of held-out real ones; `skipped`, with the reason for each field
      that can't be measured.

    Raises:
      UserError: the dataset is another one, or no field can be measured.
    """
    if (dataset.genres, dataset.years) != (run.genres, run.years):
        raise UserError(
            f"{dataset.path} has other genres or years than the dataset that the run was trained "
            "on; give the --data_dir of that one"
        )
    albums = [dataset.album(i) for i in range(len(dataset))]
    side = min(run.resolution, MAX_SIDE)
    readers, fields, skipped = {}, {}, {}
    for field in run.fields:
        seen = SEEN_AS[field]
        known = [a for a in albums if getattr(a, field) and getattr(a, seen)]
        if len(known) < MIN_REAL:
            needed = " and ".join(dict.fromkeys((field, seen)))
            skipped[field] = f"{len(known)} covers have a known {needed}; {MIN_REAL} are needed"
            continue
        if seen not in readers:
            readers[seen] = teach_reader(dataset, albums, seen, side, seed, say)
        read, real = readers[seen]
        wanted = wanted_albums(run, field, known, count, seed)
        say(f"drawing {count:,} covers by {field} alone ...")
        covers = run.sample([Album(**{field: getattr(a, field)}) for a in wanted], seed)
        found = read(shrink(covers, side))
        fields[field] = measure(seen, found, wanted) | {"real": real}
        if field == "genres":
            fields[field]["by_genre"] = {
                name: float(np.mean(found[i :: len(run.genres)] == i))
                for i, name in enumerate(run.genres[:count])
            }
    if not fields:
        reasons = "; ".join(f"{field}: {reason}" for field, reason in skipped.items())
        raise UserError(f"nothing can be measured with {dataset.path}: {reasons}")
    return {
        "images_seen": run.images_seen,
        "resolution": run.resolution,
        "count": count,
        "seed": seed,
        "fields": fields,
        "skipped": skipped,
    }


def teach_reader(
    dataset: CoverDataset,
    albums: Sequence[Album],
    seen: str,
    side: int,
    seed: int,
    say: Callable[[str], None],
) -> tuple[Callable[[np.ndarray], np.ndarray], dict[str, Any]]:
    """Trains a reader on most of the real covers and tests it on the others.

    Args:
      dataset: the real covers.
      albums: their albums.
      seen: what to read, "genres" or "year".
      side: side of the covers in pixels.
      seed: seed of the split and the reader.
      say: receives a line.

    Returns:
      A function from covers `[N, side, side, 3]` uint8 to what it reads, `[N]`, the most likely
      genre or the year; and `measure` of the held-out real covers.
    """
    known = [i for i, album in enumerate(albums) if getattr(album, seen)]
    known = np.random.default_rng(seed).permutation(known)[:MAX_REAL]
    test, train = np.split(known, [round(HELD_OUT * len(known))])
    say(f"training a reader of {seen} on {len(train):,} real covers ...")
    taught = [albums[i] for i in train]
    if seen == "year":
        first, last = dataset.years
        marks = np.linspace(first, max(last, first + 1), YEAR_MARKS)
        targets = two_hot(np.array([album.year for album in taught]), marks)
    else:
        targets = encode(taught, ["genres"], len(dataset.genres))["genres"]
    reader = train_reader(dataset.images(train, side), targets, seed)

    def read(images):
        probabilities = reader.read(images)
        return probabilities @ marks if seen == "year" else probabilities.argmax(axis=1)

    found = read(dataset.images(test, side))
    return read, measure(seen, found, [albums[i] for i in test])


def wanted_albums(
    run: Run, field: str, known: Sequence[Album], count: int, seed: int
) -> list[Album]:
    """Returns albums to ask for: each genre in turn, years spread evenly, or names of real ones."""
    if field == "genres":
        return [Album(genres={i % len(run.genres): 1.0}) for i in range(count)]
    if field == "year":
        return [Album(year=round(year)) for year in np.linspace(*run.years, count)]
    order = np.random.default_rng(seed).permutation(len(known))
    return [known[i] for i in np.resize(order, count)]


def measure(seen: str, found: np.ndarray, wanted: Sequence[Album]) -> dict[str, Any]:
    """Compares what was read from covers with what was wanted, as JSON values.

    Args:
      seen: what was read, "genres" or "year".
      found: what was read from each cover, `[N]`.
      wanted: the album that each cover should fit.
    """
    if seen == "year":
        years = np.array([album.year for album in wanted])
        fits = np.abs(found[:, None] - years) <= NEAR
        more = {"median_error": float(np.median(np.abs(found - years)))}
    else:
        genres, which = np.unique(found, return_inverse=True)
        fits = np.array([[genre in a.genres for a in wanted] for genre in genres])[which]
        more = {}
    return {"covers": len(wanted)} | dataclasses.asdict(agreement(fits)) | more
