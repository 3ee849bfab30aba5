"""What a benchmark ran on, and whether anything else was running there."""

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import jax

CPU_INFO = Path("/proc/cpuinfo")
IDLE = 0.25  # load a core below which the machine counts as idle before the benchmark
OWN = 1.25  # load a core that the benchmark makes by itself


def cores() -> int:
    """Returns the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def describe() -> dict[str, Any]:
    """Returns processor, devices and versions, as JSON values."""
    device = jax.devices()[0]
    versions = {"python": platform.python_version()}
    for package in ("jax", "jaxlib", "torch"):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = None
    return {
        "cpu": _cpu_model(),
        "cores": cores(),
        "platform": device.platform,
        "device": device.device_kind,
        "devices": jax.device_count(),
        "versions": versions,
    }


def told(machine: dict[str, Any], before: list[float], after: list[float]) -> str:
    """Returns what `describe` returned, and the loads before and after, in two lines."""
    versions = ", ".join(f"{name} {v}" for name, v in machine["versions"].items() if v)
    return (
        f"{machine['cpu']}, {machine['cores']} cores; {machine['devices']} device(s): "
        f"{machine['device']}; {versions}\n"
        f"load before {before[0]:.2f}, after {after[0]:.2f}"
    )


def load() -> list[float]:
    """Returns the average number of running processes in the last 1, 5 and 15 minutes."""
    return list(os.getloadavg())


def warning(before: list[float], after: list[float]) -> str | None:
    """Returns a line that says that the machine was not idle, or None if it was.

    Args:
      before: what `load` returned before the benchmark.
      after: the same after it.
    """
    if before[0] <= IDLE * cores() and after[0] <= OWN * cores():
        return None
    return (
        f"the machine was not idle: {cores()} cores had a load of {before[0]:.2f} before and "
        f"{after[0]:.2f} after; the times are too long, and no comparison holds"
    )


def _cpu_model() -> str:
    if CPU_INFO.exists():
        for line in CPU_INFO.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
