import re

import numpy as np
import pytest

from dac.covers.dataset import CoverDataset, find_dataset
from dac.covers.images import shrink
from dac.errors import UserError
from data_pipeline.demo_covers.demo_covers_dataset_builder import DemoCovers


@pytest.fixture(scope="module")
def path(data_dir):
    return find_dataset(data_dir, "demo_covers", 32)


@pytest.fixture
def dataset(path):
    return CoverDataset(path, memory_gib=1.0)


def test_it_holds_the_covers_and_their_genres(dataset):
    assert len(dataset) == 64
    assert "dub" in dataset.genres
    assert dataset.genre_counts().sum() >= 64
    labels = dataset.labels(np.arange(64))
    np.testing.assert_allclose(labels["genres"].sum(axis=1), 1.0)
    assert labels["genres_known"].all()


def test_a_batch_is_a_function_of_the_clock(path, dataset):
    batch = dataset.batch(1, 100, 16, 32)
    assert batch["image"].shape == (16, 32, 32, 3)
    assert batch["image"].dtype == np.uint8
    dataset.batch(1, 5000, 8, 8)  # what was asked before does not matter
    again = CoverDataset(path, memory_gib=1.0).batch(1, 100, 16, 32)
    for name, values in batch.items():
        np.testing.assert_array_equal(values, again[name])
    # Nor does how the sequence is cut into batches.
    halves = [dataset.batch(1, start, 8, 32) for start in (100, 108)]
    np.testing.assert_array_equal(
        np.concatenate([half["image"] for half in halves]), batch["image"]
    )


def test_each_pass_shows_every_cover_once_in_another_order(dataset):
    first, second, other_seed = (
        [cover.tobytes() for cover in dataset.batch(seed, start, 64, 64)["image"]]
        for seed, start in ((0, 0), (0, 64), (1, 0))
    )
    assert len(set(first)) == 64
    assert set(first) == set(second) == set(other_seed)
    assert first != second
    assert first != other_seed


def test_genres_stay_with_their_covers(dataset):
    by_cover = dict(
        zip(
            (cover.tobytes() for cover in dataset.images(np.arange(64), 16)),
            dataset.labels(np.arange(64))["genres"],
            strict=True,
        )
    )
    batch = dataset.batch(3, 777, 32, 16)
    for cover, genres in zip(batch["image"], batch["genres"], strict=True):
        np.testing.assert_array_equal(by_cover[cover.tobytes()], genres)


def test_too_large_for_memory_gives_the_same_covers(path, dataset):
    streamed = CoverDataset(path, memory_gib=0.0)
    indices = np.array([5, 0, 63])
    np.testing.assert_array_equal(streamed.images(indices, 16), dataset.images(indices, 16))
    np.testing.assert_array_equal(
        dataset.images(indices, 16), shrink(dataset.images(indices, 64), 16)
    )


def test_find_takes_the_smallest_size_that_is_large_enough(tmp_path):
    for name in ("64/1.0.0", "256/1.0.0", "256/1.2.0", "256/1.10.0", "512/2.0.0"):
        (tmp_path / "album_covers" / name).mkdir(parents=True)
        (tmp_path / "album_covers" / name / "dataset_info.json").touch()
    (tmp_path / "album_covers" / "128" / "1.0.0").mkdir(parents=True)  # not finished
    root = tmp_path / "album_covers"
    assert find_dataset(tmp_path, "album_covers", 64) == root / "64/1.0.0"
    assert find_dataset(tmp_path, "album_covers", 65) == root / "256/1.10.0"
    assert find_dataset(tmp_path, "album_covers", 1024) is None
    assert find_dataset(tmp_path, "other", 4) is None


def build(folder, covers, monkeypatch):
    monkeypatch.setattr(DemoCovers, "num_covers", covers)
    builder = DemoCovers(data_dir=folder)
    builder.download_and_prepare()
    return builder.data_path


def test_a_corrupt_record_is_reported_with_the_way_out(tmp_path, monkeypatch):
    path = build(tmp_path, 8, monkeypatch)
    (records,) = path.glob("*.array_record-*")
    content = bytearray(records.read_bytes())
    for place in range(1000, len(content) - 100_000, 500):
        content[place] ^= 0xFF
    records.write_bytes(content)
    with pytest.raises(UserError, match=r"can't be read: .*tfds build --overwrite"):
        CoverDataset(path, 1.0).images(np.arange(8), 8)


def test_an_empty_dataset_is_reported(tmp_path, monkeypatch):
    path = build(tmp_path, 4, monkeypatch)
    info = path / "dataset_info.json"
    info.write_text(re.sub(r'"shardLengths": \[\s*"4"', '"shardLengths": ["0"', info.read_text()))
    with pytest.raises(UserError, match="holds no covers"):
        CoverDataset(path, 1.0)
