"""How many cores this process may use."""

import os
from pathlib import Path

_CPU_MAX = Path("/sys/fs/cgroup/cpu.max")  # of a container's control group (version 2)


def count_cores() -> int:
    """Returns the number of cores that affinity and control group allow, at least 1."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        quota, period = _CPU_MAX.read_text().split()
        cores = min(cores, int(int(quota) / int(period)))
    except (OSError, ValueError):  # no such group, or "max": no limit
        pass
    return max(1, cores or 1)
