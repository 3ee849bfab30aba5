"""Tests that demo covers are deterministic, complete, and recognizable by genre and year."""

import subprocess
import sys
import unicodedata

import numpy as np
import pytest
import tensorflow_datasets as tfds

from data_pipeline.demo_covers import canvas, drawing, layouts
from data_pipeline.demo_covers.demo_covers_dataset_builder import DemoCovers
from data_pipeline.demo_covers.discography import GENRES, Album, album_of

BUILD = """
import sys
from data_pipeline.demo_covers.demo_covers_dataset_builder import DemoCovers
DemoCovers.num_covers = 24
DemoCovers(data_dir=sys.argv[1]).download_and_prepare()
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
    """Albums with a single genre, and their covers, `[800, 32, 32, 3]`."""
    chosen = [album for album in albums if len(album.genres) == 1][:800]
    return chosen, np.stack([pixels(album) for album in chosen])


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """The records of 24 covers, built in a subprocess and read back here."""
    data_dir = tmp_path_factory.mktemp("tfds")
    subprocess.run([sys.executable, "-c", BUILD, str(data_dir)], check=True, timeout=120)
    builder = tfds.builder_from_directory(data_dir / "demo_covers" / str(DemoCovers.VERSION))
    return builder.as_data_source("train")


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
    assert 300 <= len({album.artist for album in albums}) <= 600
    assert any(not album.artist.isascii() for album in albums)


def test_eight_genres_are_evenly_drawn_and_some_albums_have_two(albums):
    assert len(GENRES) == 8
    assert set(layouts.STYLES) == set(GENRES)
    assert all(len(set(album.genres)) == len(album.genres) for album in albums)
    share = np.mean([len(album.genres) == 2 for album in albums])
    assert 0.05 < share < 0.09
    counts = [sum(album.genres[0] == genre for album in albums) for genre in GENRES]
    assert min(counts) > 400


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
        page = canvas.Canvas((0, 0, 0))
        page.text(words, (50, 50), 15, (255, 255, 255))
        pictures.append(np.asarray(page.image, int))
    # The letters are in the same place, with accents above them.
    assert (pictures[1] >= pictures[0]).all()
    assert (pictures[1] > pictures[0]).any()


@pytest.mark.parametrize("upwards", [False, True])
def test_text_stays_within_its_width(upwards):
    page = canvas.Canvas((0, 0, 0))
    page.text("A VERY LONG NAME INDEED", (50, 50), 20, (255,) * 3, width=60, upwards=upwards)
    inked = np.nonzero(np.asarray(page.image).any(axis=(1 if upwards else 0, 2)))[0]
    assert inked.min() >= 0.19 * canvas.SIDE
    assert inked.max() <= 0.81 * canvas.SIDE


@pytest.mark.parametrize("genre", GENRES)
def test_only_some_covers_show_the_name(genre):
    def cover(index: int, artist: str) -> bytes:
        album = Album(f"test-{index}", (genre,), 2025, artist, "Title")
        return drawing.draw_cover(album).tobytes()

    lettered = np.mean([cover(i, "Abba") != cover(i, "Moby") for i in range(40)])
    assert 0.35 < lettered < 0.85


def test_genres_are_recognizable_at_16x16(single):
    albums, covers = single
    flat = covers.reshape(-1, 16, 2, 16, 2, 3).mean(axis=(2, 4)).reshape(len(covers), -1)
    genre = np.array([GENRES.index(album.genres[0]) for album in albums])
    known, asked = slice(0, 500), slice(500, None)
    centroids = np.stack([flat[known][genre[known] == g].mean(axis=0) for g in range(len(GENRES))])
    distances = ((flat[asked, None] - centroids) ** 2).sum(axis=-1)
    assert (distances.argmin(axis=1) == genre[asked]).mean() >= 0.97


def test_year_is_recognizable_within_ten_years(single):
    albums, covers = single
    flat = covers.reshape(len(covers), -1)
    year = np.array([album.release_year for album in albums]) - 1987.5
    known, asked = slice(0, 600), slice(600, None)

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T
        return np.exp(-squares / 400)

    weights = np.linalg.solve(kernel(flat[known], flat[known]) + 0.01 * np.eye(600), year[known])
    error = np.abs(kernel(flat[asked], flat[known]) @ weights - year[asked])
    assert (error <= 10).mean() >= 0.9


def test_cover_of_two_genres_has_the_colours_of_the_second():
    def mean_colour(*genres: str) -> np.ndarray:
        return pixels(Album("test", genres, 2010, "Artist", "Title")).mean(axis=(0, 1))

    blend, dub, metal = (
        mean_colour(*genres) for genres in (("dub", "thrash metal"), ("dub",), ("thrash metal",))
    )
    assert np.abs(blend - metal).sum() < np.abs(blend - dub).sum()


@pytest.mark.parametrize("genre", GENRES)
def test_blacks_fade_with_age(genre):
    # The same drawing in each decade.
    years = range(1950, 2021, 10)
    covers = [pixels(Album("test", (genre,), year, "Artist", "Title")) for year in years]
    darkest = [np.quantile(cover.mean(axis=-1), 0.05) for cover in covers]
    assert np.corrcoef(years, darkest)[0, 1] < -0.9


def test_records_match_albums_and_drawings(source):
    assert len(source) == 24
    records = {record["album_id"].decode(): record for record in source}
    for index in range(24):
        album = album_of(index)
        record = records[album.album_id]
        np.testing.assert_array_equal(record["image"], np.asarray(drawing.draw_cover(album)))
        assert [GENRES[g] for g in record["genres"]] == list(album.genres)
        assert record["genres_known"]
        assert record["release_year"] == album.release_year
        assert record["artist"].decode() == album.artist
        assert record["title"].decode() == album.title


def test_dataset_features_list_the_genres(source):
    features = source.dataset_info.features
    assert features["genres"].feature.names == list(GENRES)
    assert features["image"].shape == (drawing.SIZE, drawing.SIZE, 3)


def test_four_thousand_covers_are_built_by_default():
    assert DemoCovers.num_covers == 4000
