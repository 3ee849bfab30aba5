"""Tests of runs with several real processes, which connect over loopback."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from absl import flags
from absl.testing import flagsaver

from configs import progan_genre
from dac.covers.dataset import CoverDataset, find_dataset
from dac.errors import UserError
from dac.run import checkpoint
from dac.run.checkpoint import Checkpoints
from dac.training import loop
from dac.training.state import init_state
from experiments import processes
from tests.conftest import ONE_DEVICE

PROJECT = Path(__file__).parents[2]
TWO_DEVICES = ONE_DEVICE | {
    "XLA_FLAGS": f"{ONE_DEVICE['XLA_FLAGS']} --xla_force_host_platform_device_count=2"
}
PATIENCE = 200  # seconds

# 4x4 and 8x8; 1,280 images with a fade-in from 320 to 640; batches divide over four devices.
TINY = {
    "resolution": 8,
    "fmap_base": 16,
    "fmap_max": 8,
    "latent_size": 8,
    "augment": "none",
    **{"loss": "non_saturating", "penalty_interval": 1},  # the quickest to compile
    "batch_sizes": (16, 16),
    "learning_rates": (1e-3, 1e-3),
    "fade_kimg": (0.0, 0.32),
    "stable_kimg": (0.32, 0.64),
    "tick_kimg": 0.08,
    "checkpoint_kimg": 0.16,
    "grid_columns": 2,
}


@pytest.fixture(scope="module")
def config():
    config = progan_genre.get_config("demo")
    config.update(TINY)
    return config


@pytest.fixture(scope="module")
def dataset(data_dir):
    return CoverDataset(find_dataset(data_dir, "demo_covers", 8), memory_gib=1.0)


@pytest.fixture(scope="module")
def finished(config, dataset, tmp_path_factory):
    """The final state and the directory of a run by one process on two devices."""
    workdir = tmp_path_factory.mktemp("finished")
    loop.train(config, workdir, dataset, jax.devices()[:2])
    return last_state(config, workdir), workdir


def last_state(config, workdir):
    checkpoints = Checkpoints(workdir, read_only=True)
    state, _ = checkpoints.restore(jax.jit(lambda: init_state(config, 16))(), pytest.fail)
    checkpoints.close()
    return jax.device_get(state)


def assert_close(state, expected):
    """Compares trees as whole vectors; only the order of summation differs."""
    for name in ("generator", "critic", "generator_ema", "generator_optimizer", "critic_optimizer"):
        a, b = (
            np.concatenate([np.ravel(x) for x in jax.tree.leaves(getattr(s, name))])
            for s in (state, expected)
        )
        assert np.linalg.norm(a - b) <= 1e-5 * np.linalg.norm(b), name


def reported(workdir):
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["images_seen"] for line in lines]


@pytest.fixture(scope="module", autouse=True)
def parsed_flags():
    processes.define_flags()
    flags.FLAGS.mark_as_parsed()


class Pair:
    """Two processes of one run, with one device each."""

    def __init__(self, folder, command, environments=None):
        port = free_port()
        by_hand = [f"--coordinator_address=127.0.0.1:{port}", "--num_processes=2"]
        self._outputs = [(folder / f"out{i}", folder / f"err{i}") for i in range(2)]
        self._processes = []
        for i, (out, err) in enumerate(self._outputs):
            flags = [] if environments else [*by_hand, f"--process_id={i}"]
            extra = environments[i] | {"JAX_COORDINATOR_PORT": f"{port}"} if environments else {}
            with out.open("w") as stdout, err.open("w") as stderr:
                process = subprocess.Popen(
                    [sys.executable, *command, *flags],
                    cwd=PROJECT,
                    env=ONE_DEVICE | extra,
                    stdout=stdout,
                    stderr=stderr,
                )
            self._processes.append(process)

    def signal_second(self, number, ticks):
        """Sends a signal to the second process after the first has logged some ticks."""
        deadline = time.monotonic() + PATIENCE
        while len(re.findall("images/s", self.errors()[0])) < ticks:
            assert self._processes[0].poll() is None, self.errors()
            assert time.monotonic() < deadline, self.errors()
            time.sleep(0.01)
        self._processes[1].send_signal(number)

    def wait(self):
        """Returns the exit codes."""
        try:
            return [process.wait(PATIENCE) for process in self._processes]
        finally:
            for process in self._processes:
                process.kill()
                process.wait()

    def errors(self):
        return [err.read_text() for _, err in self._outputs]

    def outputs(self):
        # Gloo, which connects processes on CPUs, writes to stdout.
        return [re.sub(r"\[Gloo\].*\n", "", out.read_text()) for out, _ in self._outputs]


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.mark.slow  # starts two compiling processes three times
def test_resuming_two_processes_matches_one_with_two_devices(config, data_dir, tmp_path):
    workdir, expected_workdir = tmp_path / "run", tmp_path / "expected"
    command = [
        *("-m", "experiments.train", "--config=configs/progan_genre.py:demo"),
        *(f"--workdir={workdir}", f"--data_dir={data_dir}"),
        *(f"--config.{name}={value}" for name, value in TINY.items()),
    ]
    # In a process of its own, with as many threads. With the threads of this one's eight devices,
    # sums would differ by rounding, and a leaky ReLU near 0 may turn that into 1e-4.
    subprocess.run(
        [sys.executable, *command, f"--workdir={expected_workdir}"],
        cwd=PROJECT,
        env=TWO_DEVICES,
        check=True,
    )

    pair = Pair(tmp_path, command)
    pair.signal_second(signal.SIGTERM, ticks=5)
    assert pair.wait() == [0, 0], pair.errors()
    saved = re.search(r"stopped by SIGTERM: saved at ([\d,]+) images seen", pair.errors()[0])
    stopped_at = int(saved[1].replace(",", ""))
    assert 400 <= stopped_at < 1280  # at 8x8
    assert int(last_state(config, workdir).images_seen) == stopped_at

    pair = Pair(tmp_path, command)
    pair.signal_second(signal.SIGKILL, ticks=2)
    first, second = pair.wait()
    assert (first != 0, second) == (True, -signal.SIGKILL), pair.errors()
    assert "resuming" in pair.errors()[0]
    assert "error: process 0 could not go on" in pair.errors()[0]
    assert stopped_at <= int(last_state(config, workdir).images_seen) < 1280

    pair = Pair(tmp_path, command)
    assert pair.wait() == [0, 0], pair.errors()
    assert "resuming" in pair.errors()[0]
    assert pair.errors()[1] == pair.outputs()[1] == ""
    assert "Traceback" not in pair.errors()[0]
    assert "python -m experiments.sample" in pair.outputs()[0]

    state, expected = (last_state(config, x) for x in (workdir, expected_workdir))
    assert int(state.images_seen) == 1280
    assert_close(state, expected)
    assert reported(workdir) == reported(expected_workdir) == list(range(80, 1281, 80))


@pytest.fixture(scope="module")
def stopped(config, dataset, tmp_path_factory):
    """The directory of a run on two devices that was stopped at 8x8, after the fade-in."""
    workdir = tmp_path_factory.mktemp("stopped")
    make_batch = loop.make_batch
    with pytest.MonkeyPatch.context() as patch:

        def stopping(*arguments):
            if len(batches) == 64:
                os.kill(os.getpid(), signal.SIGTERM)
            batches.append(None)
            return make_batch(*arguments)

        batches = []
        patch.setattr(loop, "make_batch", stopping)
        assert loop.train(config, workdir, dataset, jax.devices()[:2]) == signal.SIGTERM
    return workdir


@pytest.mark.parametrize("devices", [1, 4])
def test_checkpoint_of_two_devices_resumes_on_one_or_four(
    config, dataset, finished, stopped, tmp_path, devices
):
    shutil.copytree(stopped, tmp_path, dirs_exist_ok=True)
    assert 960 < int(last_state(config, tmp_path).images_seen) < 1280
    loop.train(config, tmp_path, dataset, jax.devices()[:devices])
    (expected, _), state = finished, last_state(config, tmp_path)
    assert int(state.images_seen) == 1280
    assert_close(state, expected)


# Joins the processes of a run, without training.
JOIN_CODE = """
import jax
from absl import flags
from experiments import cli, data, processes
from dac.errors import UserError
from data_pipeline.demo_covers.demo_covers_dataset_builder import DemoCovers

