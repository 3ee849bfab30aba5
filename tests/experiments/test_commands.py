"""Tests of the commands in real processes, some of which are killed."""

import json
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import ml_collections
import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from dac.run.checkpoint import Checkpoints
from dac.training.monitor import TIMING
from dac.training.state import init_state
from data_pipeline.album_covers.album_covers_dataset_builder import AlbumCovers
from tests.conftest import ONE_DEVICE

PROJECT = Path(__file__).parents[2]

# 4x4 and 8x8; 5,000 images with a fade-in from 1,200 to 4,000.
TINY = {
    "resolution": 8,
    "fmap_base": 16,
    "fmap_max": 8,
    "latent_size": 8,
    "batch_sizes": "(8,8)",
    "learning_rates": "(1e-3,1e-3)",
    "fade_kimg": "(0.,2.8)",
    "stable_kimg": "(1.2,1.)",
    "tick_kimg": 0.4,
    "checkpoint_kimg": 0.6,
    "grid_columns": 2,
}
END = 5000


def command(name, *flags):
    return [sys.executable, "-m", f"experiments.{name}", *flags]


def run(name, *flags):
    return subprocess.run(
        command(name, *flags),
        cwd=PROJECT,
        env=ONE_DEVICE,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def train_flags(workdir, data_dir, config="progan_genre", **overrides):
    return (
        f"--config=configs/{config}.py:demo",
        f"--workdir={workdir}",
        f"--data_dir={data_dir}",
        *(f"--config.{name}={value}" for name, value in (TINY | overrides).items()),
    )


TICK = re.compile(r"8x8 alpha (?P<alpha>\S+) |4x4 alpha")
KILLS = 5


def train_and_signal(flags, ticks, number, in_fade=False):
    """Trains in a subprocess and sends it a signal shortly after some ticks.

    Returns the exit code, the output, and the alpha of the last tick seen, or None at 4x4.
    """
    process = subprocess.Popen(
        command("train", *flags), cwd=PROJECT, env=ONE_DEVICE, stderr=subprocess.PIPE, text=True
    )
    printed = []
    for line in process.stderr:
        printed.append(line)
        if match := TICK.match(line):
            alpha = match["alpha"] and float(match["alpha"])
            ticks -= 1
            if ticks <= 0 and (not in_fade or (alpha and alpha < 0.8)):
                break
    assert process.poll() is None, "".join(printed)
    time.sleep(random.uniform(0, 0.1))
    process.send_signal(number)
    _, rest = process.communicate(timeout=100)
    return process.returncode, "".join(printed) + rest, alpha


def final_state(workdir):
    saved = json.loads((workdir / "run.json").read_text())
    config = ml_collections.ConfigDict(saved["config"])
    checkpoints = Checkpoints(workdir, read_only=True)
    template = jax.jit(lambda: init_state(config, len(saved["dataset"]["genres"])))()
    state, extra = checkpoints.restore(template, pytest.fail)
    checkpoints.close()
    return state, extra["report"]["tick"]


def metrics(workdir):
    """Returns the lines of `metrics.jsonl` without values that depend on the machine's speed."""
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in TIMING} for line in lines]


@pytest.fixture(scope="module")
def finished(tmp_path_factory, data_dir):
    """An uninterrupted run."""
    workdir = tmp_path_factory.mktemp("run") / "finished"
    result = run("train", *train_flags(workdir, data_dir))
    assert result.returncode == 0, result.stderr
    assert "python -m experiments.sample" in result.stdout
    return workdir


def assert_same_run(workdir, expected_workdir):
    """Asserts that states, tick statistics, metrics and pictures are bit-identical."""
    (state, tick), (expected, expected_tick) = final_state(workdir), final_state(expected_workdir)
    assert int(state.images_seen) == int(expected.images_seen) >= END
    assert tick == expected_tick
    paths = jax.tree.leaves_with_path(expected)
    for (path, a), b in zip(paths, jax.tree.leaves(state), strict=True):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes(), path
    assert metrics(workdir) == metrics(expected_workdir)
    for grid in (expected_workdir / "samples").iterdir():
        assert (workdir / "samples" / grid.name).read_bytes() == grid.read_bytes()


def test_resuming_after_kills_is_exact(finished, data_dir, tmp_path):
    flags = train_flags(tmp_path, data_dir)
    killed_at = []
    for kill in range(KILLS):
        code, printed, alpha = train_and_signal(
            flags, random.choice([1, 2]), signal.SIGKILL, in_fade=kill == 2
        )
        assert code == -signal.SIGKILL, printed
        killed_at.append(alpha)
    assert any(alpha and 0 < alpha < 1 for alpha in killed_at), killed_at
    result = run("train", *flags)
    assert result.returncode == 0, result.stderr
    assert "resuming" in result.stderr
    assert_same_run(tmp_path, finished)


@pytest.mark.slow
@pytest.mark.parametrize("config", ["progan_full", "wgan_gp", "dcgan"])
def test_resuming_other_gans_after_kills_is_exact(config, data_dir, tmp_path):
    whole, killed = (
        train_flags(tmp_path / name, data_dir, config, stable_kimg="(1.2,6.)")
        for name in ("whole", "killed")
    )
    result = run("train", *whole)
    assert result.returncode == 0, result.stderr
    for _ in range(KILLS):
        code, printed, _ = train_and_signal(killed, random.choice([1, 2]), signal.SIGKILL)
        assert code == -signal.SIGKILL, printed
    result = run("train", *killed)
    assert result.returncode == 0, result.stderr
    assert_same_run(tmp_path / "killed", tmp_path / "whole")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_signal_saves_a_checkpoint_and_exits(number, code, data_dir, tmp_path):
    returned, printed, _ = train_and_signal(train_flags(tmp_path, data_dir), 1, number)
    assert returned == code, printed
    saved = int(re.search(r"saved at ([\d,]+) images seen", printed)[1].replace(",", ""))
    assert saved >= 400
    assert (tmp_path / "checkpoints" / str(saved)).is_dir()
    assert "Traceback" not in printed
    assert "\r" not in printed  # plain lines, because stderr is not a terminal


