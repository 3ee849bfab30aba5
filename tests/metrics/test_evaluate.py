"""Made-up generators get the verdicts that they deserve; real demo covers are their material."""

import dataclasses
import functools
import json
import random
import types

import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest

from dac.covers.dataset import HELD_OUT, CoverDataset
from dac.covers.images import shrink
from dac.errors import UserError
from dac.metrics import covers
from dac.metrics.evaluate import evaluate, quick_figure_names, quick_figures
from dac.metrics.features import extractor
from dac.sampling import BATCH_SIZE, Run
from data_pipeline.demo_covers import discography, drawing
from data_pipeline.demo_covers.demo_covers_dataset_builder import DemoCovers

SIDE, SAMPLES = 16, 160


def pooled(weights, images):
    """Features that tell the demo's genres: shares of 125 colours and the picture at 4x4."""
    x = images.astype(jnp.float32) / 255.0
    levels = jnp.maximum(0, 1 - jnp.abs(4 * x[..., None] - jnp.arange(5.0)))
    shares = jnp.einsum("nhwi,nhwj,nhwk->nijk", *jnp.moveaxis(levels, 3, 0)) / x[0, ..., 0].size
    x = x.reshape(len(x), 4, x.shape[1] // 4, 4, x.shape[2] // 4, 3).mean(axis=(2, 4))
    parts = (5 * jnp.sqrt(shares + 1e-4), x)
    return jnp.concatenate([part.reshape(len(x), -1) for part in parts], axis=1) * weights


@pytest.fixture(scope="module")
def pixels():
    """An extractor that takes no time."""
    with pytest.MonkeyPatch.context() as patch:
        network = types.SimpleNamespace(features=pooled, WIDTH=173)
        patch.setitem(extractor.NETWORKS, "pixels", network)
        yield extractor.Extractor("pixels", 173, "digest", jnp.float32(1.0))


@pytest.fixture(scope="module")
def splits(tmp_path_factory):
    """The covers for training, and those held out, of 640 demo covers."""
    folder = tmp_path_factory.mktemp("datasets")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DemoCovers, "num_covers", 640)
        builder = DemoCovers(data_dir=folder)
        builder.download_and_prepare()
    return CoverDataset(builder.data_path, 0.0), CoverDataset(builder.data_path, 0.0, HELD_OUT)


@dataclasses.dataclass(frozen=True)
class MadeUp(Run):
    """A run whose covers are what a function makes of (album, latent)."""

    make: object = None

    def sample_batches(self, albums, seed, latents=None, truncation=1.0):
        numbers = range(len(albums)) if latents is None else latents
        made = [self.make(album, n) for album, n in zip(albums, numbers, strict=True)]
        for start in range(0, len(made), BATCH_SIZE):
            yield np.stack(made[start : start + BATCH_SIZE])


def made_up(training, make, fields=("genres", "year")):
    return MadeUp(
        config=ml_collections.ConfigDict({"seed": 0, "conditions": fields}),
        genres=training.genres,
        years=training.years,
        variables={},
        images_seen=1000,
        resolution=SIDE,
        alpha=1.0,
        make=make,
    )


@functools.cache
def draw(number, genre, year):
    """Draws a cover of which no dataset has the album."""
    album = discography.album_of(10_000 + number)
    album = dataclasses.replace(album, genres=(genre,), release_year=year)
    return shrink(np.asarray(drawing.draw_cover(album)), SIDE)


def request(album, number):
    """Returns a genre and a year; what is not asked for is chosen at random."""
    chance = random.Random(number)
    genre = chance.choice(discography.GENRES)
    if album.genres:
        genre = discography.GENRES[next(iter(album.genres))]
    return genre, album.year or chance.randint(1950, 2025)


def follows(album, number):
    return draw(number, *request(album, number))


def ignores(album, number):
    return draw(number, *request(type(album)(), number))


def one_cover_a_genre(album, number):
    genre, _ = request(album, number)
    return draw(discography.GENRES.index(genre), genre, 1990)


@pytest.fixture
def measure(splits, pixels, tmp_path):
    def run_on(make, samples=SAMPLES, **options):
        run = made_up(splits[0], make)
        return evaluate(run, *splits, pixels, tmp_path, samples=samples, **options)

    return run_on


def assert_json(report):
    assert json.loads(json.dumps(report, allow_nan=False)) == report


def test_a_generator_like_the_real_covers(measure):
    measured = measure(follows)
    report = measured.report
    assert_json(report)
    genres, year = (report["conditions"][field] for field in ("genres", "year"))
    assert genres["generated"]["verdict"] == genres["like_real"]["verdict"] == "shown"
    assert genres["real"]["verdict"] == "shown"
    assert genres["generated"]["top1"] > 0.8
    assert genres["generated"]["auc"] > 0.95
    assert len(genres["generated"]["by_genre"]) == len(discography.GENRES)
    assert not genres["relabelled"]["shown"]
    assert abs(genres["relabelled"]["auc"] - 0.5) < 0.1
    assert year["generated"]["shown"]
    assert year["generated"]["slope"] > 0.3
    assert not year["relabelled"]["shown"]
    quality, between = report["quality"], report["between_genres"]["pixels"]
    distance = "fd_pixels"
    assert quality["training"][distance] < 3 * quality["real_held_out"][distance]
    assert quality["training"]["coverage"] > 0.7
    assert between["slope"] == pytest.approx(1, abs=0.2)
    assert between["generated"] == pytest.approx(between["real"], rel=0.3)
    assert report["diversity"]["features"]["ratio"] == pytest.approx(1, abs=0.1)
    assert "as much as real ones" in report["diversity"]["verdict"]
    assert report["copies"]["ratio"] == pytest.approx(1, abs=0.1)
    assert report["copies"]["verdict"].startswith("no copies")
    assert measured.closest.shape[1:] == (2, SIDE, SIDE, 3)
    assert measured.features["like_real"].shape == (SAMPLES, 173)


