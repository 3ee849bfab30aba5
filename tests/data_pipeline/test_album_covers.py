import contextlib
import hashlib
import itertools
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image, ImageCms

from dac.covers.dataset import CoverDataset
from data_pipeline import held_out
from data_pipeline.album_covers.album_covers_dataset_builder import AlbumCovers, AlbumCoversConfig
from data_pipeline.examples import Recipe, make_example, make_examples
from data_pipeline.folder import Skipped, read_folder
from tests.collecting import ROOT

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def draw(folder: Path, name: str, colour=RED, size=(96, 96)) -> None:
    Image.new("RGB", size, colour).save(folder / name)


def describe(folder: Path, *lines) -> None:
    encoded = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    (folder / "metadata.jsonl").write_text("\n".join(encoded))


def build(folder: Path, data_dir: Path, config: str | None = None, **options) -> AlbumCovers:
    """Builds the dataset and opens it from its files."""
    builder = AlbumCovers(config=config, data_dir=data_dir)
    options["manual_dir"] = folder
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(**options))
    return tfds.builder_from_directory(builder.data_dir)


def read_back(builder: tfds.core.DatasetBuilder) -> dict[str, dict]:
    """Returns the examples of a dataset by album ID."""
    return {example["album_id"].decode(): example for example in builder.as_data_source("train")}


