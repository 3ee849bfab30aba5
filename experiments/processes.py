"""Joins the processes of a run, started by SLURM, by Open MPI, on a Cloud TPU, or by hand.

Under SLURM and Open MPI each process uses one GPU, that of its local rank, unless
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
from dac.jax_errors import another_process_ended

FLAGS = flags.FLAGS

JOIN_SECONDS = 120.0  # how far apart the processes may start
HEARTBEAT_SECONDS = 60  # after this silence a process counts as dead, and all others end
LEAVE_SECONDS = 3.0  # how long a failed process 0 waits for the others to leave first


def define_flags() -> None:
    """Defines the flags of processes that are started by hand."""
    flags.DEFINE_string("coordinator_address", None, "host:port of process 0")
    flags.DEFINE_integer("num_processes", None, "number of processes", lower_bound=1)
    flags.DEFINE_integer("process_id", None, "number of this process, from 0", lower_bound=0)


@contextlib.contextmanager
def joined() -> Iterator[None]:
    """Joins the other processes of the run, if there are any.

    Raises:
      UserError: the flags contradict each other, or another process can't be reached or ended.
    """
    if not _join():
        yield
        return
    try:
        yield
    except BaseException as error:
        failure = error
        if another_process_ended(error):
            failure = UserError(
                f"process {jax.process_index()} could not go on, as happens when another one "
                f"ends: look at what the others say ({str(error).splitlines()[0]:.200})"
            )
            failure.__cause__ = error
        # JAX aborts the others with a traceback when process 0 is gone, so it leaves last.
        if isinstance(failure, UserError) and jax.process_index() > 0:
            _leave(str(failure))
        # At exit Python waits for the other processes, which may be waiting for this one.
        _after(LEAVE_SECONDS, lambda: os._exit(1))
        raise failure from failure.__cause__


def agree(what: str, value: str) -> None:
    """Checks that all processes have the same value.

    Raises:
      UserError: they differ.
    """
    found = multihost_utils.process_allgather(np.uint32(zlib.crc32(value.encode())))
    if len(np.unique(found)) > 1:
        raise UserError(f"the processes differ in {what}: start all of them with the same flags")


def _join() -> bool:
    """Joins the other processes; returns whether there are any."""
    by_hand = {
        name: FLAGS[name].value for name in ("coordinator_address", "num_processes", "process_id")
    }
    missing = [name for name, value in by_hand.items() if value is None]
    if missing and len(missing) < len(by_hand):
        raise UserError(
            f"--{missing[0]} is missing: --coordinator_address, --num_processes and --process_id "
            "go together, or leave all three out"
        )
    if not missing:
        _, port = (":" + FLAGS.coordinator_address).rsplit(":", 1)
        if not port.isdecimal() or FLAGS.coordinator_address.startswith(":"):
            raise UserError(
                f"--coordinator_address is {FLAGS.coordinator_address!r}; it must be host:port, "
                "with the host of process 0 and a port that is free there"
            )
        if FLAGS.process_id >= FLAGS.num_processes:
            raise UserError(
                f"--process_id={FLAGS.process_id} must be below "
                f"--num_processes={FLAGS.num_processes}"
            )
        if FLAGS.num_processes == 1:
            return False
    method = _launcher() if missing else "deactivate"
    if method is None:
        return False

    where = FLAGS.coordinator_address or "the launcher's address"
    watch = _after(
        JOIN_SECONDS,
        lambda: _leave(
            f"not all processes joined at {where} in {JOIN_SECONDS:.0f} s; start all of them "
            "with the same address of process 0, and make sure that they can reach it"
        ),
    )
    # The service would catch SIGTERM, which has to save and stop the run.
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
    """Returns the method by which JAX asks the launcher for the other processes, or None.

    Raises:
      UserError: there are others, but the launcher can't be asked.
    """

    def several(name):
        return os.environ.get(name, "1") != "1"

    if several("OMPI_COMM_WORLD_SIZE"):
        if "OMPI_MCA_orte_hnp_uri" in os.environ:
            return "ompi"
        # Open MPI 5 no longer says where process 0 is.
        if not importlib.util.find_spec("mpi4py"):
            raise UserError(
                "with Open MPI 5 and later, JAX finds the other processes through mpi4py: pip "
                "install mpi4py, or give --coordinator_address, --num_processes and --process_id"
            )
        return "mpi4py"
    if several("SLURM_STEP_NUM_TASKS"):
        return "slurm"
    hosts = os.environ.get("TPU_PROCESS_ADDRESSES") or os.environ.get("TPU_WORKER_HOSTNAMES")
    if hosts:
        return "gketpu" if "," in hosts or several("MEGASCALE_NUM_SLICES") else None
    # On a Cloud TPU VM JAX sets the platform, and a metadata server knows the other hosts.
    on_cloud_tpu = "tpu" in (jax.config.jax_platforms or "")
    return "gcetpu" if on_cloud_tpu and "TPU_SKIP_MDS_QUERY" not in os.environ else None


def _leave(text: str) -> NoReturn:
    """Ends this process before JAX does, which would abort it with a traceback."""
    print(f"error: {' '.join(text.split())}", file=sys.stderr, flush=True)
    os._exit(1)


def _after(seconds: float, act) -> threading.Timer:
    timer = threading.Timer(seconds, act)
    timer.daemon = True
    timer.start()
    return timer
