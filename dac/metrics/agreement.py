"""Whether covers agree with what was asked for, and whether that could be chance."""

import dataclasses
import math

import numpy as np


@dataclasses.dataclass(frozen=True)
class Agreement:
    """How often covers fit their requests, compared with shuffled requests.

    Attributes:
      share: share of the covers that fit their request.
      shuffled: expected share if the requests are shuffled among the covers. A generator that makes
        the same covers but ignores the requests reaches this.
      z: how far `share` is above `shuffled`, in standard deviations over all shuffles.
      p: probability of a `z` at least this high under shuffling, by the normal approximation.
    """

    share: float
    shuffled: float
    z: float
    p: float


def agreement(fits: np.ndarray) -> Agreement:
    """Tests whether covers fit their own requests better than those of other covers.

    This is a permutation test. The mean and variance of the share over all permutations are exact
    (Hoeffding 1951, "A combinatorial central limit theorem", theorem 2), so nothing is sampled.

    Args:
      fits: whether cover i fits the request for cover j, `[N, N]` bool, N > 1.
    """
    count = len(fits)
    share, shuffled = np.diagonal(fits).mean(), fits.mean()
    # Sum of squares of the doubly centred matrix.
    rows, columns = np.square(fits.mean(axis=0)).mean(), np.square(fits.mean(axis=1)).mean()
    squares = count**2 * (shuffled - rows - columns + shuffled**2)
    deviation = math.sqrt(max(squares, 0.0) / (count - 1)) / count
    # For a constant matrix the deviation is only a rounding error.
    z = (share - shuffled) / deviation if deviation > 1e-6 else 0.0
    return Agreement(float(share), float(shuffled), float(z), math.erfc(z / math.sqrt(2)) / 2)