def define_flags():
    flags.DEFINE_string("act", "join", "")
    flags.DEFINE_float("patience", processes.JOIN_SECONDS, "")
    data.define_flags()
    processes.define_flags()

def main():
    act = flags.FLAGS.act
    processes.JOIN_SECONDS = flags.FLAGS.patience
    with processes.joined():
        index = jax.process_index()
        processes.agree("the flags", "the same")
        if act == "build":
            DemoCovers.num_covers = 16
            data.open_dataset("demo_covers", 8)
        elif act == "differ":
            processes.agree("the config", f"{index}")
        elif act == "fail" and index == 1:
            raise UserError("a cover is damaged")
        processes.agree("the end", "the same")
        print(f"process {index} of {jax.process_count()} has {jax.device_count()} devices")

cli.run(main, define_flags)
"""
JOINED = [f"process {i} of 2 has 2 devices\n" for i in range(2)]


@pytest.mark.parametrize(
    "environment",
    [
        {
            "SLURM_JOB_ID": "1234",
            "SLURM_STEP_NODELIST": "localhost",
            "SLURM_NTASKS": "2",
            "SLURM_STEP_NUM_TASKS": "2",
            "SLURM_PROCID": "{i}",
            "SLURM_LOCALID": "{i}",
        },
        {
            "OMPI_MCA_orte_hnp_uri": "1531576320.0;tcp://127.0.0.1:34911",
            "OMPI_COMM_WORLD_SIZE": "2",
            "OMPI_COMM_WORLD_RANK": "{i}",
            "OMPI_COMM_WORLD_LOCAL_RANK": "{i}",
        },
        {
            "JAX_FORCE_TPU_INIT": "1",
            "TPU_WORKER_HOSTNAMES": "localhost,localhost",
            "TPU_WORKER_ID": "{i}",
            "MEGASCALE_COORDINATOR_ADDRESS": "localhost",
            "MEGASCALE_NUM_SLICES": "1",
            "MEGASCALE_SLICE_ID": "0",
        },
    ],
    ids=["slurm", "open_mpi", "cloud_tpu"],
)
def test_launched_processes_find_each_other(environment, tmp_path):
    environments = [{k: v.format(i=i) for k, v in environment.items()} for i in range(2)]
    pair = Pair(tmp_path, ["-c", JOIN_CODE], environments)
    assert pair.wait() == [0, 0], pair.errors()
    assert pair.outputs() == JOINED
    assert pair.errors() == ["", ""]


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"SLURM_JOB_ID": "1", "SLURM_NTASKS": "4", "SLURM_STEP_NUM_TASKS": "1"},
        {"SLURM_JOB_ID": "1", "SLURM_NTASKS": "4"},  # a batch script without srun
        {"OMPI_COMM_WORLD_SIZE": "1", "OMPI_COMM_WORLD_RANK": "0"},
        {"TPU_WORKER_HOSTNAMES": "localhost", "TPU_WORKER_ID": "0"},
    ],
)
def test_single_process_does_not_initialize_jax_distributed(environment, monkeypatch):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(jax.distributed, "initialize", lambda *a, **k: pytest.fail("it joined"))
    with processes.joined():
        pass
    by_hand = {"coordinator_address": "localhost:1", "num_processes": 1, "process_id": 0}
    with flagsaver.flagsaver(**by_hand), processes.joined():
        pass


@pytest.mark.parametrize(
    ("by_hand", "message"),
    [
        ({"process_id": 1}, "--coordinator_address is missing"),
        ({"coordinator_address": "host:1", "num_processes": 2}, "--process_id is missing"),
        (
            {"coordinator_address": "host:1", "num_processes": 2, "process_id": 2},
            "--process_id=2 must be below --num_processes=2",
        ),
        (
            {"coordinator_address": "host", "num_processes": 2, "process_id": 1},
            "'host'; it must be host:port",
        ),
    ],
)
def test_inconsistent_flags_are_rejected(by_hand, message):
    with (
        flagsaver.flagsaver(**by_hand),
        pytest.raises(UserError, match=re.escape(message)),
        processes.joined(),
    ):
        pass


def test_open_mpi_without_mpi4py_is_reported(monkeypatch):
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "2")
    monkeypatch.setattr(processes.importlib.util, "find_spec", lambda name: None)
    message = "pip install mpi4py, or give --coordinator_address"
    with pytest.raises(UserError, match=message), processes.joined():
        pass


@pytest.mark.parametrize("process_id", [0, 1])
def test_process_without_the_others_times_out_with_one_line(process_id):
    address = f"127.0.0.1:{free_port()}"
    result = subprocess.run(
        [
            *(sys.executable, "-c", JOIN_CODE, "--patience=1", f"--coordinator_address={address}"),
            *("--num_processes=2", f"--process_id={process_id}"),
        ],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"error: not all processes joined at {address} in 1 s; start all")


def test_one_process_builds_the_demo_covers_and_the_other_waits(tmp_path):
    pair = Pair(tmp_path, ["-c", JOIN_CODE, "--act=build", f"--data_dir={tmp_path / 'datasets'}"])
    assert pair.wait() == [0, 0], pair.errors()
    assert pair.outputs()[1] == JOINED[1]
    assert "building the demo covers" in pair.errors()[0]
    assert pair.errors()[1] == ""


def test_an_error_in_one_process_ends_the_other(tmp_path):
    pair = Pair(tmp_path, ["-c", JOIN_CODE, "--act=fail"])
    assert pair.wait() == [1, 1], pair.errors()
    assert pair.errors()[1] == "error: a cover is damaged\n"
    assert pair.errors()[0].startswith("error: process 0 could not go on")


def test_processes_with_different_flags_are_rejected(tmp_path):
    pair = Pair(tmp_path, ["-c", JOIN_CODE, "--act=differ"])
    assert pair.wait() == [1, 1], pair.errors()
    for error in pair.errors():
        assert error == (
            "error: the processes differ in the config: start all of them with the same flags\n"
        )


def test_pmap_is_rejected_for_several_processes(config, dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    config = config.copy_and_resolve_references()
    config.parallelism = "pmap"
    with pytest.raises(UserError, match="use 'shard_map'"):
        loop.train(config, tmp_path, dataset)


def test_unshared_workdir_is_rejected(config, dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(
        checkpoint.multihost_utils, "process_allgather", lambda newest: np.array([960, newest])
    )
    with pytest.raises(UserError, match="give a --workdir on a shared disk"):
        loop.train(config, tmp_path, dataset, jax.devices()[:1])