def test_a_generator_that_ignores_what_it_is_asked(measure):
    report = measure(ignores).report
    for field in ("genres", "year"):
        assert not report["conditions"][field]["generated"]["shown"]
        assert report["conditions"][field]["generated"]["verdict"].startswith("not shown")
    assert abs(report["between_genres"]["pixels"]["slope"]) < 0.2
    assert abs(report["between_genres"]["pixels"]["generated"]) < 0.05
    assert report["copies"]["verdict"].startswith("no copies")


def test_a_generator_of_one_cover_a_genre(measure):
    report = measure(one_cover_a_genre).report
    assert report["conditions"]["genres"]["generated"]["shown"]
    assert report["diversity"]["verdict"].startswith("collapse: one cover a genre")
    assert report["diversity"]["features"]["ratio"] < 0.05
    assert report["between_genres"]["pixels"]["generated"] > 0.95
    assert report["quality"]["training"]["recall"] < 0.1
    assert report["quality"]["training"]["coverage"] < 0.2


def test_a_generator_that_copies_the_training_covers(measure, splits):
    training, _ = splits
    of = {genre: [] for genre in training.genres}
    for index in range(len(training)):
        for genre in training.album(index).genres:
            of[training.genres[genre]].append(index)

    def copies(album, number):
        chosen = of[request(album, number)[0]]
        return training.images(np.array([chosen[number % len(chosen)]]), SIDE)[0]

    measured = measure(copies, samples=4 * SAMPLES)
    report = measured.report
    assert report["conditions"]["genres"]["generated"]["shown"]
    assert report["copies"]["verdict"].startswith("copies: nearer to training")
    assert report["quality"]["training"]["fd_pixels"] < report["quality"]["held_out"]["fd_pixels"]
    np.testing.assert_array_equal(measured.closest[:, 0], measured.closest[:, 1])


def test_what_is_not_known_is_skipped(splits, pixels, tmp_path, monkeypatch):
    known = CoverDataset.album
    hidden = {"year": None, "artist": None}
    monkeypatch.setattr(
        CoverDataset, "album", lambda *where: dataclasses.replace(known(*where), **hidden)
    )
    run = made_up(splits[0], follows, ("year", "title"))
    report = evaluate(run, *splits, pixels, tmp_path, samples=SAMPLES).report
    assert "fewer than 50 real covers" in report["conditions"]["year"]["skipped"]
    title = report["conditions"]["title"]
    assert not title["generated"]["shown"]  # this generator does not know of titles
    assert title["real"]["shown"]
    assert_json(report)


def test_features_of_real_covers_are_kept_by_what_they_were_made_from(
    splits, pixels, tmp_path, monkeypatch
):
    def read(resolution=SIDE, split=0, extractor=pixels):
        return covers.read_covers(splits[split], resolution, extractor, tmp_path)

    first, kept = read(), []
    images = CoverDataset.images
    monkeypatch.setattr(CoverDataset, "images", lambda *a: kept.append(a) or images(*a))
    np.testing.assert_array_equal(read().features, first.features)
    assert not kept
    others = [read(8), read(split=1), read(extractor=dataclasses.replace(pixels, digest="other"))]
    assert len(list(tmp_path.glob("*.npz"))) == 1 + len(others)
    record = CoverDataset._record
    changed = lambda *where: {**(r := record(*where)), "image": r["image"] + b" "}  # noqa: E731
    monkeypatch.setattr(CoverDataset, "_record", changed)
    read()
    assert len(list(tmp_path.glob("*.npz"))) == 2 + len(others)
    kept.clear()
    for file in tmp_path.glob("*.npz"):
        file.write_bytes(file.read_bytes()[:100])
    read()  # a damaged file is made again
    assert kept


def test_a_few_figures_for_a_training(splits, pixels, tmp_path):
    run = made_up(splits[0], follows)
    found = quick_figures(run, *splits, pixels, tmp_path, SAMPLES)
    assert set(quick_figure_names("pixels")) <= set(found)
    assert found["genre_auc"] > 0.95
    assert found["fd_pixels"] < found["held_out_fd_pixels"]
    without = quick_figures(run, splits[0], None, pixels, tmp_path, SAMPLES)
    assert set(found) - set(without) == {"held_out_fd_pixels", "held_out_kd_pixels"}
    assert without.items() <= found.items()


def test_what_can_not_be_measured_is_refused(measure, splits, pixels, tmp_path):
    with pytest.raises(UserError, match="99 samples are too few"):
        evaluate(made_up(splits[0], follows), *splits, pixels, tmp_path, samples=99)
    other = dataclasses.replace(made_up(splits[0], follows), years=(1950, 1951))
    with pytest.raises(UserError, match="other genres or years"):
        evaluate(other, *splits, pixels, tmp_path, samples=SAMPLES)
