"""That each measurement is made and written down. No test looks at how long something took."""

import json
import math
import subprocess
import sys
import types
from pathlib import Path

import pytest

from dac.errors import UserError
from experiments.benchmarks import against_torch, machine, timing
from tests.conftest import ONE_DEVICE

PROJECT = Path(__file__).parents[2]
TINY = {
    "resolution": 4,
    "fmap_base": 16,
    "fmap_max": 8,
    "latent_size": 8,
    "batch_sizes": "(8,)",
    "learning_rates": "(1e-3,)",
    "fade_kimg": "(0.,)",
    "stable_kimg": "(1.2,)",
}
STEP = {"images_per_second", "step_seconds", "flops", "flops_per_second", "share_of_peak"}
FIELDS = {
    "step": STEP | {"memory_bytes"},
    "data": {"opening_seconds", "first_batch_seconds", "batch_seconds", "covers_per_second"},
    "start": {"import_seconds", "open_seconds", "first_step_seconds"},
    "checkpoint": {"blocked_seconds", "written_seconds", "training_seconds", "share_of_time"},
    "sample": {"cold_seconds", "warm_seconds", "batch_seconds", "covers_per_second"},
}


def run(*flags):
    return subprocess.run(
        [sys.executable, "-m", "experiments.benchmark", *flags],
        cwd=PROJECT,
        # PyTorch's threads wait for each other where cores are few.
        env=ONE_DEVICE | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def measure(folder, *flags, config="progan_genre", **overrides):
    """Measures a tiny config; returns the table and the JSON."""
    result = run(
        f"--config=configs/{config}.py:demo",
        *(f"--config.{name}={value}" for name, value in (TINY | overrides).items()),
        "--seconds=0.01",
        f"--out={folder / 'out.json'}",
        *flags,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout, json.loads((folder / "out.json").read_text())


def assert_numbers(row, fields):
    for field in fields:
        assert math.isfinite(row[field]), field
        assert row[field] > 0, field


# Those that start other commands take long.
SLOW = ("start", "sample", "checkpoint")


@pytest.mark.parametrize(
    "what", [pytest.param(w, marks=[pytest.mark.slow] if w in SLOW else []) for w in FIELDS]
)
def test_each_measurement(what, data_dir, tmp_path):
    table, written = measure(tmp_path, f"--what={what}", f"--data_dir={data_dir}")
    assert written["what"] == what
    assert written["config"]["fmap_max"] == 8
    assert {"cpu", "cores", "device", "versions"} <= written["machine"].keys()
    assert len(written["load_before"]) == len(written["load_after"]) == 3
    assert "load before" in table
    rows = written["rows"]
    assert len(rows) == (2 if what == "start" else 1)
    for row in rows:
        assert what == "start" or row["resolution"] == 4
        assert_numbers(row, FIELDS[what])


@pytest.mark.parametrize(
    ("config", "size", "forms"),
    [("progan_full", 4, {"torch", "torch_fused"}), ("dcgan", 8, {"torch"})],
)
def test_a_step_against_pytorch(config, size, forms, tmp_path):
    """That both compute the same, tests/parity/test_step.py sees to."""
    pytest.importorskip("torch", reason="PyTorch is missing: pip install -e '.[parity]'")
    schedule = dict.fromkeys(("batch_sizes", "fade_kimg", "stable_kimg"), "(8,8)")
    schedule |= {"resolution": size, "learning_rates": "(1e-3,1e-3)"}
    flags = ("--against=torch", f"--resolutions={size}")
    table, written = measure(tmp_path, *flags, config=config, augment="auto", **schedule)
    (row,) = written["rows"]
    assert_numbers(row, STEP | {"speed_ratio", *(f"{form}_seconds" for form in forms)})
    assert row["faster_torch"] in forms
    assert forms == {"torch", "torch_fused"} & {key.removesuffix("_seconds") for key in row}
    assert "PyTorch" in table


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--what=nope"], "what"),
        (["--resolutions=4,48"], "--resolutions has '48'; the config trains at 4, 8, 16, 32"),
        (["--what=data", "--against=torch"], "--what=step"),
        (["--out=/no/such/folder.json"], "there is no folder /no/such"),
        (["--config=configs/nope.py"], "there are configs/dcgan.py"),
    ],
)
def test_bad_flags_are_explained_in_one_line(flags, told):
    result = run(*flags)
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert told in line
    assert "Traceback" not in result.stderr
    assert result.returncode == 1


def test_what_pytorch_needs_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UserError, match="pip install"):
        against_torch.load()
    torch = types.SimpleNamespace(get_num_threads=lambda: 1)
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setattr(against_torch, "WRITING", "tests.parity.nope")
    with pytest.raises(UserError, match=r"tests/parity/nope\.py"):
        against_torch.load()


def test_contenders_take_turns():
    worked = []
    contenders = {name: lambda turns, name=name: worked.append(name) for name in "AB"}
    times = timing.alternate(contenders, seconds=0.01)
    assert worked == ["A", "B"] * (len(worked) // 2)
    assert len(times["A"]) == len(times["B"]) > 0
    assert timing.Spread.of([4.0, 1.0, 2.0, 3.0, 5.0]) == timing.Spread(3.0, 2.0, 4.0, 5)


def test_a_table_shows_medians_and_quartiles():
    spread = timing.Spread(0.0123, 0.012, 0.0204, 10)
    rows = [{"size": 4, **spread.fields("seconds")}, {"size": 128, "seconds": None}]
    columns = {"size": lambda row: str(row["size"]), "ms": timing.with_quartiles("seconds", 1000)}
    assert timing.table(columns, rows).splitlines() == [
        "size                ms",
        "   4  12.3 (12.0-20.4)",
        " 128                 -",
    ]
    assert [timing.number(x) for x in (0.0, 0.01234, 9.876, 12345.6)] == [
        "0",
        "0.0123",
        "9.88",
        "12,346",
    ]


def test_a_machine_at_work_is_told(monkeypatch):
    monkeypatch.setattr(machine, "cores", lambda: 2)
    assert machine.warning([0.1] * 3, [2.1] * 3) is None
    assert "before" in machine.warning([1.0] * 3, [2.1] * 3)
    assert "after" in machine.warning([0.1] * 3, [4.0] * 3)
