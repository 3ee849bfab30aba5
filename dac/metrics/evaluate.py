"""Measures a run.

How good and varied are its covers? Do they show what they were asked for? Are they copies?

Two kinds of covers are drawn. *Like real ones*: each is asked for as one of the training covers is
described, so the proportions are those of the training. *By one field alone*: all else is left
open. Genres are asked for equally often and years evenly; names are those of real albums.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dac.covers.conditions import Album
from dac.covers.dataset import CoverDataset
from dac.errors import UserError
from dac.metrics import groups
from dac.metrics.copies import Copies, find_copies
from dac.metrics.covers import FILTER, Covers, draw_covers, read_covers
from dac.metrics.distances import KID_SUBSETS, frechet_distance, kernel_distance, mean_distance
from dac.metrics.features.extractor import Extractor
from dac.metrics.fields import LEAST_PER_GENRE, Fields, read_genres, train_genre_probe
from dac.metrics.manifold import Manifold, manifold
from dac.sampling import Run

LEAST_SAMPLES = 100
LEAST_OF_GROUP = 100  # covers of a genre or a decade, generated and real, to measure it alone
SUBSETS_OF_GROUP = 20  # for the kernel distance
# Of the real covers' diversity. A generator that makes one cover for each genre has nearly none.
DIVERSE, COLLAPSED = 0.6, 0.25


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What was found out about a run.

    Attributes:
      report: all figures, as JSON values.
      features: the arrays behind them, by name.
      closest: the closest pairs of a generated and a training cover, `[P, 2, R, R, 3]` uint8.
    """

    report: dict[str, Any]
    features: dict[str, np.ndarray]
    closest: np.ndarray


def evaluate(
    run: Run,
    training: CoverDataset,
    held_out: CoverDataset,
    extractor: Extractor,
    cache: Path,
    samples: int = 10_000,
    seed: int = 0,
    say: Callable[[str], None] = lambda text: None,
) -> Evaluation:
    """Measures a run.

    Args:
      run: the run.
      training: the covers that it was trained on.
      held_out: covers of the same dataset that it never saw.
      extractor: the features to measure with.
      cache: folder where features of real covers are kept.
      samples: number of covers to draw like real ones, at least `LEAST_SAMPLES`.
      seed: of the covers.
      say: receives a line about each part of the work.

    Raises:
      UserError: the datasets are not those of the run, or there are too few covers.
    """
    if samples < LEAST_SAMPLES:
        raise UserError(f"{samples} samples are too few: the figures need {LEAST_SAMPLES} or more")
    if (training.genres, training.years) != (run.genres, run.years):
        raise UserError(
            f"{training.path} has other genres or years than the dataset that the run was trained "
            "on; give the --data_dir of that one"
        )
    real = read_covers(training, run.resolution, extractor, cache, say)
    unseen = read_covers(held_out, run.resolution, extractor, cache, say)
    say(f"drawing {samples:,} covers like real ones ...")
    drawn = draw_covers(run, _like(run, real.albums, samples, seed), seed, extractor)
    say("comparing them with real covers ...")
    copies = find_copies(drawn.features, real.features, unseen.features)
    names = figure_names(extractor.name)
    report = {
        "images_seen": run.images_seen,
        "resolution": run.resolution,
        "samples": samples,
        "seed": seed,
        "features": {
            "name": extractor.name,
            "weights_sha256": extractor.digest,
            "filter": FILTER,
        },
        "real": {"training": len(real), "held_out": len(unseen)},
        "quality": {
            "training": figures(names, drawn.features, real.features),
            "held_out": figures(names, drawn.features, unseen.features),
            # What perfect looks like: real covers against others.
            "real_halves": figures(names, real.features[0::2], real.features[1::2]),
            "real_held_out": figures(names, unseen.features, real.features),
        },
        **{
            name: _by_group(names, drawn, real, groups_of(run, drawn), groups_of(run, real))
            for name, groups_of in (("by_genre", _genre_groups), ("by_decade", _decade_groups))
        },
        "conditions": {},
        "diversity": diversity(drawn, real),
        "copies": {
            name: getattr(copies, name)
            for name in ("ratio", "p", "nearer", "training_distance", "verdict")
        },
    }
    features = {"like_real": drawn.features, "training": real.features}
    features["held_out"] = unseen.features
    fields = Fields(run, extractor, drawn, real, unseen, samples, seed, say)
    for field in run.fields:
        report["conditions"][field], by_field = fields.measure(field)
        if by_field is not None:
            features[f"by_{field}"] = by_field.features
        if field == "genres" and by_field is not None:
            report["diversity"] = diversity(by_field, real)
            report["between_genres"] = fields.between_genres(by_field)
    return Evaluation(report, features, _pairs(run, drawn, training, real, copies, seed))


def quick_figures(
    run: Run,
    training: CoverDataset,
    held_out: CoverDataset | None,
    extractor: Extractor,
    cache: Path,
    samples: int,
) -> dict[str, float]:
    """Returns a few figures by name, for curves of a training.

    They are those of `figures` for covers like real ones, compared with the training covers; the
    distances to held-out covers; and, if the run is conditioned on genres, `genre_auc`.

    Args:
      run: the run.
      training: the covers that it is trained on.
      held_out: covers that it never sees, if there are any.
      extractor: the features.
      cache: folder where features of real covers are kept.
      samples: number of covers to draw, at least `LEAST_SAMPLES`.
    """
    real = read_covers(training, run.resolution, extractor, cache)
    drawn = draw_covers(run, _like(run, real.albums, samples, 0), 0, extractor)
    names = figure_names(extractor.name)
    found = figures(names, drawn.features, real.features)
    if held_out:
        unseen = read_covers(held_out, run.resolution, extractor, cache)
        against = figures(names, drawn.features, unseen.features)
        found |= {f"held_out_{name}": against[name] for name in names}
    if "genres" in run.fields and (probe := train_genre_probe(real, len(run.genres))):
        read = read_genres(probe, drawn, run.genres)
        if read:
            found["genre_auc"] = read["auc"]
    del found["generated"], found["real"]
    return found


