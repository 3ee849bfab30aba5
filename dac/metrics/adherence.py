"""Whether covers show what they were asked for, and whether that could be chance."""

import dataclasses
import itertools
import math

import numpy as np
from scipy import stats

LEAST = 10  # covers with a genre, and without it, for its AUC
RELABELINGS = 200  # of the covers
ALL_PERMUTATIONS = 7  # up to as many genres, all permutations of their names are tried
SOME_PERMUTATIONS = 5000  # of more genres
# A condition is shown if both tests agree: chance in one of 1,000 if the generator ignores it, and
# of 20 if the generator makes something else of each genre.
SHOWN_Z = stats.norm.isf(0.001)
SHOWN_P = 0.05


@dataclasses.dataclass(frozen=True)
class GenreAdherence:
    """How well a probe's scores tell which genres covers were asked for.

    Attributes:
      auc: mean of `by_genre`; 0.5 is chance. It is taken among the covers of one run, so what all
        of them have in common cancels out.
      by_genre: area under the ROC curve, one genre against the rest, by index; genres with too few
        covers are missing.
      top1: share of the covers whose highest score is that of a genre asked for.
      z: `auc` less its mean, in standard deviations, when requests are shuffled among the covers.
      p: share of the permutations of the genres' names with as high an `auc`. The covers of a genre
        move together, so a generator that makes something of its own of each genre may pass the
        shuffling of covers; only one of many namings would fit by chance.
    """

    auc: float
    by_genre: dict[int, float]
    top1: float
    z: float
    p: float

    @property
    def shown(self) -> bool:
        """Whether the covers show their genres."""
        return bool(self.z > SHOWN_Z and self.p <= SHOWN_P)

    @property
    def verdict(self) -> str:
        """The same in words."""
        if self.shown:
            return "shown"
        if self.z <= SHOWN_Z:
            return f"not shown (z = {self.z:.1f})"
        if math.factorial(len(self.by_genre)) * SHOWN_P < 1:
            return f"not certain: with {len(self.by_genre)} genres, only more seeds can tell"
        return f"not shown (other namings of the genres fit as well: p = {self.p:.2f})"


def genre_adherence(scores: np.ndarray, asked: np.ndarray, seed: int = 0) -> GenreAdherence | None:
    """Tests whether scores follow requests; returns None if fewer than two genres can be tested.

    Args:
      scores: of each cover for each genre, `[N, G]`.
      asked: whether a cover was asked for with a genre, `[N, G]` bool.
      seed: of the relabelings.
    """
    asked = np.asarray(asked, bool)
    positives = asked.sum(axis=0)
    (genres,) = np.nonzero(np.minimum(positives, len(asked) - positives) >= LEAST)
    if len(genres) < 2:
        return None
    top1 = float(asked[np.arange(len(asked)), scores.argmax(axis=1)].mean())
    ranks = stats.rankdata(scores[:, genres], axis=0)
    asked, positives = asked[:, genres].astype(np.float64), positives[genres]

    def areas(rank_sums):
        """From sums of the ranks of the positives: Hanley and McNeil 1982, the Wilcoxon form."""
        negatives = len(asked) - positives
        return (rank_sums - positives * (positives + 1) / 2) / (positives * negatives)

    matrix = areas(ranks.T @ asked)  # [genre scored, genre asked for]
    by_genre = np.diagonal(matrix)
    random = np.random.default_rng(seed)
    shuffled = [
        areas((ranks * random.permutation(asked)).sum(axis=0)).mean() for _ in range(RELABELINGS)
    ]
    deviation = np.std(shuffled)
    z = (by_genre.mean() - np.mean(shuffled)) / deviation if deviation > 1e-9 else 0.0
    if len(genres) <= ALL_PERMUTATIONS:
        namings = np.array(list(itertools.permutations(range(len(genres)))))
    else:
        own = np.arange(len(genres))
        namings = np.stack([own, *(random.permutation(own) for _ in range(SOME_PERMUTATIONS - 1))])
    renamed = matrix[np.arange(len(genres)), namings].mean(axis=1)
    return GenreAdherence(
        auc=float(by_genre.mean()),
        by_genre=dict(zip(genres.tolist(), by_genre.tolist(), strict=True)),
        top1=top1,
        z=float(z),
        p=float(np.mean(renamed >= by_genre.mean() - 1e-12)),
    )


@dataclasses.dataclass(frozen=True)
class YearAdherence:
    """How well the years read from covers follow those asked for.

    Attributes:
      correlation: Spearman's rank correlation.
      slope: of the years read, by those asked for.
      median_error: median of the absolute error, in years.
      near: share of the covers within `NEAR` years.
      p: probability of so high a correlation if the requests are ignored.
    """

    correlation: float
    slope: float
    median_error: float
    near: float
    p: float

    @property
    def shown(self) -> bool:
        """Whether the covers show their years."""
        return bool(self.p < stats.norm.sf(SHOWN_Z))

    @property
    def verdict(self) -> str:
        """The same in words."""
        return "shown" if self.shown else f"not shown (p = {self.p:.2g})"


NEAR = 10  # years


def year_adherence(read: np.ndarray, asked: np.ndarray) -> YearAdherence:
    """Compares the years that a probe reads with those asked for, `[N]` both, N at least 3."""
    read, asked = np.asarray(read, np.float64), np.asarray(asked, np.float64)
    if np.ptp(read) < 1e-9 or np.ptp(asked) == 0:  # constant, but for rounding
        correlation, slope, p = 0.0, 0.0, 1.0
    else:
        correlation, p = stats.spearmanr(read, asked, alternative="greater")
        slope = np.polyfit(asked, read, 1)[0]
    errors = np.abs(read - asked)
    return YearAdherence(
        correlation=float(correlation),
        slope=float(slope),
        median_error=float(np.median(errors)),
        near=float(np.mean(errors <= NEAR)),
        p=float(p),
    )
