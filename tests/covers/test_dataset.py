import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from dac.covers import conditions
from dac.covers.albums import ALBUMS_FILE, write_albums
from dac.covers.conditions import FIELDS, Album, encode
from dac.covers.dataset import (
    HELD_OUT,
    TRAINING,
    VERSION,
    CoverDataset,
    cover_features,
    find_dataset,
    finish_dataset,
)
from dac.covers.images import shrink
from dac.errors import UserError
from data_pipeline import held_out
from data_pipeline.demo_covers.demo_covers_dataset_builder import DemoCovers
from data_pipeline.demo_covers.discography import GENRES, album_of

TRAINING_ALBUMS = ALBUMS_FILE.format(split=TRAINING)


@pytest.fixture(scope="module")
def path(data_dir):
    return find_dataset(data_dir, "demo_covers", 32)


@pytest.fixture
def dataset(path):
    return CoverDataset(path, memory_gib=1.0)


def test_dataset_has_all_covers_and_their_metadata(dataset):
    assert len(dataset) == 64
    albums = {(a.year, a.artist, a.title): a for a in map(dataset.album, range(64))}
    drawn = [album_of(i) for i in range(64)]
    for album in drawn:
        held = albums[album.release_year, album.artist, album.title]
        assert {dataset.genres[g] for g in held.genres} == set(album.genres)
    years = [album.release_year for album in drawn]
    assert dataset.years == (min(years), max(years))
    assert dataset.genre_counts().sum() == sum(len(album.genres) for album in drawn)
    labels = dataset.labels(np.arange(64))
    np.testing.assert_allclose(labels["genres"].sum(axis=1), 1.0)
    assert labels["genres_known"].all()
    json.dumps(dataset.identity)
    assert dataset.identity["years"] == [min(years), max(years)]
    assert dataset.known_fields == FIELDS


def test_indices_depend_only_on_seed_and_clock(path, dataset):
    indices = dataset.indices(1, 100, 16)
    dataset.indices(1, 5000, 8)  # earlier calls do not matter
    np.testing.assert_array_equal(CoverDataset(path, 1.0).indices(1, 100, 16), indices)
    # Nor do batch sizes or the end of an epoch.
    parts = [dataset.indices(1, start, 4) for start in (100, 104, 108, 112)]
    np.testing.assert_array_equal(np.concatenate(parts), indices)
    np.testing.assert_array_equal(
        dataset.indices(1, 60, 8),
        np.concatenate([dataset.indices(1, 60, 4), dataset.indices(1, 64, 4)]),
    )


def test_each_epoch_is_a_different_permutation(dataset):
    first, second, other_seed = (
        dataset.indices(seed, start, 64).tolist() for seed, start in ((0, 0), (0, 64), (1, 0))
    )
    assert sorted(first) == sorted(second) == sorted(other_seed) == list(range(64))
    assert first != second
    assert first != other_seed


