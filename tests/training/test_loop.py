import errno
import fcntl
import itertools
import json
import logging
import os
import re
import shutil
import signal
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from dac.covers.conditions import Album
from dac.covers.dataset import CoverDataset, find_dataset
from dac.errors import UserError
from dac.models import load_run
from dac.run.checkpoint import Checkpoints, all_finite
from dac.run.workdir import claim_workdir, write_run
from dac.training import loop, monitor, progress
from dac.training.checks import check_config
from dac.training.monitor import TIMING
from dac.training.state import init_state
from tests.conftest import small_config


@pytest.fixture
def dataset(data_dir):
    return CoverDataset(find_dataset(data_dir, "demo_covers", 8), memory_gib=1.0)


def train(config, workdir, dataset):
    return loop.train(config, workdir, dataset, jax.devices()[:1])


def restore(config, workdir, dataset):
    checkpoints = Checkpoints(workdir, read_only=True)
    template = jax.jit(lambda: init_state(config, len(dataset.genres)))()
    state, _ = checkpoints.restore(template, pytest.fail)
    checkpoints.close()
    return state


def test_training_compiles_once_per_resolution_and_writes_all_outputs(
    config, tmp_path, dataset, caplog, monkeypatch
):
    # Covers count as waited for from image 128 on.
    monkeypatch.setattr(progress.Progress, "idle", lambda self: self.images_seen >= 128)
    with jax.log_compiles(), caplog.at_level(logging.WARNING):
        assert train(config, tmp_path, dataset) is None
    compiled = [r for r in caplog.messages if "Finished XLA compilation of jit(train_step)" in r]
    assert len(compiled) == 2, compiled

    # 128 images at 4x4, 96 of fade-in and 96 stable at 8x8; a tick every 64.
    ticks = [64, 128, 192, 256, 320]
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["images_seen"] for line in lines] == ticks
    assert [line["resolution"] for line in lines] == [4, 4, 8, 8, 8]
    assert [line["alpha"] for line in lines] == pytest.approx([1, 1, 64 / 96, 1, 1])
    assert [line["step"] for line in lines] == [tick // 8 for tick in ticks]
    assert [0 < line["data_wait"] < 1 for line in lines] == [False, False, True, True, True]
    assert sorted(int(p.stem) for p in (tmp_path / "samples").glob("*.png")) == ticks
    with Image.open(tmp_path / "progress.gif") as animation:
        assert animation.n_frames > 1
    assert list((tmp_path / "tensorboard").glob("events.*"))
    assert "ETA" in (tmp_path / "train.log").read_text()
    state = restore(config, tmp_path, dataset)
    assert (int(state.images_seen), int(state.step)) == (320, 40)

    # Training a completed run again changes nothing.
    train(config, tmp_path, dataset)
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == len(ticks)


def test_covers_are_measured_and_the_best_checkpoint_is_kept(config, tmp_path, dataset):
    """Also if the run is stopped after a measurement and resumed."""
    config.eval_every_kimg = 0.064
    scores = {64: 1.0, 128: 5.0, 192: 2.0, 256: 3.0, 320: 4.0}

    def run(workdir, stop_at=None):
        def evaluate(run):
            if run.images_seen == stop_at:
                os.kill(os.getpid(), signal.SIGTERM)
            covers = run.sample([Album()] * 2, seed=0)
            score = scores[run.images_seen]
            return {"brightness": float(covers.mean()), "score": score}, score

        return loop.train(config, workdir, dataset, jax.devices()[:1], evaluate)

    assert run(tmp_path / "whole") is None
    assert run(tmp_path / "resumed", stop_at=192) == signal.SIGTERM
    assert load_run(tmp_path / "resumed", checkpoint="best").images_seen == 128
    assert run(tmp_path / "resumed") is None
    files = [(tmp_path / name / "evaluations.jsonl").read_text() for name in ("whole", "resumed")]
    assert files[0] == files[1]
    lines = [json.loads(line) for line in files[0].splitlines()]
    assert [(line["images_seen"], line["score"]) for line in lines] == [*scores.items()]
    assert [line["resolution"] for line in lines] == [4, 4, 8, 8, 8]
    for name in ("whole", "resumed"):
        best, last = (load_run(tmp_path / name, checkpoint=c) for c in ("best", "latest"))
        assert (best.images_seen, last.images_seen) == (128, 320)
        assert load_run(tmp_path / name, checkpoint=128).images_seen == 128
    with pytest.raises(UserError, match="no checkpoint 64; it has 128,"):
        load_run(tmp_path / "whole", checkpoint=64)


def test_nan_stops_training_and_is_not_saved(config, tmp_path, dataset):
    config.learning_rates = (1e-3, 1e25)
    with pytest.raises(
        UserError, match=r"at step \d+ .*last good checkpoint is .*/\d+\. "
    ) as error:
        train(config, tmp_path, dataset)
    state = restore(config, tmp_path, dataset)
    assert str(int(state.images_seen)) in str(error.value)
    assert int(state.images_seen) >= 120
    assert all_finite(state)


def test_workdir_with_another_config_is_rejected(config, tmp_path, dataset):
    write_run(tmp_path, claim_workdir(tmp_path, config, dataset.identity))
    claim_workdir(tmp_path, config, dataset.identity)
    config.fmap_max, config.seed = 16, 5
    with pytest.raises(UserError, match="fmap_max: 8 there, 16 now") as error:
        train(config, tmp_path, dataset)
    assert "seed: 0 there, 5 now" in str(error.value)
    assert not (tmp_path / "checkpoints").exists()


def test_checkpoint_of_another_config_is_rejected(config, tmp_path, dataset):
    config.update({"fade_kimg": (0.0, 0.0), "stable_kimg": (0.064, 0.0)})
    train(config, tmp_path, dataset)
    (tmp_path / "run.json").unlink()
    config.seed = 3
    with pytest.raises(UserError, match=r"checkpoints holds another run: .*seed: 0 there, 3 now"):
        train(config, tmp_path, dataset)
    config.seed = 0
    train(config, tmp_path, dataset)


def test_workdir_with_another_dataset_is_rejected(config, tmp_path, dataset):
    write_run(tmp_path, claim_workdir(tmp_path, config, dataset.identity | {"covers": 63}))
    with pytest.raises(UserError, match=r"dataset\.covers: 63 there, 64 now"):
        train(config, tmp_path, dataset)


def test_second_process_in_a_workdir_is_rejected(config, tmp_path, dataset):
    with (tmp_path / "train.log").open("a") as log:
        fcntl.flock(log, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="another process is training"):
            train(config, tmp_path, dataset)
    assert not (tmp_path / "checkpoints").exists()


def test_covers_smaller_than_the_resolution_are_rejected(config, tmp_path, dataset):
    config.update({"resolution": 128, "fmap_base": 64})
    for name in ("batch_sizes", "learning_rates", "fade_kimg", "stable_kimg"):
        config[name] = config[name] * 3
    with pytest.raises(UserError, match=r"are 64x64; lower config\.resolution, which is 128"):
        train(config, tmp_path, dataset)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("condition_drop_rate", 1.5),
        ("tick_kimg", 0.0),
        ("ema_half_life_kimg", float("nan")),
        ("fmap_base", 2),
        ("latent_size", 0),
        ("n_critic", 0),
        ("conditions", ("genres", "mood")),
        ("conditions", ("year", "year")),
        ("gan", "stylegan"),
        ("loss", "hinge"),
        ("precision", "bf8"),
        ("parallelism", "xmap"),
        ("augment", "flip"),
        ("latent_distribution", "cauchy"),
        ("condition_scale", -1.0),
    ],
)
def test_invalid_config_is_rejected(config, field, value):
    config[field] = value
    with pytest.raises(UserError, match=field):
        check_config(config)


