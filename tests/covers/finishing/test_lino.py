import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy import ndimage
from skimage import measure

from dac.covers.finishing.lino import COLOURS, print_lino

RADIUS = 0.3
SIZE = 960


@pytest.fixture(scope="module")
def disc() -> np.ndarray:
    """A print of a dark disc of 32 pixels a side on light ground, [S, S, 3] uint8."""
    large = Image.new("RGB", (320, 320), (235, 225, 200))
    ends = 160 - 320 * RADIUS, 160 + 320 * RADIUS
    ImageDraw.Draw(large).ellipse((ends[0],) * 2 + (ends[1],) * 2, fill=(40, 60, 90))
    picture = np.asarray(large.reduce(10)).astype(float)
    noise = np.random.default_rng(0).normal(0, 5, picture.shape)
    rough = np.clip(picture + noise, 0, 255).astype(np.uint8)
    return print_lino(rough, SIZE, np.random.default_rng(0))


def test_edges_are_curves_and_no_stairs(disc):
    labels, _ = ndimage.label(disc.mean(-1) < 140)
    shape = ndimage.binary_fill_holes(labels == labels[SIZE // 2, SIZE // 2])
    radius = RADIUS * SIZE
    assert shape.sum() == pytest.approx(np.pi * radius**2, rel=0.05)
    # Of stairs the perimeter is 1.27 times as long.
    perimeter = measure.perimeter_crofton(shape, directions=4)
    assert perimeter == pytest.approx(2 * np.pi * radius, rel=0.05)


def test_edges_are_sharp_at_the_size_of_the_print(disc):
    """Plainly enlarged, the edge would be a gradient of 30 pixels."""
    ink, paper = (np.median(disc[part].mean(-1)) for part in (np.s_[470:490], np.s_[:40]))
    assert paper - ink > 80
    widths = []
    for row in range(300, 660, 7):
        share = (disc[row].mean(-1) - ink) / (paper - ink)
        crossing = 100 + np.abs(share[100:480] - 0.5).argmin()
        near = share[crossing - 15 : crossing + 16]
        widths.append(((near > 0.15) & (near < 0.85)).sum())
    assert np.median(widths) <= 4


def test_inks_are_few_and_flat(rough):
    printed = print_lino(rough, 800, np.random.default_rng(0)).reshape(-1, 3)
    colours, counts = np.unique(printed, axis=0, return_counts=True)
    main = np.sort(counts)[::-1][:COLOURS]
    assert main.sum() > 0.85 * len(printed)
    assert len(colours[counts > 0.01 * len(printed)]) <= COLOURS
