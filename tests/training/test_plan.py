import re
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dac.covers.dataset import CoverDataset, find_dataset
from dac.errors import UserError
from dac.networks.convolutions import conv
from dac.run.schedule import phases
from dac.training import loop, parallel, plan
from dac.training.flops import count_flops
from tests.conftest import ONE_DEVICE

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def dataset(data_dir):
    return CoverDataset(find_dataset(data_dir, "demo_covers", 8), memory_gib=1.0)


def compile_last(config, batch_size, devices=1):
    """Compiles the last phase with a given batch size."""
    config = config.copy_and_resolve_references()
    config.batch_sizes = (8, batch_size)
    run = phases(config)
    mesh = parallel.make_mesh(jax.devices()[:devices], run[-1:])
    return plan.Planner(config, mesh, num_genres=8, augment=False).compile(run[-1])


def test_step_that_does_not_fit_is_rejected_with_a_batch_size_that_fits(
    config, dataset, tmp_path, monkeypatch
):
    limit = int(1.3 * compile_last(config, 32).memory)
    monkeypatch.setattr(plan, "device_memory", lambda device: limit)
    config.batch_sizes = (8, 64)
    with pytest.raises(UserError, match=r"8x8 in batches of 64 needs \S+ MiB .* 32 fits"):
        loop.train(config, tmp_path, dataset, jax.devices()[:1])
    assert not (tmp_path / "run.json").exists()
    assert not any((tmp_path / "checkpoints").iterdir())
    assert not any((tmp_path / "samples").glob("*"))

    limit = 1000
    with pytest.raises(UserError, match=r"4x4 .* not even a batch of 4 fits: lower config\.fmap"):
        loop.train(config, tmp_path, dataset, jax.devices()[:1])


def test_memory_scales_with_the_batch_size_per_device(config):
    small, large, shared = (
        compile_last(config, *at).memory for at in ((128, 1), (512, 1), (512, 4))
    )
    assert 3 < large / small < 5
    assert 0.8 < shared / small < 1.25


def test_memory_counts_the_copy_that_is_being_saved_and_the_sample_grid(config, monkeypatch):
    config.update({"fmap_base": 1024, "fmap_max": 128, "latent_size": 64})
    program = compile_last(config, 4)
    # Only CPUs copy the state to write a checkpoint.
    monkeypatch.setattr(plan, "copies_state", lambda device: False)
    without_copy = compile_last(config, 4)
    state = plan._bytes(plan_state(config))
    assert program.step_memory - without_copy.step_memory == state
    assert program.grid_memory - without_copy.grid_memory == state
    assert without_copy.grid_memory > state + 16 * 8 * 8 * 3 * 4  # with the covers of a batch


def test_run_whose_sample_grids_do_not_fit_is_rejected(config, dataset, tmp_path, monkeypatch):
    fitting = compile_last(config, 8)
    monkeypatch.setattr(plan, "device_memory", lambda device: 2 * fitting.memory)
    build = plan.Program
    monkeypatch.setattr(
        plan, "Program", lambda **fields: build(**fields | {"grid_memory": 4 * fitting.memory})
    )
    message = r"4x4 with its sample grid needs \S+ MiB .*; lower config\.fmap_max"
    with pytest.raises(UserError, match=message):
        loop.train(config, tmp_path, dataset, jax.devices()[:1])


def plan_state(config):
    mesh = parallel.make_mesh(jax.devices()[:1], phases(config))
    return plan.Planner(config, mesh, num_genres=8, augment=False).state_shapes()


def test_cpu_devices_share_the_memory_of_the_host_or_cgroup(tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "CGROUP_LIMIT", tmp_path / "memory.max")
    whole = plan.device_memory(jax.devices()[0])
    (tmp_path / "memory.max").write_text("max\n")
    assert plan.device_memory(jax.devices()[0]) == whole > 0
    (tmp_path / "memory.max").write_text(f"{2**20}\n")
    assert plan.device_memory(jax.devices()[0]) == 2**20 // 8


CONV = 2 * (2 * 4 * 4 * 5) * (3 * 3 * 3)  # 2x4x4x5 outputs with 3x3x3 products each


def strided(x, kernel):
    return conv(x, kernel, stride=2)


