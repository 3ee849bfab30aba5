"""Whether generated covers are copies of training covers."""

import dataclasses

import numpy as np
from scipy import stats

from dac.metrics.distances import nearest

# A generator that does not copy is as near to covers that it never saw as to those that it did, up
# to chance: which covers are held out. Both limits must be passed.
COPIES_BELOW = 0.95
COPIES_P = 0.01


@dataclasses.dataclass(frozen=True)
class Copies:
    """How near generated covers are to training covers, compared with held-out ones.

    Attributes:
      ratio: mean distance to the nearest training cover, divided by that to the nearest held-out
        one, among as many; 1 if nothing is copied.
      p: probability of so much smaller a distance to training covers, given how the distance
        differs between sets of so many real covers (Student's t); None if the training has fewer
        than 3 such sets.
      nearer: share of the generated covers that are nearer to a training cover; 0.5 if nothing is
        copied.
      training_distance: mean distance to the nearest of all training covers.
      pairs: the closest pairs, (generated, training), by index, nearest first; a training cover
        comes once.
    """

    ratio: float
    p: float | None
    nearer: float
    training_distance: float
    pairs: list[tuple[int, int]]

    @property
    def verdict(self) -> str:
        """The result in words."""
        if self.ratio < COPIES_BELOW and (self.p is None or self.p < COPIES_P):
            return f"copies: nearer to training than to held-out covers by {1 - self.ratio:.0%}"
        return "no copies: as near to held-out covers as to those of the training"


def find_copies(
    generated: np.ndarray, training: np.ndarray, held_out: np.ndarray, pairs: int = 12
) -> Copies:
    """Compares the distances of features.

    The nearest of many is nearer than the nearest of few. So the training covers are split into
    parts of the number of held-out covers, and distances are means over the parts.

    Args:
      generated: `[N, F]`.
      training: `[T, F]`, in random order.
      held_out: `[H, F]`.
      pairs: how many pairs to return.
    """
    size = min(len(training), len(held_out))
    parts = [training[i : i + size] for i in range(0, len(training) - size + 1, size)]
    _, unseen = nearest(generated, held_out[:size])
    found = [nearest(generated, part) for part in parts]
    seen = np.stack([distances for _, distances in found])  # [parts, N]
    # All of the training covers: those of the parts, and the rest.
    rest = len(parts) * size
    if rest < len(training):
        found.append(nearest(generated, training[rest:]))
    distances = np.stack([d for _, d in found])
    indices = np.stack([i + part * size for part, (i, _) in enumerate(found)])
    part = distances.argmin(axis=0)
    columns = np.arange(len(generated))
    closest, which = distances[part, columns], indices[part, columns]
    chosen: dict[int, int] = {}
    for index in closest.argsort(kind="stable"):
        chosen.setdefault(int(which[index]), int(index))
        if len(chosen) == pairs:
            break
    ties = 0.5 * (seen == unseen).mean()
    p, means = None, seen.mean(axis=1)
    if len(parts) >= 3:
        spread = means.std(ddof=1) * np.sqrt(1 + 1 / len(parts))
        t = (unseen.mean() - means.mean()) / spread if spread > 0 else 0.0
        p = float(stats.t.sf(t, len(parts) - 1))
    return Copies(
        ratio=float(seen.mean() / unseen.mean()) if unseen.mean() > 0 else 1.0,
        p=p,
        nearer=float((seen < unseen).mean() + ties),
        training_distance=float(closest.mean()),
        pairs=[(generated, training) for training, generated in chosen.items()],
    )
