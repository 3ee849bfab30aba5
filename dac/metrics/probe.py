"""A linear probe: what can be read from the features of real covers."""

import dataclasses

import numpy as np

# Candidates for the strength of the ridge, in units of the mean variance of a feature.
RIDGES = np.logspace(-3, 3, 13)


@dataclasses.dataclass(frozen=True)
class Probe:
    """A linear function of features.

    Attributes:
      weights: `[F, K]` float64.
      bias: `[K]` float64.
    """

    weights: np.ndarray
    bias: np.ndarray

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Returns the scores `[N, K]` float64 of features `[N, F]`."""
        return np.asarray(features, np.float64) @ self.weights + self.bias


def train_probe(features: np.ndarray, targets: np.ndarray) -> Probe:
    """Fits targets by ridge regression.

    The strength of the ridge has the least squared error on samples left out one at a time, which
    has a closed form (Hastie, Tibshirani and Friedman, The Elements of Statistical Learning,
    equations 3.47 and 7.64). Nothing is random. For classes, targets are their probabilities.

    Args:
      features: `[N, F]`, N at least 2.
      targets: `[N, K]`.
    """
    x, y = np.asarray(features, np.float64), np.asarray(targets, np.float64)
    mean, bias = x.mean(axis=0), y.mean(axis=0)
    x, y = x - mean, y - bias
    scale = np.sqrt(np.square(x).mean(axis=0))
    scale[scale == 0] = 1.0
    x = x / scale
    eigenvalues, basis = np.linalg.eigh(x.T @ x)
    eigenvalues = np.maximum(eigenvalues, 0.0)
    projected = x @ basis  # [N, F]
    response = projected.T @ y  # [F, K]

    def error(ridge):
        shrunk = 1 / (eigenvalues + ridge * len(x))
        leverage = np.square(projected) @ shrunk + 1 / len(x)
        residuals = y - projected @ (shrunk[:, None] * response)
        return np.square(residuals / np.maximum(1 - leverage, 1e-9)[:, None]).sum()

    ridge = min(RIDGES, key=error)
    weights = basis @ (response / (eigenvalues + ridge * len(x))[:, None]) / scale[:, None]
    return Probe(weights, bias - mean @ weights)
