"""The speed of making covers, from the command and from Python."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import ml_collections

from dac import models
from dac.covers.conditions import Album
from dac.run.checkpoint import Checkpoints
from dac.run.schedule import phases
from dac.run.workdir import claim_workdir, write_run
from dac.training.state import init_state
from experiments.benchmarks import fresh
from experiments.benchmarks.timing import Columns, Row, Spread, alternate, number, with_quartiles

COVERS = 16
IDENTITY = {"genres": ["dub", "jazz", "rock"], "fields": [], "years": None}  # of no dataset

COLUMNS: Columns = {
    "resolution": lambda row: f"{row['resolution']}x{row['resolution']}",
    f"{COVERS} covers, first start, s": lambda row: number(row["cold_seconds"]),
    "second start, s": lambda row: number(row["warm_seconds"]),
    f"then ms/{COVERS} covers (quartiles)": with_quartiles("batch_seconds", 1000),
    "covers/s": lambda row: number(row["covers_per_second"]),
}


def measure(
    config: ml_collections.ConfigDict, seconds: float, say: Callable[[str], None]
) -> list[Row]:
    """Measures a run directory with fresh parameters, at the final resolution of a config.

    Args:
      config: the config.
      seconds: for the covers that are drawn when all is loaded.
      say: receives a line about what is going on.

    Raises:
      UserError: the command `sample` failed.
    """
    with tempfile.TemporaryDirectory(prefix="benchmark") as folder:
        workdir, cache = Path(folder, "run"), Path(folder, "cache")
        say("writing a run directory ...")
        write_fresh_run(config, workdir)
        flags = [f"--workdir={workdir}", f"--n={COVERS}", f"--out={folder}/covers.png"]
        starts = []
        for kind in ("without compiled programs", "with them"):
            say(f"making {COVERS} covers by the command, {kind} ...")
            starts.append(fresh.run_to_end("sample", flags, cache))
        say("making covers from Python ...")
        run = models.load_run(workdir)

        def work(turns):
            for _ in run.sample_batches([Album()] * COVERS * turns, seed=0):
                pass

        spread = Spread.of(alternate({"draw": work}, seconds)["draw"])
    cold, warm = starts
    return [
        {
            "resolution": run.resolution,
            "covers": COVERS,
            "cold_seconds": cold,
            "warm_seconds": warm,
            **spread.fields("batch_seconds"),
            "blocks": spread.count,
            "covers_per_second": COVERS / spread.median,
        }
    ]


def write_fresh_run(config: ml_collections.ConfigDict, workdir: Path) -> None:
    """Writes a run directory as if a training had ended, but with the parameters of its start."""
    write_run(workdir, claim_workdir(workdir, config, IDENTITY))
    end = phases(config)[-1].end
    state = jax.jit(lambda: init_state(config, len(IDENTITY["genres"])))()
    with Checkpoints(workdir) as checkpoints:
        checkpoints.save(state.replace(images_seen=jnp.int32(end)), end, {})
        checkpoints.wait()
