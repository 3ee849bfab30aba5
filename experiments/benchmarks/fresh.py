"""Processes of their own, with a cache of compiled programs of their own."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from dac.errors import UserError


def environment(cache: Path) -> dict[str, str]:
    """Returns the environment of a process that keeps its compiled programs in `cache`."""
    return os.environ | {"JAX_COMPILATION_CACHE_DIR": str(cache)}


def command(door: str, flags: Sequence[str]) -> list[str]:
    """Returns how to run a command of `experiments`."""
    return [sys.executable, "-m", f"experiments.{door}", *flags]


def run_to_end(door: str, flags: Sequence[str], cache: Path) -> float:
    """Runs a command of `experiments`; returns the seconds from its start to its end.

    Raises:
      UserError: it failed.
    """
    began = time.perf_counter()
    result = subprocess.run(
        command(door, flags), env=environment(cache), capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - began
    if result.returncode:
        raise failed(door, result.stderr)
    return seconds


def run_to_lines(
    door: str, flags: Sequence[str], cache: Path, marks: Sequence[str]
) -> dict[str, float]:
    """Runs a command until the last of some texts was printed to stderr, and then kills it.

    Args:
      door: the command of `experiments`.
      flags: its flags.
      cache: folder of its compiled programs.
      marks: texts, in the order in which they are first printed.

    Returns:
      By text, the seconds from the start of the process to the first line that has it.

    Raises:
      UserError: it ended without one of them.
    """
    began, reached, printed = time.perf_counter(), {}, []
    with subprocess.Popen(
        command(door, flags), env=environment(cache), stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            for line in process.stderr:
                printed.append(line)
                for mark in marks:
                    if mark in line:
                        reached.setdefault(mark, time.perf_counter() - began)
                if marks[-1] in reached:
                    return reached
        finally:
            process.kill()
    raise failed(door, "".join(printed))


def failed(door: str, printed: str) -> UserError:
    """Returns the error that a command printed, as ours."""
    last = (printed.strip().splitlines() or ["no reason was printed"])[-1]
    return UserError(f"experiments.{door} failed: {last.removeprefix('error: ')}")
