"""Tests of the evaluate command on an untrained run, with the real feature network."""

import json
import re
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl import flags
from absl.testing import flagsaver

from dac.covers.conditions import FIELDS
from dac.covers.dataset import HELD_OUT, CoverDataset, find_dataset
from dac.errors import UserError
from dac.run.checkpoint import Checkpoints
from dac.run.workdir import claim_workdir, write_run
from dac.training.state import init_state
from data_pipeline import held_out
from data_pipeline.demo_covers.demo_covers_dataset_builder import DemoCovers
from experiments import evaluate, report, training_figures
from experiments.report import comparison, page
from tests.conftest import ONE_DEVICE, small_config

PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def datasets(tmp_path_factory):
    """A folder with 80 demo covers, of which some are held out."""
    folder = tmp_path_factory.mktemp("datasets")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DemoCovers, "num_covers", 80)
        patch.setattr(held_out, "LEAST", 80)
        DemoCovers(data_dir=folder).download_and_prepare()
    return folder


def save_run(workdir, datasets, conditions=FIELDS, seed=0):
    """Saves an untrained run with a checkpoint at 320 images seen."""
    config = small_config()
    config.update({"conditions": conditions, "seed": seed})
    dataset = CoverDataset(find_dataset(datasets, "demo_covers", 8), 0.0)
    write_run(workdir, claim_workdir(workdir, config, dataset.identity))
    state = jax.jit(lambda: init_state(config, len(dataset.genres)))()
    with Checkpoints(workdir) as checkpoints:
        checkpoints.save(state.replace(images_seen=jnp.int32(320)), 320, {})
        checkpoints.wait()
    return workdir