def test_same_seed_gives_the_same_picture(finished, tmp_path):
    outputs = []
    for name, seed in (("first", 1), ("second", 1), ("other", 2)):
        out = tmp_path / f"{name}.png"
        flags = (f"--workdir={finished}", "--genre=Thrash Metal", "--n=5", f"--out={out}")
        result = run("sample", *flags, f"--seeds={seed}")
        assert result.returncode == 0, result.stderr
        outputs.append(out.read_bytes())
    assert outputs[0] == outputs[1] != outputs[2]
    with Image.open(tmp_path / "first.png") as picture:
        assert picture.width > 3 * 128


def test_commands_can_be_imported_together():
    modules = ("train", "sample", "evaluate", "benchmark", "export", "studio.__main__")
    code = "import " + ", ".join(f"experiments.{module}" for module in modules)
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=True)


def test_resumed_run_keeps_its_dataset(tmp_path):
    """It starts on covers of 128x128. Covers of 64x64, which a new run uses, are built later."""
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for i in range(16):
        Image.new("RGB", (32, 32), (i * 16, 90, 255 - i * 16)).save(pictures / f"{i}.png")
    lines = (json.dumps({"file_name": f"{i}.png", "genres": ["dub"]}) for i in range(16))
    (pictures / "metadata.jsonl").write_text("\n".join(lines))

    def build(size):
        config = tfds.download.DownloadConfig(manual_dir=pictures)
        builder = AlbumCovers(data_dir=tmp_path / "data", config=str(size))
        builder.download_and_prepare(download_config=config)

    flags = train_flags(
        tmp_path / "run",
        tmp_path / "data",
        dataset="album_covers",
        stable_kimg="(0.4,0.)",
        fade_kimg="(0.,0.)",
    )
    build(128)
    first = run("train", *flags)
    assert first.returncode == 0, first.stderr
    build(64)
    again = run("train", *flags)
    assert again.returncode == 0, again.stderr
    assert "album_covers/128" in again.stderr
    other = run("train", *flags, f"--workdir={tmp_path / 'other'}")
    assert "album_covers/64" in other.stderr


@pytest.mark.parametrize("name", ["train", "sample", "evaluate", "benchmark"])
def test_commands_do_not_import_tensorflow_or_pytorch(name):
    code = f"""
import sys

class Refuse:  # also if they are installed
    def find_spec(self, name, path=None, target=None):
        if name in ("tensorflow", "torch"):
            raise SystemExit(f"{{name}} was imported")

sys.meta_path.insert(0, Refuse())
import experiments.{name}
"""
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=True)


def assert_one_line(result, *messages):
    assert result.returncode not in (0, -signal.SIGSEGV), result.stderr
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, result.stderr
    assert "Traceback" not in result.stderr
    for text in messages:
        assert text in errors[0]


@pytest.mark.parametrize(
    ("flags", "messages"),
    [
        (["--config=configs/nope.py"], "configs/progan_genre.py"),
        (
            ["--config=configs/progan_genre.py:nope"],
            "error: configs/progan_genre.py: the ProGAN configs have the variants",
        ),
        (["--config=configs/default.py"], "there are configs/dcgan.py, configs/progan.py"),
        (
            ["--config=configs/progan_genre.py:demo", "--config.resolutoin=8"],
            "error: there is no config.resolutoin; did you mean config.resolution?",
        ),
        (["--config=configs/progan_genre.py:demo", "--config.zzz=1"], "no config.zzz"),
        (
            ["--config=configs/progan_genre.py:demo", "--config.resolution=big"],
            "error: flag --config.resolution=big: expected a whole number",
        ),
        (["--config=configs/progan_genre.py:demo", "--config.resolution=48"], "32 or 64"),
        (["--config=configs/progan_genre.py", "--data_dir=/nowhere"], ":demo"),
        ([], "--config"),
    ],
)
def test_train_reports_bad_input_in_one_line(flags, messages):
    assert_one_line(run("train", *flags), messages)


def test_unwritable_workdir_is_reported(data_dir, tmp_path):
    (tmp_path / "file").write_text("in the way")
    assert_one_line(run("train", *train_flags(tmp_path / "file" / "run", data_dir)), "--workdir")


def test_sample_reports_bad_input_in_one_line(finished, tmp_path):
    run_flag = f"--workdir={finished}"
    assert_one_line(run("sample", run_flag, "--genre=trash metal"), "thrash metal")
    assert_one_line(run("sample", f"--workdir={tmp_path}"), "experiments.train")
    assert_one_line(run("sample", run_flag, "--out=/nowhere/covers.png"), "/nowhere")
    assert_one_line(run("sample", run_flag, "--n=0"), "n")


def test_full_disk_keeps_the_last_checkpoint(data_dir, tmp_path):
    """Mounts a file system of 1.5 MiB, which needs root."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1536k", "none", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system is not permitted here")
    try:
        flags = train_flags(disk / "run", data_dir, keep_every_kimg=0.001)
        result = run("train", *flags)
        assert_one_line(result, "o space left", "last good checkpoint", "resumes")
        state, _ = final_state(disk / "run")
        assert int(state.images_seen) > 0
    finally:
        subprocess.run(["umount", str(disk)], check=True)
