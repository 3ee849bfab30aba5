import subprocess
import sys
from pathlib import Path

import pytest

# Simulates Windows, which has neither fcntl nor resource.
ON_WINDOWS = """
import runpy
import sys

sys.platform = "win32"
sys.modules["fcntl"] = sys.modules["resource"] = None
sys.argv = [sys.argv[1], "--help"]
runpy.run_module(sys.argv[0], run_name="__main__")
"""


@pytest.mark.parametrize(
    "command",
    ["data_pipeline.scrape", "experiments.train", "experiments.sample", "experiments.evaluate"],
)
def test_windows_gives_a_one_line_error(command):
    result = subprocess.run(
        [sys.executable, "-c", ON_WINDOWS, command],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        "error: Duck and Cover runs on Linux and macOS, not on win32"
    ]
