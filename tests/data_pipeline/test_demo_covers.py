"""Tests that demo covers are deterministic, complete, and recognizable by genre and year."""

import random
import subprocess
import sys
import types
import unicodedata

import numpy as np
import pytest
import tensorflow_datasets as tfds

from dac.errors import UserError
from data_pipeline.demo_covers import canvas, drawing, layouts, palettes
from data_pipeline.demo_covers.demo_covers_dataset_builder import DemoCovers
from data_pipeline.demo_covers.discography import GENRES, Album, album_of
from experiments import data

BUILD = """
import sys
from data_pipeline.demo_covers.demo_covers_dataset_builder import DemoCovers
DemoCovers.num_covers = 24
for config in (None, "128"):
    DemoCovers(config=config, data_dir=sys.argv[1]).download_and_prepare()
assert "tensorflow" not in sys.modules, "TensorFlow was imported"
"""


def pixels(album: Album) -> np.ndarray:
    """Returns the cover at `[32, 32, 3]` in [0, 1]."""
    return np.asarray(drawing.draw_cover(album).reduce(2), np.float64) / 255


@pytest.fixture(scope="module")
def albums():
    return [album_of(index) for index in range(4000)]


@pytest.fixture(scope="module")
def single(albums):
    """Albums with a single genre, and their covers, `[1600, 32, 32, 3]`."""
    chosen = [album for album in albums if len(album.genres) == 1][:1600]
    return chosen, np.stack([pixels(album) for album in chosen])


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """The records of 24 covers in each size, built in a subprocess and read back here."""
    data_dir = tmp_path_factory.mktemp("tfds")
    subprocess.run([sys.executable, "-c", BUILD, str(data_dir)], check=True, timeout=120)
    folders = {size: data_dir / "demo_covers" / str(size) for size in drawing.SIZES}
    return {
        size: tfds.builder_from_directory(folder / str(DemoCovers.VERSION)).as_data_source("train")
        for size, folder in folders.items()
    }


def regress(features: np.ndarray, targets: np.ndarray, scale: float) -> np.ndarray:
    """Learns from the first 1,200 covers; returns predictions for the others."""
    squares = (features**2).sum(axis=1)
    distances = squares[:, None] + squares - 2 * features @ features.T
    kernel, known = np.exp(-distances / scale), slice(0, 1200)
    weights = np.linalg.solve(kernel[known, known] + 0.01 * np.eye(1200), targets[known])
    return kernel[1200:, known] @ weights


def colours(covers: np.ndarray) -> np.ndarray:
    """Returns the square roots of the shares of 216 colours, `[N, 216]`."""
    codes = np.minimum(covers * 6, 5).astype(int) @ (36, 6, 1)
    counts = [np.bincount(code.ravel(), minlength=216) for code in codes]
    return np.sqrt(np.array(counts) / codes[0].size)


def test_cover_depends_only_on_its_index():
    forwards = [drawing.draw_cover(album_of(i)).tobytes() for i in range(16)]
    backwards = [drawing.draw_cover(album_of(i)).tobytes() for i in reversed(range(16))]
    assert forwards == backwards[::-1]
    assert len(set(forwards)) == 16


def test_seed_changes_albums_and_drawings():
    assert [album_of(i, seed=1) for i in range(8)] != [album_of(i) for i in range(8)]
    album = album_of(0)
    assert drawing.draw_cover(album, seed=1).tobytes() != drawing.draw_cover(album).tobytes()


def test_every_field_of_every_album_is_filled(albums):
    assert len({album.album_id for album in albums}) == len(albums)
    assert {album.release_year for album in albums} == set(range(1950, 2026))
    assert all(album.artist.strip() and album.title.strip() for album in albums)
    assert 600 <= len({album.artist for album in albums}) <= 900
    assert any(not album.artist.isascii() for album in albums)


def test_genres_are_evenly_drawn_and_some_albums_have_two(albums):
    assert len(GENRES) == 16
    assert set(layouts.LAYOUTS) == set(palettes.PALETTES) == set(GENRES)
    assert all(len(set(album.genres)) == len(album.genres) for album in albums)
    share = np.mean([len(album.genres) == 2 for album in albums])
    assert 0.05 < share < 0.09
    counts = [sum(album.genres[0] == genre for album in albums) for genre in GENRES]
    assert min(counts) > 200


@pytest.mark.parametrize("genre", GENRES)
def test_every_layout_of_a_genre_gives_other_covers(genre):
    assert len(layouts.LAYOUTS[genre]) >= 3
    album, palette = album_of(0), palettes.palette_of(genre, 1980)
    pictures = []
    for layout in layouts.LAYOUTS[genre]:
        for seed in range(8):
            page = canvas.Canvas(palette.ground, 128)
            layout(page, palette, random.Random(seed), album if seed % 2 else None)
            pictures.append(page.image.tobytes())
    assert len(set(pictures)) == len(pictures)


@pytest.mark.parametrize("genre", GENRES)
def test_palettes_change_with_the_decades(genre):
    early, middle, late = (palettes.palette_of(genre, year) for year in (1955, 1980, 2015))
    assert early != middle != late != early
    assert palettes.palette_of(genre, 1950) == early
    assert palettes.palette_of(genre, 1968) not in (early, middle)