def skipped_lines(builder: tfds.core.DatasetBuilder) -> list[dict]:
    lines = Path(builder.data_dir, "skipped.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def examples_of_splits(builder: tfds.core.DatasetBuilder) -> list[list[dict]]:
    """Returns the examples of both splits in their order, with encoded pictures."""
    encoded = {"image": tfds.decode.SkipDecoding()}
    return [
        list(builder.as_data_source(split, decoders=encoded)) for split in ("train", "validation")
    ]


def other_files(builder: tfds.core.DatasetBuilder) -> dict[str, bytes]:
    """Returns the contents of all files except the examples."""
    files = Path(builder.data_dir).iterdir()
    return {file.name: file.read_bytes() for file in files if "array_record" not in file.name}


def assert_albums_of_records(builder: tfds.core.DatasetBuilder) -> None:
    """The file beside the records has their albums, in their order."""
    dataset = CoverDataset(builder.data_dir, memory_gib=1.0)
    records = builder.as_data_source("train")
    assert len(dataset) == len(records)
    for index, record in enumerate(records):
        album = dataset.album(index)
        assert list(album.genres or ()) == list(record["genres"])
        assert album.year == record["release_year"]
        for held, written in ((album.artist, "artist"), (album.title, "title")):
            assert held == (record[written] and record[written].decode())


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "covers"
    path.mkdir()
    return path


def test_cover_and_metadata_are_read_back(folder, tmp_path):
    draw(folder, "a.png", GREEN)
    describe(
        folder,
        {
            "file_name": "a.png",
            "album_id": "id",
            "genres": ["Thrash Metal", "dub"],
            "release_year": 1988,
            "artist": "Árstíðir",
            "title": "Title",
        },
    )
    builder = build(folder, tmp_path)
    example = read_back(builder)["id"]
    assert example["image"].dtype == np.uint8
    np.testing.assert_array_equal(example["image"], np.full((64, 64, 3), GREEN))
    names = builder.info.features["genres"].feature.names
    assert [names[genre] for genre in example["genres"]] == ["thrash metal", "dub"]
    assert example["genres_known"]
    assert example["release_year"] == 1988
    assert example["artist"].decode() == "Árstíðir"
    assert example["title"] == b"Title"
    assert_albums_of_records(builder)


def test_missing_and_blank_fields_are_read_back_as_missing(folder, tmp_path):
    for name in ("bare", "null", "empty", "full"):
        draw(folder, f"{name}.png")
    describe(
        folder,
        {"file_name": "bare.png"},
        {"file_name": "null.png", "genres": None, "release_year": None, "artist": None},
        {"file_name": "empty.png", "genres": [], "artist": " ", "title": ""},
        {"file_name": "full.png", "genres": ["dub"]},
    )
    examples = read_back(build(folder, tmp_path))
    for name in ("bare", "null", "empty"):
        example = examples[name]
        assert list(example["genres"]) == []
        assert not example["genres_known"]
        assert example["release_year"] is None
        assert example["artist"] is None
        assert example["title"] is None
    assert examples["full"]["genres_known"]


def test_genre_vocabulary_is_sorted_and_stored(folder, tmp_path):
    for index, genre in enumerate(["Rock", "dub ", "rock", *"76543210"]):
        draw(folder, f"{index}.png")
        line = json.dumps({"file_name": f"{index}.png", "genres": [genre]})
        with (folder / "metadata.jsonl").open("a") as metadata:
            metadata.write(line + "\n")
    builder = build(folder, tmp_path)
    assert builder.info.features["genres"].feature.names == [*"01234567", "dub", "rock"]
    genres = {album: list(example["genres"]) for album, example in read_back(builder).items()}
    assert (genres["0"], genres["1"], genres["2"], genres["3"]) == ([9], [8], [9], [7])


def test_collection_without_genres_builds(folder, tmp_path):
    draw(folder, "a.png")
    describe(folder, {"file_name": "a.png"})
    builder = build(folder, tmp_path)
    assert builder.info.features["genres"].feature.names == []
    assert not read_back(builder)["a"]["genres_known"]


def test_unusable_entries_are_skipped_listed_and_counted(folder, tmp_path):
    draw(folder, "good.png", GREEN)
    draw(folder, "last.png", BLUE)
    (folder / "empty.jpg").touch()
    (folder / "page.jpg").write_text("<html>not found</html>")
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(folder / "half.jpg")
    half = (folder / "half.jpg").read_bytes()
    (folder / "half.jpg").write_bytes(half[: len(half) // 2])
    Image.new("1", (8_000, 8_000)).save(folder / "huge.png")
    draw(folder, "cassette.png", RED, (300, 1600))
    describe(
        folder,
        {"file_name": "good.png"},
        {"file_name": "empty.jpg"},
        {"file_name": "page.jpg"},
        {"file_name": "half.jpg"},
        {"file_name": "huge.png"},
        {"file_name": "cassette.png"},
        {"file_name": "gone.jpg"},
        {"file_name": "../secret.jpg"},
        "{malformed",
        {"file_name": "page.jpg", "album_id": "again"},
        {"file_name": "last.png"},
    )
    builder = build(folder, tmp_path)
    assert set(read_back(builder)) == {"good", "last"}
    expected = {
        "empty.jpg": "empty",
        "page.jpg": "not_a_picture",
        "half.jpg": "truncated",
        "huge.png": "too_large",
        "cassette.png": "too_oblong",
        "gone.jpg": "missing",
        "../secret.jpg": "outside_folder",
        None: "malformed_json",
    }
    listed = skipped_lines(builder)
    assert {"file_name": "page.jpg", "line": 10, "reason": "duplicate_file"} in listed
    assert {"file_name": None, "line": 9, "reason": "malformed_json"} in listed
    listed = {
        line["file_name"]: line["reason"] for line in listed if line["reason"] != "duplicate_file"
    }
    assert listed == expected
    assert builder.info.metadata["covers"] == 2
    assert builder.info.metadata["skipped"] == dict.fromkeys(
        [*expected.values(), "duplicate_file"], 1
    )


def test_upscaled_covers_are_counted(folder, tmp_path):
    draw(folder, "small.png", BLUE, (63, 180))
    draw(folder, "exact.png", RED, (64, 64))
    draw(folder, "large.jpg", RED, (600, 600))
    describe(
        folder, *({"file_name": f"{name}"} for name in ("small.png", "exact.png", "large.jpg"))
    )
    builder = build(folder, tmp_path)
    assert read_back(builder)["small"]["image"].shape == (64, 64, 3)
    assert builder.info.metadata["upscaled"] == 1
    assert builder.info.metadata["covers"] == 3


def profile_of_swapped_colours() -> bytes:
    """Returns a colour profile in which red is what sRGB calls green, and so on."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    tags = {bytes(data[at : at + 4]): at for at in range(132, 132 + 12 * data[131], 12)}
    red, green = tags[b"rXYZ"], tags[b"gXYZ"]
    data[red : red + 4], data[green : green + 4] = b"gXYZ", b"rXYZ"
    return bytes(data).replace(b"sRGB", b"ours").replace(b"s\0R\0G\0B", b"o\0u\0r\0s")


def test_colour_profiles_are_applied_and_counted(folder, tmp_path):
    Image.new("RGB", (64, 64), RED).save(
        folder / "swapped.png", icc_profile=profile_of_swapped_colours()
    )
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.new("RGB", (64, 64), RED).save(folder / "srgb.png", icc_profile=srgb)
    Image.new("RGB", (64, 64), RED).save(folder / "broken.png", icc_profile=b"nonsense")
    describe(folder, *({"file_name": f"{name}.png"} for name in ("swapped", "srgb", "broken")))
    builder = build(folder, tmp_path)
    colours = {name: tuple(e["image"][9, 9].tolist()) for name, e in read_back(builder).items()}
    assert colours["srgb"] == colours["broken"] == RED
    assert colours["swapped"][1] > 250 > 9 > colours["swapped"][0]
    assert builder.info.metadata["colour_managed"] == 1


def test_options_of_the_config(folder, tmp_path):
    names = ("a", "b", "same", "similar")
    for name in names:
        draw(folder, f"{name}.png", RED, (64, 128))
    more = {"same": {"same_as": "a"}, "similar": {"similar_to": "a"}, "b": {"genres": ["dub"]}}
    lines = ({"file_name": f"{name}.png", "genres": ["dub", "ska"]} for name in names)
    describe(folder, *(line | more.get(line["file_name"][:-4], {}) for line in lines))
    (folder / "ATTRIBUTION.md").write_text("They belong to their owners.")
    options = {"encoding": "jpeg", "pad": True, "drop_doubles": True, "min_covers_per_genre": 4}
    config = AlbumCoversConfig(name="64", **options)
    builder = build(folder, tmp_path, config)
    assert Path(builder.data_dir) == tmp_path / "album_covers/64" / str(AlbumCovers.VERSION)
    encoded = {"image": tfds.decode.SkipDecoding()}
    (a, b) = builder.as_data_source("train", decoders=encoded)
    assert a["image"].startswith(b"\xff\xd8")
    pixels = CoverDataset(builder.data_dir, 1.0).images(np.array([0]), 64)[0]
    assert (pixels[32, 4] > 240).all()  # white at the sides
    assert abs(pixels[32, 32].astype(int) - RED).max() < 9
    assert builder.info.features["genres"].feature.names == ["dub"]
    assert list(a["genres"]) == list(b["genres"]) == [0]
    told = builder.info.metadata
    assert told["skipped"] == {"double": 2}
    assert (told["oblong"], told["upscaled"]) == (2, 0)
    assert told["options"] == options | {"max_aspect": 3.0}
    assert told["collection"]["attribution"] == "They belong to their owners."
    version = hashlib.sha256((folder / "metadata.jsonl").read_bytes()).hexdigest()
    assert told["collection"]["metadata_sha256"] == version
    assert "owners" in builder.info.redistribution_info.license
    assert "musicbrainz" in builder.info.citation
    for wrong in ({"name": "big"}, {"name": "64", "encoding": "webp"}):
        with pytest.raises(ValueError, match="must be"):
            AlbumCoversConfig(**wrong)


def test_dataset_of_other_options_is_not_reused_silently(folder, tmp_path):
    draw(folder, "a.png", size=(64, 128))
    describe(folder, {"file_name": "a.png"})
    padded = AlbumCoversConfig(name="64", pad=True)
    before = read_back(build(folder, tmp_path))["a"]["image"]
    build(folder, tmp_path)  # the same options: reused
    with pytest.raises(ValueError, match=r"pad=False, not True.* --overwrite.* --data_dir") as told:
        build(folder, tmp_path, padded)
    assert "\n" not in str(told.value)
    np.testing.assert_array_equal(read_back(build(folder, tmp_path))["a"]["image"], before)
    overwrite = tfds.download.GenerateMode.REUSE_CACHE_IF_EXISTS
    renewed = build(folder, tmp_path, padded, download_mode=overwrite)
    assert (read_back(renewed)["a"]["image"] != before).any()
    build(folder, tmp_path, padded)


def test_builder_configs_and_image_sizes(folder, tmp_path):
    draw(folder, "a.png", size=(300, 300))
    describe(folder, {"file_name": "a.png"})
    assert list(AlbumCovers.builder_configs) == ["64", "128", "256", "512"]
    assert AlbumCovers(data_dir=tmp_path).builder_config.name == "64"
    builder = build(folder, tmp_path, "128")
    assert builder.info.features["image"].shape == (128, 128, 3)
    assert read_back(builder)["a"]["image"].shape == (128, 128, 3)
    assert builder.info.file_format == tfds.core.FileFormat.ARRAY_RECORD


def test_dataset_does_not_depend_on_line_order(folder, tmp_path):
    # More than one chunk.
    lines = [
        {"file_name": f"{i}.png", "title": f"Title {i}" if i % 3 else None} for i in range(150)
    ]
    for index, line in enumerate(lines):
        draw(folder, line["file_name"], (index, 0, 0), (8, 8))
    describe(folder, *lines)
    builder = build(folder, tmp_path / "forward")
    assert_albums_of_records(builder)
    forward = list(builder.as_data_source("train"))
    describe(folder, *reversed(lines))
    backward = list(build(folder, tmp_path / "backward").as_data_source("train"))
    assert len(forward) == 150
    assert [example["album_id"] for example in forward] == [
        example["album_id"] for example in backward
    ]
    for example in forward:
        assert example["image"][0, 0, 0] == int(example["album_id"])


def test_no_artist_and_no_picture_is_in_both_splits(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(held_out, "LEAST", 60)
    (folder / "broken.png").write_text("no picture")
    lines = [{"file_name": "broken.png", "artist": f"artist {i}"} for i in range(2)]
    for i in range(80):
        draw(folder, f"{i}.png", (i, 0, 0), (8, 8))
        line = {"file_name": f"{i}.png", "album_id": f"{i}", "artist": f"Artist {i % 20}"}
        double = {50: {"same_as": "9"}, 51: {"similar_to": "12"}}.get(i, {})
        lines.append(line | double)
    describe(folder, *lines)
    builder = build(folder, tmp_path)
    splits = {split: list(builder.as_data_source(split)) for split in ("train", "validation")}
    artists = [{record["artist"] for record in split} for split in splits.values()]
    assert artists[0].isdisjoint(artists[1])
    sides = [
        {int(a.split()[1]) for a in side} for side in ({*map(bytes.decode, s)} for s in artists)
    ]
    for together in ({9, 10}, {11, 12}):
        assert any(together <= side for side in sides)
    assert sum(map(len, splits.values())) == builder.info.metadata["covers"] == 80
    assert len(splits["validation"]) == builder.info.metadata["held_out"] > 0
    assert [line["line"] for line in skipped_lines(builder)] == [1, 2]
    assert len(CoverDataset(builder.data_dir, 1.0, "validation")) == len(splits["validation"])


def test_beam_builds_the_same_dataset(folder, tmp_path, monkeypatch):
    pytest.importorskip("apache_beam", reason="apache-beam comes with the build extra")
    from apache_beam.options.pipeline_options import PipelineOptions

    monkeypatch.setattr(held_out, "LEAST", 20)
    lines = ["{malformed", {"file_name": "gone.png"}]
    for index in range(40):
        draw(folder, f"{index}.png", (index, 0, 0), (32 + 2 * index, 80))  # Some are too small.
        line = {"file_name": f"{index}.png", "genres": [f"genre {index % 7}"], "title": str(index)}
        lines += [line, line] if index % 10 == 0 else [line]
    (folder / "7.png").write_text("no picture")
    describe(folder, *lines)

    beam = {"beam_options": PipelineOptions(["--runner=DirectRunner"])}
    for shards in (None, 3):
        plain = build(folder, tmp_path / f"plain-{shards}", num_shards=shards)
        other = build(folder, tmp_path / f"beam-{shards}", num_shards=shards, **beam)
        assert sum(map(len, examples_of_splits(plain))) == 39
        assert examples_of_splits(other) == examples_of_splits(plain)  # In the same order.
        assert plain.info.metadata["skipped"].keys() == {
            "malformed_json",
            "missing",
            "duplicate_file",
            "not_a_picture",
        }
        if shards is None:  # TFDS chooses shard boundaries, which are in `dataset_info.json`.
            assert other_files(other) == other_files(plain)
        assert_albums_of_records(other)
    (folder / "metadata.jsonl").write_text("{malformed")
    with pytest.raises(ValueError, match=r"No usable cover in .*1 malformed_json"):
        build(folder, tmp_path / "none", **beam)


@contextlib.contextmanager
def beam_services(log: Path):
    """Runs `tests.beam_services` in a process group of its own; yields its options."""
    # The pool starts its workers as `python`.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    with (
        log.open("w") as stderr,
        subprocess.Popen(
            [sys.executable, "-m", "tests.beam_services"],
            cwd=ROOT,
            env=os.environ | {"PATH": path, "TMPDIR": str(log.parent)},
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            start_new_session=True,
        ) as services,
    ):
        try:
            yield services.stdout.readline().strip()
        finally:
            os.killpg(services.pid, signal.SIGKILL)


@pytest.mark.slow
def test_beam_builds_the_same_dataset_in_workers_of_a_job_service(folder, tmp_path):
    pytest.importorskip("apache_beam", reason="apache-beam comes with the build extra")
    lines = ["{malformed", {"file_name": "gone.png"}]
    for index in range(held_out.LEAST + 10):
        draw(folder, f"{index}.png", (index % 256, index // 256, 0), (64, 64 + index % 2))
        lines.append({"file_name": f"{index}.png", "genres": [f"genre {index % 7}"]})
    describe(folder, *lines)
    log = tmp_path / "log"
    with beam_services(log) as options:
        subprocess.run(
            [
                *(sys.executable, "-m", "tensorflow_datasets.scripts.cli.main", "build"),
                *("data_pipeline/album_covers", "--config=64", f"--manual_dir={folder}"),
                *(f"--data_dir={tmp_path / 'beam'}", f"--beam_pipeline_options={options}"),
            ],
            cwd=ROOT,
            check=True,
            timeout=300,
        )
    assert log.read_text().count("Starting worker with command") == 2
    plain = build(folder, tmp_path / "plain", "64")
    other = tfds.builder_from_directory(
        tmp_path / "beam" / Path(plain.data_dir).relative_to(tmp_path / "plain")
    )
    assert sum(map(len, examples_of_splits(plain))) == held_out.LEAST + 10
    assert examples_of_splits(other) == examples_of_splits(plain)  # In the same order.
    files = other_files(plain)
    # `tfds build` loads the builder under another name.
    name = (b"data_pipeline.album_covers.", b"album_covers.")
    files["dataset_info.json"] = files["dataset_info.json"].replace(*name)
    assert other_files(other) == files
    assert_albums_of_records(other)


def test_build_with_max_examples_keeps_its_counts(folder, tmp_path):
    for name in ("a", "b", "c"):
        draw(folder, f"{name}.png")
    describe(folder, "[]", *({"file_name": f"{name}.png"} for name in ("a", "b", "c")))
    builder = build(folder, tmp_path, max_examples_per_split=2)
    assert_albums_of_records(builder)
    assert builder.info.metadata["skipped"] == {"not_an_object": 1}
    assert len(read_back(builder)) == 2
    assert [line["reason"] for line in skipped_lines(builder)] == ["not_an_object"]


def test_make_example_returns_an_example_or_a_skip_reason(folder):
    draw(folder, "a.png")
    (folder / "b.png").write_text("no picture")
    describe(folder, {"file_name": "a.png", "genres": ["dub"]}, {"file_name": "b.png"})
    good, bad = read_folder(folder)
    recipe = Recipe(128)
    example, facts = make_example(good, recipe)
    assert facts == ("upscaled",)
    assert example["image"].startswith(b"\x89PNG")
    assert example["genres"] == ["dub"]
    assert make_example(good, recipe) == (example, facts)
    assert make_example(bad, recipe) == Skipped("b.png", 2, "not_a_picture")
    (folder / "a.png").unlink()
    assert make_example(good, recipe) == Skipped("a.png", 1, "unreadable")


def test_make_examples_reads_lines_lazily(folder):
    draw(folder, "a.png")
    describe(folder, {"file_name": "a.png"}, {"file_name": "gone.png"})
    lines = list(read_folder(folder))
    recipe = Recipe(64)
    endless = make_examples(itertools.cycle(lines), recipe)
    made = list(itertools.islice(endless, 1000))
    endless.close()
    assert made == [make_example(line, recipe) for line in lines] * 500


def test_errors_say_what_to_do(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"--manual_dir=.*metadata\.jsonl.*file_name"):
        build(tmp_path / "nowhere", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"--manual_dir=.*metadata\.jsonl.*file_name"):
        build(folder, tmp_path)
    (folder / "page.jpg").write_text("no picture")
    with pytest.raises(FileNotFoundError, match=r"No metadata\.jsonl: .*covers.*file_name"):
        build(folder, tmp_path)
    describe(folder)
    with pytest.raises(ValueError, match=r"No usable cover in .*covers.*nothing.*file_name"):
        build(folder, tmp_path)
    describe(folder, "[]", {"file_name": "gone.jpg"})
    with pytest.raises(ValueError, match=r"1 not_an_object, 1 missing"):
        build(folder, tmp_path)
    describe(folder, {"file_name": "page.jpg"})
    with pytest.raises(ValueError, match=r"No usable cover in .*covers.*1 not_a_picture") as caught:
        build(folder, tmp_path)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob("album_covers/64/*"))