@pytest.mark.parametrize("loss", ["wgan_gp", "rpgan_r1r2"])
def test_penalty_with_batch_norm_in_the_critic_is_rejected(config, loss):
    config.update({"gan": "dcgan", "loss": loss})
    with pytest.raises(UserError, match="batch norm, which mixes pictures: use 'non_saturating'"):
        check_config(config)


def test_conditions_that_no_cover_has_are_rejected(config, tmp_path, dataset, monkeypatch):
    monkeypatch.setattr(CoverDataset, "known_fields", ("genres",))
    config.conditions = ("year", "artist")
    with pytest.raises(UserError, match=r"no cover of .* has any of these; known: genres"):
        train(config, tmp_path, dataset)
    assert not list(tmp_path.iterdir())


def test_fields_that_no_cover_has_take_no_part(config, dataset, monkeypatch):
    monkeypatch.setattr(CoverDataset, "known_fields", ("genres",))
    config.conditions = ("genres", "artist")
    used, *_, planner = loop.prepare(config, dataset, jax.devices()[:1])
    assert (used.conditions, config.conditions) == (("genres",), ("genres", "artist"))
    assert set(planner.state_shapes().critic["conditions"]) == {"genres", "genres_unknown"}


def test_resuming_after_repairing_a_damaged_record_is_exact(
    config, tmp_path, dataset, data_dir, whole
):
    """Only a copy of the records, streamed in batches, is damaged; `dataset` is intact."""
    shutil.copytree(data_dir, tmp_path / "data")
    path = find_dataset(tmp_path / "data", "demo_covers", 8)
    (records,) = path.glob("*.array_record-*")
    content = records.read_bytes()
    damaged = bytearray(content)
    damaged[len(content) // 2 : len(content) // 2 + 4096] = bytes(4096)
    streamed = CoverDataset(path, memory_gib=0.0)
    records.write_bytes(damaged)
    with pytest.raises(
        UserError, match=r"record \d+ is damaged .*last good checkpoint is .*/\d+\."
    ):
        train(config, tmp_path / "mended", streamed)
    saved = int(restore(config, tmp_path / "mended", dataset).images_seen)
    assert saved % (config.checkpoint_kimg * 1000)  # saved at the failure

    records.write_bytes(content)
    train(config, tmp_path / "mended", CoverDataset(path, memory_gib=0.0))
    states = [restore(config, workdir, dataset) for workdir in (whole, tmp_path / "mended")]
    jax.tree.map(np.testing.assert_array_equal, *states)
    assert measured(tmp_path / "mended") == measured(whole)


def test_a_cover_that_fails_ahead_ends_the_run_where_its_resolution_begins(
    config, tmp_path, data_dir
):
    """Too large to keep at full size: all are read for 4x4, and read again for 8x8 meanwhile."""

    class Failing:
        def __init__(self, records, reads):
            self.records, self.reads = records, itertools.count(-reads)

        def __len__(self):
            return len(self.records)

        def __getitem__(self, index):
            if next(self.reads) >= 0:
                raise OSError("no disk")
            return self.records[index]

    dataset = CoverDataset(find_dataset(data_dir, "demo_covers", 8), memory_gib=1e-4)
    whole = dataset._records
    dataset._records = Failing(whole, reads=len(dataset) + 3)
    with pytest.raises(UserError, match=r"record \d+ is damaged \(no disk\).*resumes"):
        train(config, tmp_path, dataset)
    assert int(restore(config, tmp_path, dataset).images_seen) == 128
    dataset._records = whole
    train(config, tmp_path, dataset)


def measured(workdir):
    """Returns the lines of `metrics.jsonl` without values that depend on the machine's speed."""
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in TIMING} for line in lines]