@pytest.mark.parametrize("index", range(24))
def test_all_sizes_show_the_same_cover(index):
    small, large = (
        np.asarray(drawing.draw_cover(album_of(index), size=size).reduce(size // 16), int)
        for size in drawing.SIZES
    )
    assert np.abs(small - large).mean() < 8
    other = np.asarray(drawing.draw_cover(album_of(index + 1)).reduce(4), int)
    assert np.abs(small - other).mean() > 16


def test_every_character_of_every_name_can_be_drawn(albums):
    for album in albums:
        for char in unicodedata.normalize("NFD", album.artist + album.title):
            assert char.isascii() or char in canvas.MARKS, f"{char!r} of {album}"


@pytest.mark.parametrize(
    ("plain", "accented"), [("Rotfang", "Rötfang"), ("Zelia", "Zélia"), ("Ase", "Åse")]
)
def test_accents_are_drawn(plain, accented):
    pictures = []
    for words in (plain, accented):
        page = canvas.Canvas((0, 0, 0), 128)
        page.text(words, (50, 50), 15, (255, 255, 255))
        pictures.append(np.asarray(page.image, int))
    # The letters are in the same place, with accents above them.
    assert (pictures[1] >= pictures[0]).all()
    assert (pictures[1] > pictures[0]).any()


@pytest.mark.parametrize("upwards", [False, True])
def test_text_stays_within_its_width(upwards):
    page = canvas.Canvas((0, 0, 0), 128)
    page.text("A VERY LONG NAME INDEED", (50, 50), 20, (255,) * 3, width=60, upwards=upwards)
    inked = np.nonzero(np.asarray(page.image).any(axis=(1 if upwards else 0, 2)))[0]
    assert inked.min() >= 0.19 * page.side
    assert inked.max() <= 0.81 * page.side


@pytest.mark.parametrize("genre", GENRES)
def test_only_some_covers_show_the_name(genre):
    def cover(index: int, artist: str) -> bytes:
        album = Album(f"test-{index}", (genre,), 2025, artist, "Title")
        return drawing.draw_cover(album).tobytes()

    lettered = np.mean([cover(i, "Abba") != cover(i, "Moby") for i in range(40)])
    assert 0.35 < lettered < 0.85


def test_genres_are_recognizable(single):
    albums, covers = single
    genre = np.array([GENRES.index(album.genres[0]) for album in albums])
    picture = covers.reshape(-1, 8, 4, 8, 4, 3).mean(axis=(2, 4)).reshape(len(covers), -1)
    features = np.concatenate([5 * colours(covers), picture], axis=1)
    scores = regress(features, np.eye(len(GENRES))[genre], scale=20)
    assert (scores.argmax(axis=1) == genre[1200:]).mean() >= 0.95


def test_year_is_recognizable_within_ten_years(single):
    albums, covers = single
    year = np.array([album.release_year for album in albums]) - 1987.5
    error = np.abs(regress(covers.reshape(len(covers), -1), year, scale=400) - year[1200:])
    assert (error <= 10).mean() >= 0.85


def test_cover_of_two_genres_has_the_colours_of_the_second():
    def mean_colour(*genres: str) -> np.ndarray:
        return pixels(Album("test", genres, 2010, "Artist", "Title")).mean(axis=(0, 1))

    blend, dub, metal = (
        mean_colour(*genres) for genres in (("dub", "thrash metal"), ("dub",), ("thrash metal",))
    )
    assert np.abs(blend - metal).sum() < np.abs(blend - dub).sum()


@pytest.mark.parametrize("genre", GENRES)
def test_blacks_fade_with_age(genre):
    # The same drawings in each decade.
    years, darkest = range(1950, 2021, 10), []
    for year in years:
        albums = [Album(f"test-{i}", (genre,), year, "Artist", "Title") for i in range(12)]
        darkest.append(np.mean([np.quantile(pixels(a).mean(axis=-1), 0.02) for a in albums]))
    assert np.corrcoef(years, darkest)[0, 1] < -0.9


@pytest.mark.parametrize("size", drawing.SIZES)
def test_records_match_albums_and_drawings(sources, size):
    assert len(sources[size]) == 24
    records = {record["album_id"].decode(): record for record in sources[size]}
    for index in range(24):
        album = album_of(index)
        record = records[album.album_id]
        cover = np.asarray(drawing.draw_cover(album, size=size))
        np.testing.assert_array_equal(record["image"], cover)
        assert [GENRES[g] for g in record["genres"]] == list(album.genres)
        assert record["genres_known"]
        assert record["release_year"] == album.release_year
        assert record["artist"].decode() == album.artist
        assert record["title"].decode() == album.title


@pytest.mark.parametrize("size", drawing.SIZES)
def test_dataset_features_list_the_genres(sources, size):
    features = sources[size].dataset_info.features
    assert features["genres"].feature.names == list(GENRES)
    assert features["image"].shape == (size, size, 3)


def test_training_builds_the_smallest_size_that_suffices(tmp_path, monkeypatch):
    monkeypatch.setattr(DemoCovers, "num_covers", 4)
    monkeypatch.setattr(data.flags, "FLAGS", types.SimpleNamespace(data_dir=tmp_path))
    sizes = [data.open_dataset("demo_covers", side).parent.name for side in (32, 64, 128)]
    assert sizes == ["64", "64", "128"]
    with pytest.raises(UserError, match="128x128 at most"):
        data.open_dataset("demo_covers", 256)


def test_four_thousand_covers_are_built_by_default():
    assert DemoCovers.num_covers == 4000
