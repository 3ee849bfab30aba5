"""How covers vary between groups, such as genres, and within them."""

import dataclasses
from collections.abc import Iterable

import numpy as np


@dataclasses.dataclass(frozen=True)
class Moments:
    """Moments of vectors by group.

    Attributes:
      counts: vectors of each group, `[G]`.
      means: `[G, D]` float64; 0 for an empty group.
      squares: mean squared length of a vector, `[G]` float64.
    """

    counts: np.ndarray
    means: np.ndarray
    squares: np.ndarray

    def within(self) -> np.ndarray:
        """Returns the variance within each group, summed over D, unbiased, `[G]`."""
        spread = self.squares - np.square(self.means).sum(axis=1)
        return spread * self.counts / np.maximum(self.counts - 1, 1)

    def centred(self, groups: np.ndarray) -> np.ndarray:
        """Returns the means of some groups, less the mean of these, `[len(groups), D]`."""
        means = self.means[groups]
        return means - means.mean(axis=0)

    def between_share(self, groups: np.ndarray) -> float:
        """Returns the share of the variance that lies between some groups, all of equal weight.

        The variance between means is reduced by what chance alone would give it, so the share of
        groups that do not differ is 0 on average (the estimate of a one-way random-effects model).
        """
        within = self.within()[groups]
        between = np.square(self.centred(groups)).sum() / (len(groups) - 1)
        between -= (within / self.counts[groups]).mean()
        total = between + within.mean()
        return float(between / total) if total > 0 else 0.0


def moments(blocks: Iterable[np.ndarray], groups: np.ndarray, num_groups: int) -> Moments:
    """Returns the moments of vectors by group.

    Args:
      blocks: vectors in blocks `[B, ...]`, flattened to `[B, D]`.
      groups: the group of each vector, `[N]`; -1 for none.
      num_groups: G.
    """
    counts = np.bincount(groups[groups >= 0], minlength=num_groups)
    sums, squares, start = 0.0, np.zeros(num_groups), 0
    for block in blocks:
        vectors = block.reshape(len(block), -1).astype(np.float64)
        of_block = groups[start : start + len(block)]
        member = (of_block[:, None] == np.arange(num_groups)).astype(np.float64)
        sums = sums + member.T @ vectors
        squares += member.T @ np.square(vectors).sum(axis=1)
        start += len(block)
    at_least_one = np.maximum(counts, 1)
    return Moments(counts, sums / at_least_one[:, None], squares / at_least_one)


def slope(generated: Moments, training: Moments, held_out: Moments, groups: np.ndarray) -> float:
    """Returns the slope of the generated groups' means on the real ones; 1 is right.

    Both products are with the means of held-out covers, which share no noise with the others. So
    neither is biased by noise, and the slope of real covers is 1 on average.
    """
    axes = held_out.centred(groups)
    real = np.sum(training.centred(groups) * axes)
    return float(np.sum(generated.centred(groups) * axes) / real) if real > 0 else float("nan")
