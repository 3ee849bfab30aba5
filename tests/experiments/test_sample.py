"""Tests of the sample command in real processes, on untrained runs."""

import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from dac.covers.conditions import FIELDS
from dac.run.checkpoint import Checkpoints
from dac.run.workdir import claim_workdir, write_run
from dac.training.state import init_state
from tests.conftest import ONE_DEVICE

GENRES = ("ambient", "dub", "thrash metal")


def make_run(workdir, config, conditions):
    """Writes a run directory with a checkpoint of random numbers."""
    config.conditions = conditions
    shapes = jax.eval_shape(lambda: init_state(config, len(GENRES)))
    rng = np.random.default_rng(0)
    state = jax.tree.map(lambda x: jnp.array(rng.normal(size=x.shape), x.dtype), shapes)
    identity = {"genres": GENRES, "fields": FIELDS, "years": [1950, 2025]}
    write_run(workdir, claim_workdir(workdir, config, identity))
    checkpoints = Checkpoints(workdir)
    checkpoints.save(state.replace(images_seen=jnp.int32(320)), 320, {})
    checkpoints.wait()
    checkpoints.close()
    return workdir


@pytest.fixture
def workdir(config, tmp_path):
    return make_run(tmp_path / "run", config, FIELDS)


def sample(workdir, *flags):
    return subprocess.run(
        [sys.executable, "-m", "experiments.sample", f"--workdir={workdir}", *flags],
        cwd=Path(__file__).parents[2],
        env=ONE_DEVICE,
        capture_output=True,
        check=False,
        timeout=300,
    )


def test_sample_draws_an_album_and_reports_it_in_one_line(workdir, tmp_path):
    flags = (
        *("--genre=Thrash metal=3,dub", "--year=1949", "--artist=椎名林檎\u200b 🦆", "--n=3"),
        *(f"--title={'long ' * 2000}", f"--out={tmp_path / 'covers.png'}"),
    )
    pictures = []
    for _ in range(2):
        result = sample(workdir, *flags)
        assert result.returncode == 0, result.stderr
        pictures.append((tmp_path / "covers.png").read_bytes())
    (line,) = result.stdout.decode().splitlines()
    assert line == (
        f"{tmp_path / 'covers.png'}: 3 covers of 75% thrash metal, 25% dub, 1950, "
        f"'{('long ' * 8)[:39]}…', by 椎名林檎 🦆, 8x8"
    )
    warnings = result.stderr.decode().splitlines()
    assert [w.partition(":")[0] for w in warnings] == ["warning"] * 2
    assert "1950 to 2025" in warnings[0]
    assert "64 characters" in warnings[1]
    assert pictures[0] == pictures[1]
    with Image.open(tmp_path / "covers.png") as picture:
        assert picture.width > 2 * 128


def test_covers_that_do_not_fit_on_a_sheet_are_saved_in_a_folder(workdir, tmp_path):
    """More covers than a sheet of 8192x8192 holds; they are drawn and written in batches."""
    result = sample(workdir, "--n=4097", f"--out={tmp_path / 'covers.png'}")
    assert result.returncode == 0, result.stderr
    assert b"do not fit on a sheet" in result.stderr
    assert f"{tmp_path / 'covers'}: 4,097 covers" in result.stdout.decode()
    assert not (tmp_path / "covers.png").exists()
    written = sorted((tmp_path / "covers").iterdir())
    assert [path.name for path in written] == [f"{i:06d}.png" for i in range(4097)]

    result = sample(workdir, "--n=18", f"--out={tmp_path / 'few'}")
    assert result.returncode == 0, result.stderr
    few = sorted((tmp_path / "few").iterdir())
    assert [p.read_bytes() for p in few] == [p.read_bytes() for p in written[:18]]
    with Image.open(few[0]) as picture:
        assert (picture.size, picture.mode) == ((8, 8), "RGB")


def test_bad_input_is_reported_in_one_line(workdir, config, tmp_path):
    genre_only = make_run(tmp_path / "genre", config, ("genres",))
    for where, flags, message in (
        (workdir, ("--genre=trash metal=0.5",), "thrash metal"),
        (workdir, ("--artist=",), "the artist '' is blank"),
        (workdir, ("--genre=",), "the genre"),
        (workdir, (b"--year=\xff",), "1860 to 2100"),
        (genre_only, ("--year=1988",), "was trained on genre; it knows no year"),
    ):
        result = sample(where, *flags, f"--out={tmp_path / 'no.png'}")
        assert result.returncode == 1, result
        (line,) = result.stderr.decode().splitlines()
        assert line.startswith("error: ")
        assert message in line
    assert not (tmp_path / "no.png").exists()
