"""Tests of the evaluate command on runs that are known to follow or ignore their conditions."""

import json
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from dac.covers.conditions import FIELDS
from dac.covers.dataset import CoverDataset, find_dataset
from dac.run.checkpoint import Checkpoints
from dac.run.workdir import claim_workdir, write_run
from dac.training.state import init_state
from tests.conftest import ONE_DEVICE

PROJECT = Path(__file__).parents[2]

# Runs the command with a generator that draws demo covers and follows only the fields in $FOLLOWED.
# The fields in $HIDDEN are removed from the dataset. It needs its own process, because commands
# define flags of the same names.
DRAWING_RUN = """
import dataclasses, os, random
import ml_collections, numpy as np
from dac.covers.dataset import CoverDataset
from dac.sampling import Run
from data_pipeline.demo_covers import discography, drawing
from experiments import cli, evaluate

FIELDS, FOLLOWED, HIDDEN = (tuple(os.environ[n].split()) for n in ("FIELDS", "FOLLOWED", "HIDDEN"))
ALBUMS = [discography.album_of(i) for i in range(64)]

class DrawingRun(Run):
    def sample(self, albums, seed):
        return np.stack([self.draw(i, album) for i, album in enumerate(albums)])

    def draw(self, i, asked):
        (field,) = (f for f, value in dataclasses.asdict(asked).items() if value is not None)
        wanted = getattr(asked, field)
        chance = random.Random(i)
        genre, year = chance.choice(self.genres), chance.randint(*self.years)
        if field in FOLLOWED:
            if field == "year":
                year = wanted
            elif field == "genres":
                (genre,) = (self.genres[g] for g in wanted)
            else:
                genre = next(a for a in ALBUMS if getattr(a, field) == wanted).genres[0]
        other = discography.album_of(1000 + i)
        album = dataclasses.replace(other, genres=(genre,), release_year=year)
        return np.asarray(drawing.draw_cover(album).reduce(4))

known = CoverDataset.album
CoverDataset.album = lambda *where: dataclasses.replace(known(*where), **dict.fromkeys(HIDDEN))
years = [album.release_year for album in ALBUMS]
evaluate.sampling.load_run = lambda workdir, warn: DrawingRun(
    config=ml_collections.ConfigDict(
        {"dataset": "demo_covers", "resolution": 16, "dataset_memory_gib": 1.0}
    ),
    genres=discography.GENRES,
    fields=FIELDS,
    years=(min(years), max(years)),
    variables={},
    images_seen=1000,
    resolution=16,
    alpha=1.0,
)
cli.run(evaluate.main, evaluate.define_flags)
"""


def evaluate(*flags, **drawing):
    """Runs the command, on a `DRAWING_RUN` if its environment variables are given."""
    what = ["-c", DRAWING_RUN] if drawing else ["-m", "experiments.evaluate"]
    return subprocess.run(
        [sys.executable, *what, *flags],
        cwd=PROJECT,
        env=ONE_DEVICE | drawing,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def line_of(field, printed):
    (line,) = (line for line in printed.splitlines() if line.startswith(f"{field} "))
    return line


def assert_one_line(result, *messages):
    assert result.returncode == 1, result.stderr
    (line,) = (line for line in result.stderr.splitlines() if line.startswith("error: "))
    for text in messages:
        assert text in line
    assert "Traceback" not in result.stderr


def test_evaluation_separates_followed_from_ignored_fields(data_dir, tmp_path):
    flags = (f"--workdir={tmp_path}", f"--data_dir={data_dir}", "--n=200")
    drawing = {"FIELDS": "genres year artist title", "FOLLOWED": "genres year artist", "HIDDEN": ""}
    result = evaluate(*flags, **drawing)
    assert result.returncode == 0, result.stderr
    report = json.loads((tmp_path / "evaluation.json").read_text())
    measured = report["fields"]
    assert measured["genres"]["share"] >= 0.85
    assert min(measured["genres"]["by_genre"].values()) >= 0.5
    assert measured["year"]["share"] >= 0.5
    assert measured["artist"]["share"] >= 0.8
    for field in ("genres", "year", "artist"):
        assert measured[field]["p"] < 0.001
        assert f"{measured[field]['share']:.1%}" in line_of(field, result.stdout)
        assert "  read" in line_of(field, result.stdout)
    title = measured["title"]
    assert title["p"] > 0.001
    assert abs(title["share"] - title["shuffled"]) < 0.1
    assert "not read" in line_of("title", result.stdout)


def test_field_known_for_too_few_covers_is_skipped(data_dir, tmp_path):
    flags = (f"--workdir={tmp_path}", f"--data_dir={data_dir}", "--n=2")
    drawing = {"FIELDS": "year title", "FOLLOWED": "", "HIDDEN": "year"}
    result = evaluate(*flags, **drawing)
    assert result.returncode == 0, result.stderr
    report = json.loads((tmp_path / "evaluation.json").read_text())
    assert list(report["fields"]) == ["title"]
    assert report["skipped"]["year"] in line_of("year", result.stdout)

    assert_one_line(evaluate(*flags, **drawing | {"FIELDS": "year"}), "year: 0 covers")
    assert_one_line(evaluate(*flags, **drawing | {"HIDDEN": "genres year"}), "title and genres")


@pytest.fixture
def saved(config, tmp_path, data_dir):
    """Returns a function that saves an untrained run and returns its flags."""

    def save(conditions):
        config.conditions = conditions
        dataset = CoverDataset(find_dataset(data_dir, "demo_covers", 8), 1.0)
        write_run(tmp_path, claim_workdir(tmp_path, config, dataset.identity))
        shapes = jax.eval_shape(lambda: init_state(config, len(dataset.genres)))
        zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
        checkpoints = Checkpoints(tmp_path)
        checkpoints.save(zeros.replace(images_seen=jnp.int32(320)), 320, {})
        checkpoints.wait()
        checkpoints.close()
        return f"--workdir={tmp_path}", f"--data_dir={data_dir}", "--n=40"

    return save


def test_generator_of_constant_covers_follows_no_field(saved, tmp_path):
    result = evaluate(*saved(FIELDS))
    assert result.returncode == 0, result.stderr
    report = json.loads((tmp_path / "evaluation.json").read_text())
    assert (report["images_seen"], report["resolution"]) == (320, 8)
    for field in FIELDS:
        assert report["fields"][field]["z"] == 0
        assert report["fields"][field]["covers"] == 40
        assert "not read (p = 0.500" in line_of(field, result.stdout)


def test_run_without_conditions_or_checkpoints_is_reported(saved, tmp_path):
    assert_one_line(evaluate(f"--workdir={tmp_path}"), "experiments.train")
    result = evaluate(*saved(()))
    assert result.returncode == 0, result.stderr
    (line,) = result.stdout.splitlines()
    assert "unconditional" in line
