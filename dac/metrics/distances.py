"""Distances between two sets of covers, from their features, in float64."""

from typing import NamedTuple

import numpy as np

KID_SUBSETS = 100  # toshas/torch-fidelity, defaults.py: kid_subsets, kid_subset_size
KID_SUBSET_SIZE = 1000
_BLOCK = 1000


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Squared Frechet distance between normal distributions fitted to two sets.

    |m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)) (Heusel et al. 2017, arXiv 1706.08500,
    section 3), with unbiased covariances. The trace of the root is the sum of the singular values
    of F_a F_b^T, where C = F^T F. No root of a matrix is computed. So the result is also sound with
    fewer samples than features, where the usual code yields complex numbers.

    Args:
      a: `[N, F]`, N at least 2.
      b: `[M, F]`, M at least 2.
    """
    mean_a, factor_a = _moments(a)
    mean_b, factor_b = _moments(b)
    root = np.linalg.svd(factor_a @ factor_b.T, compute_uv=False).sum()
    traces = np.square(factor_a).sum() + np.square(factor_b).sum()
    return float(max(np.square(mean_a - mean_b).sum() + traces - 2 * root, 0.0))


def _moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the mean, and F with at most as many rows as columns; covariance = F^T F."""
    x = np.asarray(x, np.float64)
    if len(x) < 2:
        raise ValueError(f"a covariance takes 2 samples, not {len(x)}")
    mean = x.mean(axis=0)
    factor = (x - mean) / np.sqrt(len(x) - 1)
    return mean, np.linalg.qr(factor, mode="r") if len(x) > x.shape[1] else factor


class KernelDistance(NamedTuple):
    """The kernel distance of two sets.

    Attributes:
      mean: over the subsets.
      std: standard deviation over the subsets.
    """

    mean: float
    std: float


def kernel_distance(
    a: np.ndarray, b: np.ndarray, subsets: int = KID_SUBSETS, seed: int = 0
) -> KernelDistance:
    """Squared maximum mean discrepancy with a cubic kernel, unbiased (KID).

    Binkowski et al. 2018, arXiv 1801.01401, section 4. It may be slightly below 0.

    Args:
      a: `[N, F]`, N at least 2.
      b: `[M, F]`, M at least 2.
      subsets: how many subsets to take, of up to 1,000 samples of each set.
      seed: of the subsets.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    size = min(KID_SUBSET_SIZE, len(a), len(b))
    if size < 2:
        raise ValueError("a kernel distance takes 2 samples of each set")
    random = np.random.default_rng(seed)
    values = [
        _unbiased_mmd(*(x[random.choice(len(x), size, replace=False)] for x in (a, b)))
        for _ in range(subsets)
    ]
    return KernelDistance(float(np.mean(values)), float(np.std(values)))


def _unbiased_mmd(a: np.ndarray, b: np.ndarray) -> float:
    """The estimate of two sets of one size (Gretton et al. 2012, lemma 6, its mean over pairs)."""
    n = len(a)

    def kernel(x, y):
        k = x @ y.T / x.shape[1] + 1
        return k * k * k  # a power takes ten times as long

    def between_others(x):
        k = kernel(x, x)
        return (k.sum() - np.trace(k)) / (n * (n - 1))

    return between_others(a) + between_others(b) - 2 * kernel(a, b).mean()


def mean_distance(x: np.ndarray) -> float:
    """Mean Euclidean distance over all pairs of a set `[N, F]`, N at least 2."""
    total = sum(np.sqrt(block).sum() for block in squared_distances(x, x, same=True))
    return float(total / (len(x) * (len(x) - 1)))


def nearest(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns, for each row of `a`, the index of the nearest row of `b`, and its distance."""
    found = [(block.argmin(axis=1), block.min(axis=1)) for block in squared_distances(a, b)]
    indices, squares = (np.concatenate(part) for part in zip(*found, strict=True))
    return indices, np.sqrt(squares)


def squared_distances(a: np.ndarray, b: np.ndarray, same: bool = False):
    """Yields squared Euclidean distances of up to 1,000 rows of `a` to all of `b`, in order.

    Args:
      a: `[N, F]`.
      b: `[M, F]`.
      same: whether both are one set; then the distance of a row to itself is exactly 0.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    # Distances between neighbours are small beside the vectors; a common origin saves digits.
    origin = b.mean(axis=0)
    a, b = a - origin, b - origin
    norms = np.square(b).sum(axis=1)
    for start in range(0, len(a), _BLOCK):
        part = a[start : start + _BLOCK]
        squares = np.square(part).sum(axis=1)[:, None] + norms - 2 * part @ b.T
        np.maximum(squares, 0.0, out=squares)
        if same:
            rows = np.arange(len(part))
            squares[rows, start + rows] = 0.0
        yield squares
