"""Fidelity and variety by neighbourhoods in feature space, in float64.

Each set spans the union of balls around its samples, whose radius is the distance to the k-th
nearest other sample of the set.
"""

import dataclasses

import numpy as np

from dac.metrics.distances import squared_distances

PRECISION_NEIGHBOURS = 3  # Kynkaanniemi et al. 2019, section 3
DENSITY_NEIGHBOURS = 5  # Naeem et al. 2020, section 4
LEAST = DENSITY_NEIGHBOURS + 1  # samples of each set
# A sample on the border of a ball is inside, also if rounding has put it outside. In units of the
# set's variance.
_ROUNDING = 1e-9


@dataclasses.dataclass(frozen=True)
class Manifold:
    """How two sets overlap; 1 is best, and what equal distributions come near to.

    Attributes:
      precision: share of the generated samples inside the real set's balls.
      recall: share of the real samples inside the generated set's balls. Both: Kynkaanniemi et al.
        2019, arXiv 1904.06991, equations 1 and 2.
      density: mean number of the real balls that a generated sample is in, divided by k. May be
        above 1.
      coverage: share of the real balls that hold a generated sample. Both: Naeem et al. 2020, arXiv
        2002.09797, equations 2 and 3.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def manifold(real: np.ndarray, generated: np.ndarray) -> Manifold:
    """Compares two sets of features, `[N, F]` and `[M, F]`; N and M at least `LEAST`."""
    if min(len(real), len(generated)) < LEAST:
        raise ValueError(f"{LEAST} samples of each set are needed")
    neighbours = (PRECISION_NEIGHBOURS, DENSITY_NEIGHBOURS)
    real_radii, real_wide = _squared_radii(real, neighbours)
    (generated_radii,) = _squared_radii(generated, neighbours[:1])
    inside_real, inside_generated, balls = [], [], 0
    held = np.zeros(len(real), bool)
    for squares in squared_distances(generated, real):  # rows are generated samples
        inside_real.append((squares <= real_radii).any(axis=1))
        inside = squares <= real_wide
        balls += inside.sum()
        held |= inside.any(axis=0)
    for squares in squared_distances(real, generated):
        inside_generated.append((squares <= generated_radii).any(axis=1))
    return Manifold(
        precision=float(np.concatenate(inside_real).mean()),
        recall=float(np.concatenate(inside_generated).mean()),
        density=float(balls / (DENSITY_NEIGHBOURS * len(generated))),
        coverage=float(held.mean()),
    )


def _squared_radii(x: np.ndarray, neighbours: tuple[int, ...]) -> np.ndarray:
    """Returns each sample's squared distance to its k-th nearest other, for each k, `[K, N]`."""
    # The nearest of a row is the sample itself, at distance 0.
    parts = [np.partition(s, neighbours, axis=1) for s in squared_distances(x, x, same=True)]
    radii = np.concatenate([part[:, list(neighbours)] for part in parts]).T
    return radii + _ROUNDING * np.var(x, axis=0, dtype=np.float64).sum()
