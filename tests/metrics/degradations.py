"""What the figures say of covers that were spoiled in known ways, as a table.

python -m tests.metrics.degradations FOLDER   # of a built dataset, with its version
"""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from dac.covers.dataset import HELD_OUT, CoverDataset
from dac.metrics.copies import find_copies
from dac.metrics.evaluate import figure_names, figures
from dac.metrics.features.extractor import load_extractor
from experiments.report.tables import aligned, figure

SIDE = 64
Spoil = Callable[[np.ndarray], np.ndarray]


def noise(amount: float) -> Spoil:
    """Adds noise of a standard deviation, in units of the range."""

    def spoil(covers):
        random = np.random.default_rng(0)
        return (covers + random.normal(0, 255 * amount, covers.shape)).clip(0, 255).astype(np.uint8)

    return spoil


def blur(radius: float) -> Spoil:
    """Blurs by a Gaussian of a radius in pixels."""

    def spoil(covers):
        kernel = ImageFilter.GaussianBlur(radius)
        return np.stack([np.asarray(Image.fromarray(c).filter(kernel)) for c in covers])

    return spoil


def distinct(number: int) -> Spoil:
    """Repeats the first covers instead of all."""
    return lambda covers: np.resize(covers[:number], covers.shape)


def measure(path: Path) -> list[dict[str, float]]:
    """Returns a row of figures for each kind of covers, all of as many, against the training ones.

    The covers are held-out ones, except in the last rows, which are training covers.
    """
    extractor = load_extractor("efficientnet_lite0")
    training, held_out = (CoverDataset(path, 0.0, split) for split in ("train", HELD_OUT))
    count = len(held_out) // 2
    order = np.random.default_rng(0).permutation(len(training))
    real = training.images(order, SIDE)
    unseen = held_out.images(np.random.default_rng(0).permutation(len(held_out)), SIDE)
    covers, unseen = unseen[:count], unseen[count:]
    kinds: dict[str, Callable[[], np.ndarray]] = {"held-out covers": lambda: covers}
    for amount in (0.02, 0.05, 0.1, 0.2):
        kinds[f"noise of {amount:.0%}"] = lambda amount=amount: noise(amount)(covers)
    for radius in (0.5, 1, 2, 4):
        kinds[f"blur of {radius:g} pixels"] = lambda radius=radius: blur(radius)(covers)
    for number in (200, 100, 30, 10):
        kinds[f"{number} distinct covers"] = lambda number=number: distinct(number)(covers)
    kinds["training covers"] = lambda: real[:count]
    kinds["100 training covers, repeated"] = lambda: np.resize(real[:100], covers.shape)
    of_training, of_unseen = extractor([real]), extractor([unseen])
    rows = []
    for name, make in kinds.items():
        features = extractor([make()])
        copies = find_copies(features, of_training, of_unseen)
        found = figures(figure_names(extractor.name), features, of_training)
        rows.append({"covers": name} | found | {"copy ratio": copies.ratio})
    return rows


def as_table(rows: list[dict[str, float]]) -> str:
    """Returns the rows as text."""
    names = [n for n in rows[0] if n not in ("covers", "generated", "real") and "_std" not in n]
    table = [["covers", *names]]
    table += [[row["covers"], *(figure(row, name) for name in names)] for row in rows]
    return aligned(table)


if __name__ == "__main__":
    print(as_table(measure(Path(sys.argv[1]))))