def run_out_of_memory():
    """XLA really fails to allocate."""
    jax.block_until_ready(jax.numpy.zeros(2**46))


def fill_the_disk():
    raise OSError(errno.ENOSPC, "No space left on device")


# What fails, how, and in which call of it. A step fails after it took the state.
FAILURES = {
    "batch": (loop, "make_batch", run_out_of_memory, 22),
    "step": (loop.Progress, "advance", run_out_of_memory, 22),
    "grid": (loop.sampling, "sample_grid", run_out_of_memory, 2),
    "grid file": (monitor, "write_bytes", fill_the_disk, 2),
    "curves": (monitor.Board, "add_scalars", fill_the_disk, 2),
    "checkpoint": (progress, "all_finite", run_out_of_memory, 4),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory, data_dir):
    """A run that did not fail."""
    workdir = tmp_path_factory.mktemp("whole")
    dataset = CoverDataset(find_dataset(data_dir, "demo_covers", 8), memory_gib=1.0)
    train(small_config(), workdir, dataset)
    return workdir


@pytest.mark.parametrize("failure", FAILURES)
def test_failed_run_ends_with_one_line_and_resumes_exactly(
    config, tmp_path, dataset, monkeypatch, whole, failure
):
    target, name, fail, call = FAILURES[failure]
    original, calls = getattr(target, name), itertools.count()

    def fail_later(*arguments, **options):
        if next(calls) >= call:
            fail()
        return original(*arguments, **options)

    monkeypatch.setattr(target, name, fail_later)
    with pytest.raises(UserError, match=r"last good checkpoint is (\S+)\. ") as error:
        train(config, tmp_path, dataset)
    monkeypatch.undo()
    message = str(error.value)
    assert "\n" not in message
    if fail is run_out_of_memory:
        assert re.match(r"out of memory at 8x8 in batches of 8 .* needs less with ", message)
    else:
        assert "No space left on device in " in message
    good = Path(re.search(r"checkpoint is (\S+)\. ", message)[1])
    assert int(restore(config, tmp_path, dataset).images_seen) == int(good.name)

    train(config, tmp_path, dataset)
    states = [restore(config, workdir, dataset) for workdir in (whole, tmp_path)]
    jax.tree.map(np.testing.assert_array_equal, *states)
    assert measured(tmp_path) == measured(whole)
    for grid in (whole / "samples").iterdir():
        assert (tmp_path / "samples" / grid.name).read_bytes() == grid.read_bytes()


def test_crossed_detects_multiples():
    crossings = [loop.crossed(start, start + 8, 0.02) for start in range(0, 64, 8)]
    np.testing.assert_array_equal(np.flatnonzero(crossings), [2, 4, 7])
