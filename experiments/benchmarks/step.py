"""The speed of a training step at each resolution, alone or against PyTorch."""

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from dac.covers.conditions import Album, encode
from dac.run.schedule import Phase, phases
from dac.training import parallel
from dac.training.augment import uses_diff_augment
from dac.training.plan import Planner, Program, size_text
from dac.training.state import GanState, init_state
from experiments.benchmarks import against_torch
from experiments.benchmarks.timing import Columns, Row, Spread, alternate, number, with_quartiles

GENRES = 3  # as in the PyTorch of the parity tests; the number hardly matters to the time
PEAK_SECONDS = 2.0
MATMUL_SIDES = {"cpu": 2048}  # saturates the device
MATMUL_SIDE = 8192  # of others

COLUMNS: Columns = {
    "resolution": lambda row: f"{row['resolution']}x{row['resolution']}",
    "batch": lambda row: f"{row['batch_size']}",
    "images/s": lambda row: number(row["images_per_second"]),
    "ms/step (quartiles)": with_quartiles("step_seconds", 1000),
    "blocks": lambda row: f"{row['blocks']}",
    "GFLOP/step": lambda row: number(row["flops"] / 1e9),
    "GFLOP/s": lambda row: number(row["flops_per_second"] / 1e9),
    "of peak": lambda row: f"{row['share_of_peak']:.0%}",
    "memory": lambda row: size_text(row["memory_bytes"]),
}


class Steps:
    """Steps of a config on all devices, with random covers in place of a dataset.

    Attributes:
      config: the config.
      run: its phases.
      mesh: the devices.
      augment: whether the critic sees all pictures through DiffAugment; `auto` counts as yes.
      planner: compiles.
    """

    def __init__(self, config: ml_collections.ConfigDict):
        """Prepares the devices.

        Raises:
          UserError: the devices can't share a batch.
        """
        self.config, self.run = config, phases(config)
        self.mesh = parallel.make_mesh(jax.devices(), self.run)
        self.augment = uses_diff_augment(config.augment, covers=0)
        self.planner = Planner(config, self.mesh, GENRES, self.augment)

    def state(self, phase: Phase) -> GanState:
        """Returns fresh parameters in the middle of the phase's fade-in."""

        def init():
            middle = jnp.int32((phase.start + phase.fade_end) // 2)
            return init_state(self.config, GENRES).replace(images_seen=middle)

        return jax.jit(init, out_shardings=parallel.replicated(self.mesh))()

    def batches(self, phase: Phase) -> dict[str, np.ndarray]:
        """Returns random covers of random albums, `[n_critic, B, ...]`."""
        random, shape = np.random.default_rng(0), (phase.n_critic, phase.batch_size)

        def name():
            return "".join(random.choice(list("abcdefgh "), size=12))

        albums = [
            Album({int(random.integers(GENRES)): 1.0}, int(random.integers(1950, 2025)), *names)
            for names in ((name(), name()) for _ in range(phase.images_per_step))
        ]
        pixels = (*shape, phase.resolution, phase.resolution, 3)
        conditions = encode(albums, self.config.conditions, GENRES)
        return {"image": random.integers(0, 256, pixels, np.uint8)} | {
            key: values.reshape(*shape, *values.shape[1:]) for key, values in conditions.items()
        }

    def work(self, program: Program) -> Callable[[int], None]:
        """Returns a function that runs steps of a program, this many, and waits for them."""
        phase = program.phase

        def shared(x):  # [n_critic, B, ...] to [devices, n_critic, B / devices, ...]
            parts = x.reshape(phase.n_critic, self.mesh.size, -1, *x.shape[2:])
            return parts.swapaxes(0, 1)

        batch = {name: shared(x) for name, x in self.batches(phase).items()}
        batch = parallel.split(self.mesh, batch)
        state = self.state(phase)

        def work(steps):
            nonlocal state
            for i in range(steps):
                state, metrics = program.step(i)(state, batch)
            jax.block_until_ready((state, metrics))

        return work


def measure(
    config: ml_collections.ConfigDict,
    sizes: Sequence[int],
    seconds: float,
    against: str | None,
    say: Callable[[str], None],
) -> list[Row]:
    """Measures the step of each resolution.

    Args:
      config: the config.
      sizes: resolutions to measure; each is one of the config's.
      seconds: for each resolution, compilation aside.
      against: `torch`, to time the same step in PyTorch beside it, or None.
      say: receives a line about what is going on.

    Raises:
      UserError: a resolution does not fit the memory, or PyTorch is missing.
    """
    theirs = against_torch.load() if against else None
    steps = Steps(config)
    say(f"measuring the peak of matrix products in {config.precision} ...")
    peak = matmul_peak(steps.mesh, config.precision, min(seconds, PEAK_SECONDS))
    rows = []
    for phase in steps.run:
        if phase.resolution not in sizes:
            continue
        say(f"{phase.resolution}x{phase.resolution}: compiling and timing ...")
        program = steps.planner.compile(phase)
        contenders = {"ours": steps.work(program)}
        if theirs:
            state = jax.device_get(steps.state(phase))
            make = functools.partial(theirs.work, config, phase, state, augment=steps.augment)
            contenders |= make(steps.batches(phase))
        times = alternate(contenders, seconds)
        row = described(program, Spread.of(times["ours"]), peak)
        rows.append(row | against_torch.compared(times) if theirs else row)
    return rows


def described(program: Program, spread: Spread, peak: float) -> Row:
    """Returns the row of a resolution.

    Args:
      program: its step.
      spread: the seconds of a step.
      peak: operations a second that the devices reach in matrix products.
    """
    phase, rate = program.phase, program.flops / spread.median
    return {
        "resolution": phase.resolution,
        "batch_size": phase.batch_size,
        "n_critic": phase.n_critic,
        "images_per_second": phase.images_per_step / spread.median,
        **spread.fields("step_seconds"),
        "blocks": spread.count,
        "flops": program.flops,
        "flops_per_second": rate,
        "peak_flops_per_second": peak,
        "share_of_peak": rate / peak,
        "memory_bytes": program.memory,
    }


def matmul_peak(mesh: Mesh, precision: str, seconds: float) -> float:
    """Returns the operations a second that all devices together reach in a large matrix product.

    It is the best block's: a peak.
    """
    side = MATMUL_SIDES.get(mesh.devices[0].platform, MATMUL_SIDE)
    dtype = jnp.bfloat16 if precision == "bf16" else jnp.float32
    parts = PartitionSpec(parallel.DATA_AXIS)
    product = jax.jit(
        jax.shard_map(lambda x: (x @ x) / side, mesh=mesh, in_specs=parts, out_specs=parts)
    )
    x = jnp.ones((mesh.size * side, side), dtype)
    x = jax.device_put(x, jax.sharding.NamedSharding(mesh, parts))

    def work(turns):
        y = x
        for _ in range(turns):
            y = product(y)
        y.block_until_ready()

    best = min(alternate({"product": work}, seconds)["product"])
    return 2 * side**3 * mesh.size / best
