import numpy as np
import pytest

from dac.metrics import readers

MARKS = np.linspace(1950, 2025, 16)


def paint(colors, brightness, random):
    """Draws covers `[N, 8, 8, 3]` with a red, green or blue patch of a given brightness."""
    covers = random.normal(32, 8, (len(colors), 8, 8, 3))
    covers[np.arange(len(colors)), 2:6, 2:6, colors] += 150 * brightness[:, None, None]
    return covers.clip(0, 255).astype(np.uint8)


def test_readers_learn_colour_and_brightness():
    random = np.random.default_rng(0)
    colors, shares = random.integers(3, size=200), random.random(200)
    covers = paint(colors, 0.3 + 0.7 * shares, random)
    years = 1950 + 75 * shares
    by_color = readers.train_reader(covers[:150], np.eye(3, dtype=np.float32)[colors[:150]], 0)
    by_year = readers.train_reader(covers[:150], readers.two_hot(years[:150], MARKS), 0)
    assert np.mean(by_color.read(covers[150:]).argmax(axis=1) == colors[150:]) >= 0.95
    assert np.median(np.abs(by_year.read(covers[150:]) @ MARKS - years[150:])) <= 5


@pytest.mark.parametrize("count", [1, 300])
def test_reader_returns_probabilities_for_any_number_of_covers(count, monkeypatch):
    monkeypatch.setattr(readers, "STEPS", 1)
    targets = np.full((2, 3), 1 / 3, np.float32)
    reader = readers.train_reader(np.zeros((2, 8, 8, 3), np.uint8), targets, 0)
    read = reader.read(np.zeros((count, 8, 8, 3), np.uint8))
    assert read.shape == (count, 3)
    np.testing.assert_allclose(read.sum(axis=1), 1.0, rtol=1e-5)


def test_two_hot_preserves_the_value():
    years = np.array([1950, 1951, 1988, 2025])
    spread = readers.two_hot(years, MARKS)
    np.testing.assert_allclose(spread @ MARKS, years, rtol=1e-6)
    np.testing.assert_allclose(spread.sum(axis=1), 1.0, rtol=1e-6)
    assert ((spread > 0).sum(axis=1) <= 2).all()
