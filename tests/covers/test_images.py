import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from PIL import Image

from dac.covers import images


def test_shrink_averages_blocks():
    covers = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), np.uint8)
    expected = np.rint(covers[:, 4:8, 0:4].astype(float).mean(axis=(1, 2)))
    np.testing.assert_array_equal(images.shrink(covers, 2)[:, 1, 0], expected)
    assert images.shrink(covers, 8) is covers


@hypothesis.settings(max_examples=100, deadline=None)
@hypothesis.given(
    st.sampled_from([1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 17, 32, 64, 128]),
    st.integers(1, 2),
    st.integers(0, 2**32),
    st.integers(1, 256),
)
def test_shrink_rounds_the_exact_mean_and_halves_to_even(factor, resolution, seed, values):
    """Few values make many halves."""
    size = factor * resolution
    covers = np.random.default_rng(seed).integers(256 - values, 256, (2, size, size, 3), np.uint8)
    blocks = covers.reshape(2, resolution, factor, resolution, factor, 3)
    expected = np.rint(blocks.sum(axis=(2, 4), dtype=np.int64) / factor**2).astype(np.uint8)
    for shrunken in (images.shrink(covers, resolution), images.shrink(covers[0], resolution)[None]):
        np.testing.assert_array_equal(shrunken, expected[: len(shrunken)], strict=True)


def test_grid_places_each_cover():
    covers = np.arange(5, dtype=np.uint8)[:, None, None, None] * np.full((1, 2, 2, 3), 50, np.uint8)
    picture = np.asarray(images.grid(covers, columns=2, cell=4))
    assert picture.shape == (3 * 4 + 4 * 2, 2 * 4 + 3 * 2, 3)
    for i in range(5):
        row, column = divmod(i, 2)
        top, left = 2 + row * 6, 2 + column * 6
        assert (picture[top : top + 4, left : left + 4] == 50 * i).all()
    labelled = images.grid(covers, 2, 4, ["dub", "a much longer label", "x"])
    assert labelled.width > picture.shape[1] + 60


def test_grid_shrinks_covers_that_are_larger_than_a_cell():
    covers = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), np.uint8)
    picture = np.asarray(images.grid(covers, columns=1, cell=8))
    assert picture.shape == (12, 12, 3)
    means = covers[0].reshape(8, 4, 8, 4, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(picture[2:10, 2:10], means, atol=0.51)


def test_save_picture_is_atomic(tmp_path):
    path = tmp_path / "grid.png"
    images.save_picture(Image.new("RGB", (4, 4), "red"), path)
    with pytest.raises(OSError, match="configuration"):
        images.save_picture(Image.new("RGB", (4, 4)), path, compress_level=99)
    with Image.open(path) as picture:
        assert picture.getpixel((0, 0)) == (255, 0, 0)
    assert list(tmp_path.iterdir()) == [path]


def test_animation_has_every_frame(tmp_path):
    frames = []
    for i, colour in enumerate(("red", "lime", "blue")):
        frames.append(tmp_path / f"{i}.png")
        Image.new("RGB", (8, 8), colour).save(frames[-1])
    images.save_animation(frames, tmp_path / "progress.gif", milliseconds=100, last=500)
    with Image.open(tmp_path / "progress.gif") as animation:
        assert animation.n_frames == 3
        durations = []
        for i in range(3):
            animation.seek(i)
            durations.append(animation.info["duration"])
        assert durations == [100, 100, 500]
        assert animation.convert("RGB").getpixel((0, 0)) == (0, 0, 255)
