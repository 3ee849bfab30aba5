"""Checkpoints of a run: written in the background, kept by policy, restored newest whole one first.

A checkpoint is named by the images seen. Beside the state, which holds the clock, it has the
config, the identity of the dataset with its genre vocabulary, and what of the present tick has been
measured so far, so that a resumed run logs what an unbroken one would have.
"""

import contextlib
import errno
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from absl import logging
from jax.experimental import multihost_utils

from dac.errors import UserError
from dac.training import parallel
from dac.training.state import GanState

FOLDER = "checkpoints"
KEPT_LATEST = 2
METADATA_BYTES = 2**19  # what a checkpoint takes beside its arrays; measured: 0.2 MiB

_all_finite = jax.jit(
    lambda tree: jnp.stack([jnp.all(jnp.isfinite(x)) for x in jax.tree.leaves(tree)]).all()
)


def all_finite(tree: Any) -> bool:
    """Whether no number of a tree is NaN or infinite; waits for it to be computed."""
    return bool(_all_finite(tree))


class Checkpoints:
    """The checkpoints in a run directory."""

    def __init__(self, workdir: Path, keep_every_kimg: float = 0, read_only: bool = False):
        """Opens them, or prepares the folder.

        Args:
          workdir: run directory.
          keep_every_kimg: beside the last two, the checkpoint nearest to each multiple of this
            many thousand images is kept; 0 keeps the last two alone.
          read_only: changes nothing on disk, so that a run in progress is not disturbed.
        """
        policies = ocp.checkpoint_managers
        kept = [policies.LatestN(KEPT_LATEST)]
        if keep_every_kimg:
            kept.append(policies.EveryNStepsClosest(round(keep_every_kimg * 1000)))
        self.folder = Path(workdir).resolve() / FOLDER
        self._read_only = read_only
        self._options = ocp.CheckpointManagerOptions(
            preservation_policy=policies.preservation_policy.AnyPreservationPolicy(kept),
            enable_async_checkpointing=True,
            cleanup_tmp_directories=not read_only,
            read_only=read_only,
        )
        self._manager = ocp.CheckpointManager(self.folder, options=self._options)

    def latest(self) -> int | None:
        """Images seen at the newest checkpoint, or None."""
        return self._manager.latest_step()

    def save(self, state: GanState, images_seen: int, extra: dict[str, Any]) -> None:
        """Writes a checkpoint in the background; waits only for the one before it.

        Args:
          state: to be saved; its buffers may be donated as soon as this returns.
          images_seen: the clock.
          extra: JSON values to keep beside it.

        Raises:
          OSError: this checkpoint or the one before it could not be written.
        """
        if self.latest() == images_seen:
            return
        # Orbax finds a full disk only in its threads, and reports it badly.
        needed = sum(x.nbytes for x in jax.tree.leaves(state)) + METADATA_BYTES
        if shutil.disk_usage(self.folder).free < needed:
            raise OSError(
                errno.ENOSPC,
                f"No space left on device for a checkpoint of {needed / 2**20:.1f} MiB",
            )
        # A copy, as on a CPU the writer reads the very memory that the next step takes.
        state = jax.tree.map(jnp.copy, state)
        try:
            self._manager.save(
                images_seen,
                args=ocp.args.Composite(
                    state=ocp.args.StandardSave(state), extra=ocp.args.JsonSave(extra)
                ),
            )
        except Exception as error:
            raise self._unwritten(error) from error

    def wait(self) -> None:
        """Waits until what was saved is on disk.

        Raises:
          OSError: it could not be written.
        """
        try:
            self._manager.wait_until_finished()
            self._manager.check_for_errors()
        except Exception as error:
            raise self._unwritten(error) from error

    def restore(
        self, template: GanState, warn: Callable[[str], None]
    ) -> tuple[GanState, dict[str, Any]] | None:
        """Returns the newest checkpoint that can be read whole, with what was kept beside it.

        Damaged ones that are newer are moved to `damaged_checkpoints`, not deleted.

        Args:
          template: a state of the same shapes, for their placement.
          warn: told of each checkpoint that is damaged.

        Returns:
          None where there is no checkpoint.

        Raises:
          UserError: there are checkpoints, but none can be read, or processes see others.
        """
        found = sorted(self._manager.all_steps(), reverse=True)
        newest = multihost_utils.process_allgather(np.int32(found[0] if found else -1))
        if np.any(newest != newest[0]):
            raise UserError(
                f"the processes of the run see different checkpoints in {self.folder}; give a "
                "--workdir on a disk that they share"
            )
        abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, template)
        damaged = {}
        for images_seen in found:
            try:
                restored = self._manager.restore(
                    images_seen,
                    args=ocp.args.Composite(
                        state=ocp.args.StandardRestore(abstract), extra=ocp.args.JsonRestore()
                    ),
                )
                if int(restored.state.images_seen) != images_seen:
                    raise ValueError("it holds another clock")
            except Exception as error:
                if parallel.another_ended(error):
                    raise
                logging.debug("damaged checkpoint", exc_info=error)
                damaged[images_seen] = _first_line(error)
                continue
            for moment, reason in damaged.items():
                warn(f"checkpoint {moment} is damaged ({reason}); using {images_seen} instead")
            if damaged and not self._read_only:
                self._set_aside(damaged)
            return restored.state, restored.extra
        if damaged:
            raise UserError(
                f"no checkpoint in {self.folder} can be read ({next(iter(damaged.values()))}); "
                "to start afresh give another --workdir, or delete that folder"
            )
        return None

    def _set_aside(self, damaged: Iterable[int]) -> None:
        for images_seen in damaged if jax.process_index() == 0 else ():
            target = self.folder.parent / "damaged_checkpoints" / str(images_seen)
            target.parent.mkdir(exist_ok=True)
            shutil.rmtree(target, ignore_errors=True)
            shutil.move(self.folder / str(images_seen), target)
        multihost_utils.sync_global_devices("damaged checkpoints")
        self._manager.reload()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        # A process that ended would be waited for in vain.
        if error is None or not parallel.another_ended(error):
            self.close()

    def close(self) -> None:
        """Ends the background writing; its errors are those that `wait` tells."""
        with contextlib.suppress(Exception):
            self._manager.close()

    def last_good(self) -> str:
        """Says which checkpoint a run would resume from."""
        whole = [d.name for d in self.folder.glob("*") if d.name.isdecimal()]
        if not whole:
            return "there is no checkpoint yet"
        return f"the last good checkpoint is {self.folder / max(whole, key=int)}"

    def _unwritten(self, error: Exception) -> OSError:
        if parallel.another_ended(error):
            raise error
        return OSError(errno.EIO, f"a checkpoint could not be written ({_first_line(error)})")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