def figure_names(features: str) -> tuple[str, str]:
    """Returns the names of the Frechet and the kernel distance; FID and KID are Inception's."""
    return ("fid", "kid") if features == "inception" else (f"fd_{features}", f"kd_{features}")


def quick_figure_names(features: str) -> tuple[str, ...]:
    """Returns the names of all that `quick_figures` may return and a run may be judged by."""
    distances = figure_names(features)
    others = tuple(field.name for field in dataclasses.fields(Manifold))
    return (*distances, *(f"held_out_{name}" for name in distances), *others, "genre_auc")


def figures(
    names: tuple[str, str],
    generated: np.ndarray,
    real: np.ndarray,
    subsets: int = KID_SUBSETS,
) -> dict[str, Any]:
    """Returns all figures of how two sets of features compare, and the numbers of covers."""
    frechet, kernel = names
    kernel_mean, kernel_std = kernel_distance(generated, real, subsets)
    return {
        "generated": len(generated),
        "real": len(real),
        frechet: frechet_distance(generated, real),
        kernel: kernel_mean,
        f"{kernel}_std": kernel_std,
        **dataclasses.asdict(manifold(real, generated)),
    }


def diversity(drawn: Covers, real: Covers) -> dict[str, Any]:
    """Returns how different covers of a genre are, beside real ones; of all, without genres.

    `features` is the mean distance of two covers, `pixels` the variance of a cover's pixels.
    """
    both = [covers.only_genre() for covers in (drawn, real)]
    most = max(int(found.max()) for found in both) + 1
    counts = np.stack([np.bincount(found[found >= 0], minlength=most) for found in both])
    (common,) = np.nonzero(counts.min(axis=0) >= LEAST_PER_GENRE)
    if len(common) < 2:  # all covers are one group
        both, common, most = [np.zeros(len(c), int) for c in (drawn, real)], np.array([0]), 1
    measured = {"groups": len(common)}
    generated, true = (
        {
            "features": np.mean([mean_distance(c.features[of == g][:1000]) for g in common]),
            "pixels": groups.moments([c.pixels / 255], of, most).within()[common].mean()
            / c.pixels[0].size,
        }
        for c, of in zip((drawn, real), both, strict=True)
    )
    for name in ("features", "pixels"):
        ratio = generated[name] / true[name] if true[name] > 0 else 0.0
        values = {"generated": generated[name], "real": true[name], "ratio": ratio}
        measured[name] = {k: float(v) for k, v in values.items()}
    return measured | {"verdict": _diversity_verdict(measured["features"]["ratio"], len(common))}


def _diversity_verdict(ratio: float, count: int) -> str:
    within = "of a genre" if count > 1 else "of the run"
    if ratio < COLLAPSED:
        one = "one cover a genre" if count > 1 else "one cover"
        return f"collapse: {one}; the latent hardly matters"
    if ratio < DIVERSE:
        return f"covers {within} are more alike than real ones"
    return f"covers {within} differ about as much as real ones"


def _like(run: Run, albums: Sequence[Album], count: int, seed: int) -> list[Album]:
    """Returns albums to ask for, in the proportions of real ones."""
    chosen = np.random.default_rng(seed).permutation(len(albums))
    described = [
        Album(**{f: getattr(album, f) for f in run.fields if getattr(album, f)}) for album in albums
    ]
    return [described[i] for i in np.resize(chosen, count)]


def _genre_groups(run: Run, covers: Covers) -> dict[str, np.ndarray]:
    """Returns which covers have each genre."""
    if "genres" not in run.fields:
        return {}
    return dict(zip(run.genres, covers.genres(len(run.genres)).T, strict=True))


def _decade_groups(run: Run, covers: Covers) -> dict[str, np.ndarray]:
    """Returns which covers are of each decade."""
    if "year" not in run.fields:
        return {}
    decades = np.array([(album.year or 0) // 10 * 10 for album in covers.albums])
    return {f"{d}s": decades == d for d in np.unique(decades[decades > 0])}


def _by_group(
    names: tuple[str, str],
    drawn: Covers,
    real: Covers,
    of_drawn: Mapping[str, np.ndarray],
    of_real: Mapping[str, np.ndarray],
) -> dict[str, Any]:
    """Returns the figures of each group that has enough covers, generated and real."""
    measured = {}
    for name in of_drawn.keys() & of_real.keys():
        generated, features = drawn.features[of_drawn[name]], real.features[of_real[name]]
        if min(len(generated), len(features)) >= LEAST_OF_GROUP:
            halves = figures(names, features[0::2], features[1::2], SUBSETS_OF_GROUP)
            measured[name] = figures(names, generated, features, SUBSETS_OF_GROUP)
            measured[name]["real_halves"] = halves
    return dict(sorted(measured.items()))


def _pairs(
    run: Run, drawn: Covers, training: CoverDataset, real: Covers, copies: Copies, seed: int
) -> np.ndarray:
    """Returns the closest pairs as pictures; the generated ones are drawn again."""
    made, seen = zip(*copies.pairs, strict=True)
    generated = run.sample([drawn.albums[i] for i in made], seed, made)
    real_ones = training.images(real.places[list(seen)], run.resolution)
    return np.stack([generated, real_ones], axis=1)
