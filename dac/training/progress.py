"""A run in progress: its state and clock, how it is saved, and how it ends when something fails."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax

from dac.errors import UserError
from dac.jax_errors import out_of_memory
from dac.run.checkpoint import Checkpoints, all_finite
from dac.run.schedule import Phase
from dac.training import parallel
from dac.training.losses import Metrics
from dac.training.monitor import Monitor
from dac.training.plan import Planner, Program
from dac.training.state import GanState

# A step that ran out of memory needed more than was planned. Suggest one that needs clearly less.
LESS_MEMORY = 0.75


class Progress:
    """A run in progress.

    Attributes:
      phase: the phase of the step under way; the loop sets it.
      state: after the last step that was started.
      images_seen: the clock of that state.
      step: the number of steps so far.
    """

    def __init__(
        self,
        state: GanState,
        run_json: dict[str, Any],
        monitor: Monitor,
        checkpoints: Checkpoints,
    ):
        """Starts from a state; `run_json` is what `claim_workdir` returned."""
        self.phase: Phase | None = None
        self.state, self.images_seen, self.step = state, int(state.images_seen), int(state.step)
        self._run_json, self._monitor, self._checkpoints = run_json, monitor, checkpoints
        self._pending: tuple[Phase, int, int, Metrics] | None = None
        self._reported = True

    def advance(self, state: GanState, metrics: Metrics) -> None:
        """Takes the result of a step that was just started, and reports the step before it.

        Reading metrics waits for the devices. Reading them one step late keeps the devices busy.
        """
        self.state, self._reported = state, False
        self.images_seen += self.phase.images_per_step
        self.step += 1
        previous = self._pending
        self._pending = (self.phase, self.step, self.images_seen, metrics)
        if previous:
            self._monitor.add(*previous)

    def idle(self) -> bool:
        """Returns whether the last step is done; does not wait for it."""
        return self.state.images_seen.is_ready()

    def report(self) -> None:
        """Reports the last step; waits for it.

        Raises:
          FloatingPointError: one of its metrics is not finite.
        """
        if self._pending:
            self._monitor.add(*self._pending)
            self._pending = None

    def reports_done(self) -> None:
        """Notes that all reports which are due after the last step were made."""
        self._reported = True

    def save(self, score: float | None = None) -> None:
        """Writes a checkpoint in the background, with its score if it was measured.

        Raises:
          FloatingPointError: a metric or a parameter is not finite.
          OSError: this checkpoint, the previous one or the last grid could not be written.
        """
        self.report()
        self._monitor.flush()
        # The metrics of a step are those before its updates, so check what it made of the state.
        if not all_finite(parallel.local_copy(self.state)):
            raise FloatingPointError(f"a parameter is not finite at step {self.step}")
        extra = {**self._run_json, "report": self._monitor.snapshot()}
        self._checkpoints.save(self.state, self.images_seen, extra, score)

    @contextlib.contextmanager
    def explain_failures(
        self, workdir: Path, planner: Planner, programs: Mapping[int, Program]
    ) -> Iterator[None]:
        """Ends a failing run with one line: what failed, the last good checkpoint, the way out.

        Args:
          workdir: the run directory.
          planner: suggests a smaller batch if the memory was too small.
          programs: by resolution.

        Raises:
          UserError: in place of errors that a person can do something about.
        """
        try:
            yield
        except FloatingPointError as error:
            self._wait()
            raise UserError(
                f"{error}; {self._checkpoints.last_good()}. The same command would fail again: "
                "give a new --workdir and lower config.learning_rates"
            ) from error
        except (OSError, UserError) as error:
            # A report, a cover or a checkpoint failed. The state is sound.
            self._try_to_save()
            what = (
                f"{error.strerror or error} in {workdir}" if isinstance(error, OSError) else error
            )
            raise UserError(
                f"{what}; {self._checkpoints.last_good()}. Once the cause is mended, or there is "
                "room on a full disk, the same command resumes"
            ) from error
        except Exception as error:
            if not out_of_memory(error) or self.phase is None:
                raise
            self._try_to_save()
            raise UserError(self._out_of_memory(error, planner, programs)) from error

    def _try_to_save(self) -> None:
        # A report that failed would be missing from the resumed run, so that must resume before it.
        # Several processes save together or not at all, and the others know nothing of the failure.
        if self._reported and jax.process_count() == 1:
            # The first failure is the one to tell. A failed step can take the state with it, too.
            with contextlib.suppress(Exception):
                self.save()
        self._wait()

    def _wait(self) -> None:
        with contextlib.suppress(Exception):
            self._checkpoints.wait()

    def _out_of_memory(self, error, planner, programs) -> str:
        side, size = self.phase.resolution, self.phase.batch_size
        reason = (str(error).splitlines() or ["MemoryError"])[0]
        smaller = None
        if jax.process_count() == 1:  # compiling waits for the other processes
            limit = LESS_MEMORY * programs[side].memory
            smaller = planner.smaller_batch(self.phase, limit)
        less = f"batches of {smaller}" if smaller else "lower config.fmap_max or config.resolution"
        return (
            f"out of memory at {side}x{side} in batches of {size} ({reason:.120}); "
            f"{self._checkpoints.last_good()}. The same command resumes once there is more free "
            f"memory; a new run, with another --workdir, needs less with {less}"
        )