def squared(x, kernel):
    return jnp.sum(strided(x, kernel) ** 2)


@pytest.mark.parametrize(
    ("function", "shapes", "expected"),
    [
        (conv, [(2, 4, 4, 3), (3, 3, 3, 5)], CONV),
        (strided, [(2, 8, 8, 3), (3, 3, 3, 5)], CONV),
        # The forward pass and a gradient, which has the same cost.
        (jax.grad(squared, argnums=0), [(2, 8, 8, 3), (3, 3, 3, 5)], 2 * CONV),
        (jax.grad(squared, argnums=1), [(2, 8, 8, 3), (3, 3, 3, 5)], 2 * CONV),
        (jnp.matmul, [(4, 5), (5, 6)], 2 * 4 * 5 * 6),
        (jax.vmap(jnp.matmul), [(7, 4, 5), (7, 5, 6)], 7 * 2 * 4 * 5 * 6),
        (
            lambda x, steps: jax.lax.scan(lambda x, y: (x @ y, None), x, steps),
            [(4, 4), (7, 4, 4)],
            7 * 2 * 4**3,
        ),
        (jax.jit(jax.checkpoint(jnp.matmul)), [(4, 5), (5, 6)], 2 * 4 * 5 * 6),
        (jnp.add, [(4, 5), (4, 5)], 0),
    ],
)
def test_flops_match_hand_counts(function, shapes, expected):
    arrays = [jnp.zeros(shape) for shape in shapes]
    assert count_flops(jax.make_jaxpr(function)(*arrays).jaxpr) == expected


def test_flops_do_not_depend_on_devices_and_parameters_are_the_active_ones(config):
    programs = [compile_last(config, 32, devices) for devices in (1, 2)]
    assert programs[0].flops == programs[1].flops > 0
    sizes = []
    for resolution in (4, 8):
        config.update({"resolution": resolution})
        planner = plan.Planner(
            config, parallel.make_mesh(jax.devices()[:1], phases(config)), 8, augment=False
        )
        state = planner.state_shapes()
        sizes.append(sum(x.size for x in jax.tree.leaves((state.generator, state.critic))))
    assert programs[0].parameters == sizes[1] > sizes[0]


def test_dry_run_prints_a_line_per_resolution_and_writes_nothing(data_dir, tmp_path):
    result = subprocess.run(
        [
            *(sys.executable, "-m", "experiments.train", "--dry_run"),
            *("--config=configs/progan_genre.py:demo", f"--workdir={tmp_path / 'run'}"),
            *(f"--data_dir={data_dir}", "--config.resolution=8", "--config.fmap_max=8"),
            *("--config.batch_sizes=(8,16)", "--config.learning_rates=(1e-3,2e-3)"),
            *("--config.loss=non_saturating", "--config.penalty_interval=1"),
            *("--config.fade_kimg=(0.,1.6)", "--config.stable_kimg=(3.2,1.)"),
        ],
        cwd=PROJECT,
        env=ONE_DEVICE,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert not (tmp_path / "run").exists()
    _, heading, four, eight, whole = result.stdout.splitlines()
    assert len(heading) == len(four) == len(eight)
    columns = [re.split(r"\s{2,}", line.strip()) for line in (heading, four, eight)]
    (_, first, second) = (dict(zip(columns[0], row, strict=True)) for row in columns)
    assert [first[k] for k in ("resolution", "batch", "fade kimg")] == ["4x4", "8", "0"]
    assert [second[k] for k in ("batch", "learning rate", "stable kimg")] == [
        "16",
        "0.002",
        "1.008",
    ]
    assert int(second["parameters"].replace(",", "")) > int(first["parameters"].replace(",", ""))
    assert re.match(r"each device has [\d.]+ GiB; the whole run takes [\d.]+ \S+$", whole)
    # The total time is the time per step times the number of steps.
    steps, seconds = 3200 / 8, np.array([_seconds(first[k]) for k in ("time/step", "time in all")])
    assert seconds[1] == pytest.approx(steps * seconds[0], rel=0.1)


def _seconds(text):
    number, unit = text.split()
    return float(number) * {"ms": 1e-3, "s": 1, "min": 60, "h": 3600, "d": 86400}[unit]
