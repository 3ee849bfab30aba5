import os

import pytest

from data_pipeline import cores


@pytest.mark.parametrize(
    ("limit", "expected"),
    [("max 100000", 6), ("250000 100000", 2), ("50000 100000", 1), ("nonsense", 6), (None, 6)],
)
def test_affinity_and_control_group_limit_the_cores(tmp_path, monkeypatch, limit, expected):
    file = tmp_path / "cpu.max"
    if limit is not None:
        file.write_text(f"{limit}\n")
    monkeypatch.setattr(cores, "_CPU_MAX", file)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {*range(6)}, raising=False)
    assert cores.count_cores() == expected
