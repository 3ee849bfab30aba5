import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from data_pipeline.demo_covers.demo_covers_dataset_builder import DemoCovers

MEASURE = """
import json, sys
from pathlib import Path
from tests.metrics.degradations import measure

print(json.dumps(measure(Path(sys.argv[1])), default=float))
"""


def measure(path):
    """Measures in a process of its own, where XLA optimises, as thousands of features need."""
    optimised = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    result = subprocess.run(
        [sys.executable, "-c", MEASURE, path],
        cwd=Path(__file__).parents[2],
        env=optimised,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@pytest.mark.slow  # computes features of thousands of covers
def test_spoiled_covers_are_found_out(tmp_path, monkeypatch):
    monkeypatch.setattr(DemoCovers, "num_covers", 1200)
    builder = DemoCovers(data_dir=tmp_path)
    builder.download_and_prepare()
    rows = {row["covers"]: row for row in measure(builder.data_path)}
    whole = rows["held-out covers"]
    for kind in ("noise of", "blur of"):
        spoiled = [whole, *(row for name, row in rows.items() if name.startswith(kind))]
        # Of so few covers, the Fréchet distance is well above 0 even between real ones.
        for figure, factor in (("fd_efficientnet_lite0", 1.5), ("kd_efficientnet_lite0", 3)):
            values = [row[figure] for row in spoiled]
            assert values == sorted(values)
            assert values[-1] > factor * max(values[0], 0.01)
    for figure, order in (("fd_efficientnet_lite0", 1), ("recall", -1), ("coverage", -1)):
        fewer = [whole, *(row for name, row in rows.items() if "distinct" in name)]
        values = [order * row[figure] for row in fewer]
        # All of them are distinct where there are fewer than 200.
        assert values[1:] == sorted(values[1:])
        assert values[-1] > values[0]
    assert abs(whole["copy ratio"] - 1) < 0.1
    for name in ("training covers", "100 training covers, repeated"):
        assert rows[name]["copy ratio"] < 0.9
    coverage = {name: row["coverage"] for name, row in rows.items()}
    assert coverage["100 training covers, repeated"] < coverage["training covers"]