def test_batch_has_images_and_encoded_conditions(dataset):
    indices = np.array([5, 0, 63])
    batch = dataset.batch(indices, 16, FIELDS)
    np.testing.assert_array_equal(batch.pop("image"), dataset.images(indices, 16))
    expected = encode([dataset.album(i) for i in indices], FIELDS, len(dataset.genres))
    assert set(batch) == set(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(batch[name], values)
    assert set(dataset.batch(indices, 8, ())) == {"image"}


def test_dataset_read_from_disk_gives_the_same_covers(path, dataset):
    streamed = CoverDataset(path, memory_gib=0.0)
    indices = np.array([5, 0, 63])
    np.testing.assert_array_equal(streamed.images(indices, 16), dataset.images(indices, 16))
    np.testing.assert_array_equal(
        dataset.images(indices, 16), shrink(dataset.images(indices, 64), 16)
    )


class Covers(tfds.core.GeneratorBasedBuilder):
    """A dataset whose metadata is missing or blank, except for one artist."""

    VERSION = tfds.core.Version(VERSION)
    code_path = Path(__file__)  # without it TFDS needs a package that may be missing

    def __init__(self, data_dir):
        super().__init__(data_dir=data_dir, file_format="array_record")

    def _info(self):
        features = cover_features(8)
        features["genres"].feature.names = []
        return tfds.core.DatasetInfo(builder=self, features=features)

    def _split_generators(self, _):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        image = io.BytesIO()
        Image.new("RGB", (8, 8)).save(image, "PNG")
        known = {"image": image.getvalue(), "genres": [], "genres_known": False}
        for i, artist in enumerate((None, "", " \u200b", "Ras Delay")):
            album = {"album_id": f"{i}", "release_year": None, "artist": artist, "title": None}
            yield i, known | album


def test_missing_metadata_is_unknown(tmp_path):
    builder = Covers(tmp_path)
    builder.download_and_prepare()
    finish_dataset(builder)
    dataset = CoverDataset(builder.data_path, 1.0)
    assert sorted(str(dataset.album(i).artist) for i in range(4)) == [*["None"] * 3, "Ras Delay"]
    assert dataset.years is None
    assert dataset.identity["years"] is None
    assert dataset.genre_counts().shape == (0,)
    assert dataset.known_fields == ("artist",)


def test_find_dataset_takes_the_smallest_sufficient_size_in_the_present_format(tmp_path):
    for name in ("64/3.0.0", "64/4.0.0", "256/4.2.0", "256/4.10.0", "256/5.0.0", "512/3.0.0"):
        (tmp_path / "album_covers" / name).mkdir(parents=True)
        (tmp_path / "album_covers" / name / "dataset_info.json").touch()
    (tmp_path / "album_covers" / "128" / "4.0.0").mkdir(parents=True)  # an incomplete build
    root = tmp_path / "album_covers"
    assert find_dataset(tmp_path, "album_covers", 64) == root / "64/4.0.0"
    assert find_dataset(tmp_path, "album_covers", 65) == root / "256/4.10.0"
    assert find_dataset(tmp_path, "album_covers", 512) is None
    assert find_dataset(tmp_path, "other", 4) is None
    begun = ("album_covers/256/4.2.0", "album_covers/64/3.0.0")
    found = [find_dataset(tmp_path, "album_covers", 64, name) for name in begun]
    assert found == [root / "256/4.2.0", root / "64/4.0.0"]


def build(folder, covers, monkeypatch):
    monkeypatch.setattr(DemoCovers, "num_covers", covers)
    builder = DemoCovers(data_dir=folder)
    builder.download_and_prepare()
    return builder.data_path


def test_corrupt_record_error_suggests_a_rebuild(tmp_path, monkeypatch):
    path = build(tmp_path, 8, monkeypatch)
    (records,) = path.glob("*.array_record-*")
    content = bytearray(records.read_bytes())
    for place in range(1000, len(content) - 100_000, 500):
        content[place] ^= 0xFF
    records.write_bytes(content)
    with pytest.raises(UserError, match=r"can't be read: .*tfds build --overwrite"):
        CoverDataset(path, 1.0).images(np.arange(8), 8)


def test_empty_dataset_is_rejected(tmp_path, monkeypatch):
    path = build(tmp_path, 4, monkeypatch)
    info = path / "dataset_info.json"
    info.write_text(re.sub(r'"shardLengths": \[\s*"4"', '"shardLengths": ["0"', info.read_text()))
    with pytest.raises(UserError, match="holds no covers"):
        CoverDataset(path, 1.0)


def test_held_out_covers_are_a_dataset_of_their_own(tmp_path, path, monkeypatch):
    monkeypatch.setattr(held_out, "LEAST", 64)
    whole = build(tmp_path, 64, monkeypatch)
    trained, unseen = (CoverDataset(whole, 1.0, split) for split in (TRAINING, HELD_OUT))
    assert len(trained) + len(unseen) == 64
    artists = [{data.album(i).artist for i in range(len(data))} for data in (trained, unseen)]
    assert artists[0] | artists[1] == {album_of(i).artist for i in range(64)}
    assert artists[0].isdisjoint(artists[1])
    assert trained.identity["covers"] == len(trained)
    assert unseen.images(np.arange(len(unseen)), 8).shape == (len(unseen), 8, 8, 3)
    with pytest.raises(UserError, match="too few covers to hold some out"):
        CoverDataset(path, 1.0, HELD_OUT)


def test_a_dataset_of_an_earlier_version_is_refused_with_the_command_that_builds_it(
    path, tmp_path, monkeypatch
):
    earlier = r"earlier version.*: tfds build data_pipeline/demo_covers --manual_dir=.* --overwrite"
    without = shutil.copytree(path, tmp_path / "without")
    (without / TRAINING_ALBUMS).unlink()
    old = shutil.copytree(path, tmp_path / "old")
    info = (old / "dataset_info.json").read_text()
    (old / "dataset_info.json").write_text(
        info.replace(f'"version": "{VERSION}"', '"version": "1.0.0"')
    )
    for folder in (without, old):
        with pytest.raises(UserError, match=earlier) as error:
            CoverDataset(folder, 1.0)
        assert "\n" not in str(error.value)
    monkeypatch.setattr(conditions, "TEXT_BUCKETS", 512)
    with pytest.raises(UserError, match=earlier):
        CoverDataset(path, 1.0)


def test_damaged_albums_are_reported_with_the_way_out(path, tmp_path):
    copy = shutil.copytree(path, tmp_path / "copy")
    content = (path / TRAINING_ALBUMS).read_bytes()
    half = len(content) // 2
    flipped = content[:half] + bytes([content[half] ^ 0xFF]) + content[half + 1 :]
    for damaged in (content[:half], b"", flipped):
        (copy / TRAINING_ALBUMS).write_bytes(damaged)
        with pytest.raises(
            UserError, match=r"albums-train.npz is damaged .*tfds build --overwrite"
        ):
            CoverDataset(copy, 1.0)
    write_albums([Album()], copy / TRAINING_ALBUMS)
    with pytest.raises(UserError, match="1 albums of 64 covers"):
        CoverDataset(copy, 1.0)


def test_a_dataset_is_opened_without_reading_a_record(path, monkeypatch):
    def read(*_):
        raise AssertionError("a record was read")

    monkeypatch.setattr(CoverDataset, "_record", read)
    dataset = CoverDataset(path, 1.0)
    assert dataset.album(3).artist
    assert dataset.labels(np.arange(64))["genres"].shape == (64, len(GENRES))
