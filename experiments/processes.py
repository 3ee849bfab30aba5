"""Joins the processes of a run: started by SLURM, Open MPI, on a Cloud TPU, or by hand.

On GPUs, SLURM's and Open MPI's processes take one GPU each, that of their local rank, unless
JAX_LOCAL_DEVICE_IDS says otherwise.
"""

import contextlib
import importlib.util
import os
import sys
import threading
import zlib
from collections.abc import Iterator
from typing import NoReturn

import jax
import numpy as np
from absl import flags
from jax.experimental import multihost_utils

from dac.errors import UserError
from dac.training import parallel

COORDINATOR = flags.DEFINE_string(
    "coordinator_address", None, "host:port of process 0; for processes started by hand"
)
NUM_PROCESSES = flags.DEFINE_integer("num_processes", None, "of the run", lower_bound=1)
PROCESS_ID = flags.DEFINE_integer("process_id", None, "of this process, from 0", lower_bound=0)

JOIN_SECONDS = 120.0  # how far apart processes may start
HEARTBEAT_SECONDS = 60  # one that is silent for so long is taken for dead, and all end
LEAVE_SECONDS = 3.0  # how long process 0, having failed, waits for the others to leave first


@contextlib.contextmanager
def joined() -> Iterator[None]:
    """Joins the other processes, where there are any; inside, they count as one run.

    Raises:
      UserError: the flags are at odds, the others can't be reached, or one of them ended.
    """
    if not _join():
        yield
        return
    try:
        yield
    except BaseException as error:
        failure = error
        if parallel.another_ended(error):
            failure = UserError(
                f"process {jax.process_index()} could not go on, as happens when another one "
                f"ends: look at what the others say ({str(error).splitlines()[0]:.200})"
            )
            failure.__cause__ = error
        # The others lose process 0 last: JAX aborts them, with a trace, when it is gone.
        if isinstance(failure, UserError) and jax.process_index() > 0:
            _leave(str(failure))
        # Python ends by waiting for the other processes, which may be waiting for this one.
        _after(LEAVE_SECONDS, lambda: os._exit(1))
        raise failure from failure.__cause__


def agree(what: str, value: str) -> None:
    """Makes sure that all processes have the same value.

    Raises:
      UserError: they don't.
    """
    found = multihost_utils.process_allgather(np.uint32(zlib.crc32(value.encode())))
    if len(np.unique(found)) > 1:
        raise UserError(f"the processes differ in {what}: start all of them with the same flags")


def _join() -> bool:
    """Joins, and says whether there are others."""
    by_hand = {flag.name: flag.value for flag in (COORDINATOR, NUM_PROCESSES, PROCESS_ID)}
    missing = [name for name, value in by_hand.items() if value is None]
    if missing and len(missing) < len(by_hand):
        raise UserError(
            f"--{missing[0]} is missing: --coordinator_address, --num_processes and --process_id "
            "go together, or leave all three out"
        )
    if not missing:
        _, port = (":" + COORDINATOR.value).rsplit(":", 1)
        if not port.isdecimal() or COORDINATOR.value.startswith(":"):
            raise UserError(
                f"--coordinator_address is {COORDINATOR.value!r}; it must be host:port, with the "
                "host that process 0 is on and a port that is free there"
            )
        if PROCESS_ID.value >= NUM_PROCESSES.value:
            raise UserError(
                f"--process_id={PROCESS_ID.value} must be below "
                f"--num_processes={NUM_PROCESSES.value}"
            )
        if NUM_PROCESSES.value == 1:
            return False
    method = _launcher() if missing else "deactivate"
    if method is None:
        return False

    where = COORDINATOR.value or "the address that the launcher told"
    watch = _after(
        JOIN_SECONDS,
        lambda: _leave(
            f"not all processes joined at {where} in {JOIN_SECONDS:.0f} s; start all of them, "
            "with the same address of process 0, which must be reachable"
        ),
    )
    # It would take SIGTERM for itself, which saves and stops the run.
    jax.config.update("jax_enable_preemption_service", False)
    try:
        jax.distributed.initialize(
            *by_hand.values(),
            cluster_detection_method=method,
            initialization_timeout=round(JOIN_SECONDS) + 60,
            heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
        )
    except (RuntimeError, ValueError, LookupError, OSError) as error:
        raise UserError(f"the processes of the run could not join ({error})") from error
    finally:
        watch.cancel()
    return True


def _launcher() -> str | None:
    """How JAX is to ask the launcher for the other processes; None where there are none.

    Raises:
      UserError: it can't be asked.
    """

    def several(name):
        return os.environ.get(name, "1") != "1"

    if several("OMPI_COMM_WORLD_SIZE"):
        if "OMPI_MCA_orte_hnp_uri" in os.environ:
            return "ompi"
        # Open MPI 5 no longer tells where process 0 is.
        if not importlib.util.find_spec("mpi4py"):
            raise UserError(
                "Open MPI 5 and later tell JAX of the other processes through mpi4py: pip install "
                "mpi4py, or give --coordinator_address, --num_processes and --process_id"
            )
        return "mpi4py"
    if several("SLURM_STEP_NUM_TASKS"):
        return "slurm"
    hosts = os.environ.get("TPU_PROCESS_ADDRESSES") or os.environ.get("TPU_WORKER_HOSTNAMES")
    if hosts:
        return "gketpu" if "," in hosts or several("MEGASCALE_NUM_SLICES") else None
    # JAX sets the platform on a Cloud TPU VM, where a metadata server tells of the others.
    on_cloud_tpu = "tpu" in (jax.config.jax_platforms or "")
    return "gcetpu" if on_cloud_tpu and "TPU_SKIP_MDS_QUERY" not in os.environ else None


def _leave(text: str) -> NoReturn:
    """Ends this process before JAX does, which would abort with a trace."""
    print(f"error: {' '.join(text.split())}", file=sys.stderr, flush=True)
    os._exit(1)


def _after(seconds: float, act) -> threading.Timer:
    timer = threading.Timer(seconds, act)
    timer.daemon = True
    timer.start()
    return timer
