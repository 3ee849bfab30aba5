"""The same training step in PyTorch: that of the parity tests, which a clone of the project has."""

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ml_collections
import numpy as np

from dac.errors import UserError
from dac.run.schedule import Phase
from dac.training.state import GanState
from experiments.benchmarks.timing import Columns, Row, Spread, with_quartiles

WRITING = "tests.parity.torch_step"
PLAIN, FUSED = "torch", "torch_fused"

COLUMNS: Columns = {
    "PyTorch ms/step": with_quartiles(f"{PLAIN}_seconds", 1000),
    "fused": with_quartiles(f"{FUSED}_seconds", 1000),
    "times as fast": lambda row: (
        with_quartiles("speed_ratio")(row) + ("*" if row["faster_torch"] == FUSED else " ")
    ),
}
NOTE = "* against the fused form of PyTorch, which was the faster there; elsewhere the plain one"


class Torch:
    """PyTorch's side of a comparison, on a GPU where PyTorch has one."""

    def __init__(self, torch: Any, writing: Any):
        """Prepares the device.

        Args:
          torch: the package.
          writing: the module that has the step.
        """
        self._torch, self._writing = torch, writing
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        # XLA, too, computes float32 in TF32 on a GPU, and tries which algorithm is the fastest.
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = True

    def work(
        self,
        config: ml_collections.ConfigDict,
        phase: Phase,
        state: GanState,
        batches: Mapping[str, np.ndarray],
        augment: bool,
    ) -> dict[str, Callable[[int], None]]:
        """Returns functions that run steps, this many, and wait for them; in one form or two.

        Args:
          config: the config.
          phase: the phase of the resolution.
          state: where to start.
          batches: of one step, `[n_critic, B, ...]`.
          augment: whether the critic sees all pictures through DiffAugment.
        """
        # The networks of DCGAN have nothing to fuse.
        forms = {PLAIN: False} if config.gan == "dcgan" else {PLAIN: False, FUSED: True}

        def make(fused):
            training = self._writing.TorchTraining(
                config,
                phase,
                state,
                augment=augment,
                dtype=self._torch.float32,
                device=self._device,
                fused=fused,
            )
            ready = training.put(batches)

            def work(steps):
                for _ in range(steps):
                    metrics = training.step(ready)
                metrics["generator_loss"].item()  # waits

            return work

        return {name: make(fused) for name, fused in forms.items()}


def load() -> Torch:
    """Loads PyTorch and the step that is written in it.

    Raises:
      UserError: one of them is missing.
    """
    try:
        torch = importlib.import_module("torch")
    except ImportError as error:
        raise UserError(
            "--against=torch needs PyTorch: pip install -e '.[parity]' (CPU only: add "
            "--extra-index-url https://download.pytorch.org/whl/cpu)"
        ) from error
    threads = torch.get_num_threads()
    try:
        writing = importlib.import_module(WRITING)
    except ModuleNotFoundError as error:
        raise UserError(
            f"--against=torch needs {WRITING.replace('.', '/')}.py, which a clone of the project "
            "has: run in its folder"
        ) from error
    torch.set_num_threads(threads)  # the tests have one
    return Torch(torch, writing)


def compared(times: Mapping[str, Sequence[float]]) -> Row:
    """Returns the fields that tell how many times as fast as PyTorch ours is.

    Args:
      times: seconds of a step of `ours`, and of one form or two of PyTorch, by block; the ratio is
        taken block by block, against the form that is the faster.
    """
    forms = {name: Spread.of(values) for name, values in times.items() if name != "ours"}
    faster = min(forms, key=lambda name: forms[name].median)
    ratios = np.divide(times[faster], times["ours"])
    row = {"faster_torch": faster, **Spread.of(ratios).fields("speed_ratio")}
    for name, spread in forms.items():
        row |= spread.fields(f"{name}_seconds")
    return row