@pytest.fixture(scope="module")
def measured(tmp_path_factory, datasets):
    """A run that the command has measured, and what it printed."""
    workdir = save_run(tmp_path_factory.mktemp("runs") / "<script>alert(1)</script>", datasets)
    (workdir / "metrics.jsonl").write_text(
        "".join(
            json.dumps({"images_seen": i, "resolution": 4, "critic_loss": i, "generator_loss": -i})
            + "\n"
            for i in (100, 200, 300)
        )
    )
    (workdir / "evaluations.jsonl").write_text(
        json.dumps({"images_seen": 300, "resolution": 8, "coverage": 0.5}) + "\n"
    )
    result = subprocess.run(
        [
            *(sys.executable, "-m", "experiments.evaluate", f"--workdir={workdir}"),
            *(f"--data_dir={datasets}", "--samples=160"),
            f"--export_features={workdir / 'features.npz'}",
        ],
        cwd=PROJECT,
        env={
            k: v for k, v in ONE_DEVICE.items() if k != "XLA_FLAGS"
        },  # optimised: it runs for long
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return workdir, result.stdout


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Returns a function that runs the command in this process."""
    monkeypatch.chdir(tmp_path)
    before = {*flags.FLAGS}
    evaluate.define_flags()
    flags.FLAGS.mark_as_parsed()

    def run(*names, **given):
        with flagsaver.flagsaver(**given):
            evaluate.main(names)

    yield run
    for name in {*flags.FLAGS} - before:
        delattr(flags.FLAGS, name)


def test_a_run_is_measured_by_the_command(measured, datasets):
    workdir, printed = measured
    report = json.loads((workdir / "evaluation.json").read_text())
    path = find_dataset(datasets, "demo_covers", 8)
    counts = [len(CoverDataset(path, 0.0, split)) for split in ("train", HELD_OUT)]
    assert [*report["real"].values()] == counts
    assert set(report["conditions"]) == set(FIELDS)
    quality = report["quality"]["training"]
    assert f"{quality['fd_efficientnet_lite0']:.1f}" in printed
    assert "fid" not in quality
    floor = report["quality"]["real_halves"]
    assert quality["recall"] == 0 < floor["recall"]  # an untrained generator
    assert quality["kd_efficientnet_lite0"] > 0.1 > floor["kd_efficientnet_lite0"]
    for subject in ("quality", *FIELDS, "diversity", "copies"):
        assert re.search(rf"^{subject}: ", printed, re.MULTILINE)
    assert not report["conditions"]["genres"]["generated"]["shown"]
    with np.load(workdir / "features.npz", allow_pickle=False) as exported:
        sizes = {name: array.shape for name, array in exported.items()}
    assert sizes["like_real"] == sizes["by_genres"] == (160, 1280)
    assert (sizes["training"], sizes["held_out"]) == ((counts[0], 1280), (counts[1], 1280))


def test_the_page_needs_nothing_from_elsewhere_and_escapes_names(measured):
    workdir, _ = measured
    html = (workdir / page.FILE).read_text()
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    # Pictures are inside, and the only addresses are the names of SVG's dialects.
    assert html.count('src="data:image/png;base64,') == 2
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", html.replace("xlink:href", "href"))
    assert html.count("<svg") == 2  # losses, and the figure measured in training
    assert "loss" in html
    assert "coverage" in html


def test_runs_are_compared(measured, datasets, tmp_path, command, capsys):
    workdir, _ = measured
    report = (workdir / "evaluation.json").read_text()
    names = [str(workdir)]
    for seed, conditions in ((1, FIELDS), (2, ("genres",))):
        other = save_run(tmp_path / f"run{seed}", datasets, conditions, seed)
        (other / "evaluation.json").write_text(report)
        names.append(str(other))
    command(*names, compare=True)
    printed = capsys.readouterr().out
    assert re.search(
        r"conditions +genres, year, artist, title +genres, year.* +genres$", printed, re.M
    )
    assert re.search(r"^number +2$", printed, re.M)  # two runs differ by seed alone
    assert re.search(r"^fd_efficientnet_lite0 +[\d.]+ ±0.000$", printed, re.M)
    html = (tmp_path / "comparison.html").read_text()
    assert "seed alone" in html
    assert "<script" not in html


def test_runs_measured_in_different_ways_are_not_compared_silently(measured):
    workdir, _ = measured
    report = json.loads((workdir / "evaluation.json").read_text())
    config = {"seed": 0}
    fewer = report | {"samples": 50}
    found = comparison.compare(
        [comparison.Measured("a", config, report), comparison.Measured("b", config, fewer)]
    )
    assert "different numbers of samples" in found.warnings[0]
    other = report | {"features": {"name": "inception"}}
    with pytest.raises(UserError, match="different features"):
        comparison.compare(
            [comparison.Measured("a", config, report), comparison.Measured("b", config, other)]
        )


def test_a_training_is_measured_by_the_figure_of_its_config(datasets, monkeypatch):
    config = small_config()
    path = find_dataset(datasets, "demo_covers", 8)
    assert training_figures.evaluate_in_training(config, path) is None
    config.eval_every_kimg = 1.0
    config.eval_figure = "fid"
    with pytest.raises(UserError, match="it must be one of fd_efficientnet_lite0, "):
        training_figures.evaluate_in_training(config, path)
    measured = {"held_out_fd_efficientnet_lite0": 20.0, "coverage": 0.3}
    monkeypatch.setattr(training_figures, "quick_figures", lambda *_: measured)
    for figure, score in (("held_out_fd_efficientnet_lite0", -20.0), ("coverage", 0.3)):
        config.eval_figure = figure
        assert training_figures.evaluate_in_training(config, path)(None) == (measured, score)
    config.eval_figure = "genre_auc"
    with pytest.raises(UserError, match="can't be measured with"):
        training_figures.evaluate_in_training(config, path)(None)


def test_bad_input_is_reported(measured, datasets, data_dir, tmp_path, command, monkeypatch):
    workdir, _ = measured
    run = {"workdir": str(workdir), "data_dir": str(datasets), "samples": 100}
    bad = tmp_path / "weights.pth"
    bad.write_bytes(b"PK\x03\x04 cut short")
    for given, message in (
        ({"workdir": None}, "--workdir is missing"),
        ({"workdir": str(tmp_path)}, "is not a run directory"),
        ({"samples": 99}, "99 samples are too few"),
        ({"checkpoint": "best"}, "train with --config.eval_every_kimg"),
        ({"checkpoint": "640"}, "has no checkpoint 640; it has 320"),
        ({"checkpoint": "newest"}, "latest, best or a number, not 'newest'"),
        ({"features": "inception"}, "--inception_weights=PATH"),
        ({"features": "inception", "inception_weights": str(bad)}, "damaged or cut short"),
        ({"data_dir": str(data_dir)}, "too few covers to hold some out"),
        ({"export_features": "features.csv"}, "must end in .npz"),
    ):
        with pytest.raises(UserError, match=re.escape(message)) as error:
            command(**run | given)
        assert "\n" not in str(error.value)
    with pytest.raises(UserError, match=r"did you mean --workdir=runs/a\?"):
        command("runs/a", **run)
    with monkeypatch.context() as patch:
        patch.delattr(report, "page")
        patch.setitem(sys.modules, "experiments.report.page", None)
        with pytest.raises(UserError, match=re.escape("pip install -e '.[metrics]'")):
            command(**run)
    unmeasured = save_run(tmp_path / "unmeasured", datasets)
    for names, message in (
        ([str(workdir)], "takes two run directories or more"),
        ([str(workdir), str(unmeasured)], f"experiments.evaluate --workdir={unmeasured}"),
    ):
        with pytest.raises(UserError, match=re.escape(message)):
            command(*names, compare=True)
    (unmeasured / "evaluation.json").write_text("{}")
    with pytest.raises(UserError, match="of another version"):
        command(str(workdir), str(unmeasured), compare=True)
