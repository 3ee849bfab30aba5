"""Checkpoints of a run: written in the background, restored from the newest that is whole.

A checkpoint is named after the images seen. Besides the state it holds the config, the identity of
the dataset, and the metrics of the present tick so far, so that a resumed run logs the same lines
as an uninterrupted one.
"""

import contextlib
import errno
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NoReturn, Self

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from absl import logging
from jax.experimental import multihost_utils

from dac.errors import UserError
from dac.jax_errors import another_process_ended, out_of_memory

FOLDER = "checkpoints"
KEPT_LATEST = 2
METADATA_BYTES = 2**19  # size of a checkpoint without its arrays; measured: 0.2 MiB

_all_finite = jax.jit(
    lambda tree: jnp.stack([jnp.all(jnp.isfinite(x)) for x in jax.tree.leaves(tree)]).all()
)


def all_finite(tree: Any) -> bool:
    """Whether a tree has no NaN and no infinity; waits until it is computed."""
    return bool(_all_finite(tree))


def copies_state(device: jax.Device) -> bool:
    """Whether `Checkpoints.save` keeps a second state on the device until it is written.

    On a CPU, Orbax writes from the memory of the arrays themselves, which the next step reuses. On
    other devices it copies the arrays to the host before `save` returns, unless its option
    `save_device_host_concurrent_gb` is set, which is not the case here.
    """
    return device.platform == "cpu"


class Checkpoints:
    """The checkpoints in a run directory."""

    def __init__(self, workdir: Path, keep_every_kimg: float = 0, read_only: bool = False):
        """Opens the checkpoints, or prepares the folder.

        Args:
          workdir: the run directory.
          keep_every_kimg: besides the last two and the best, keep the checkpoint nearest to each
            multiple of this many thousand images; 0 keeps no others.
          read_only: change nothing on disk, so that a run in progress is not disturbed.
        """
        policies = ocp.checkpoint_managers
        kept = [
            policies.LatestN(KEPT_LATEST),
            policies.BestN(get_metric_fn=_score, n=1, keep_checkpoints_without_metrics=False),
        ]
        if keep_every_kimg:
            kept.append(policies.EveryNStepsClosest(round(keep_every_kimg * 1000)))
        self.folder = Path(workdir).resolve() / FOLDER
        self._read_only = read_only
        self._options = ocp.CheckpointManagerOptions(
            preservation_policy=policies.preservation_policy.AnyPreservationPolicy(kept),
            best_fn=_score,
            enable_async_checkpointing=True,
            cleanup_tmp_directories=not read_only,
            read_only=read_only,
        )
        self._manager = ocp.CheckpointManager(self.folder, options=self._options)

    def latest(self) -> int | None:
        """Images seen at the newest checkpoint, or None."""
        return self._manager.latest_step()

    def best(self) -> int | None:
        """Images seen at the checkpoint with the highest score, or None if none has a score."""
        scored = [step for step in self._manager.all_steps() if self._manager.metrics(step)]
        return max(scored, key=lambda step: _score(self._manager.metrics(step)), default=None)

    def save(
        self, state: Any, images_seen: int, extra: dict[str, Any], score: float | None = None
    ) -> None:
        """Writes a checkpoint in the background; waits only for the previous one.

        Args:
          state: a tree of arrays; its buffers may be donated once this returns.
          images_seen: the clock.
          extra: JSON values to store with it.
          score: how good the covers are, if they were measured; the best checkpoint is kept.

        Raises:
          OSError: this checkpoint or the previous one could not be written.
        """
        if self.latest() == images_seen:
            return
        # Orbax notices a full disk only in its threads, and reports it badly.
        needed = sum(x.nbytes for x in jax.tree.leaves(state)) + METADATA_BYTES
        if shutil.disk_usage(self.folder).free < needed:
            raise OSError(
                errno.ENOSPC,
                f"No space left on device for a checkpoint of {needed / 2**20:.1f} MiB",
            )
        if copies_state(next(iter(jax.tree.leaves(state)[0].devices()))):
            state = jax.tree.map(jnp.copy, state)
        try:
            self._manager.save(
                images_seen,
                args=ocp.args.Composite(
                    state=ocp.args.PyTreeSave(state), extra=ocp.args.JsonSave(extra)
                ),
                metrics=None if score is None else {"score": score},
            )
        except Exception as error:
            _raise_as_os_error(error)

    def wait(self) -> None:
        """Waits until the last checkpoint is on disk.

        Raises:
          OSError: it could not be written.
        """
        try:
            self._manager.wait_until_finished()
            self._manager.check_for_errors()
        except Exception as error:
            _raise_as_os_error(error)

    def restore(
        self, template: Any, warn: Callable[[str], None], only: int | None = None
    ) -> tuple[Any, dict[str, Any]] | None:
        """Returns the newest checkpoint that can be read whole, and the `extra` stored with it.

        Newer ones that are damaged are moved to `damaged_checkpoints`, not deleted.

        Args:
          template: the state, or the part of it to read: a tree of arrays or shapes, with
            shardings. It has an attribute `images_seen`.
          warn: receives a line for each checkpoint that is damaged.
          only: images seen at the one checkpoint to read; by default any.

        Returns:
          None if there is no checkpoint.

        Raises:
          UserError: no checkpoint can be read, or the processes of the run see different ones.
        """
        found = sorted(self._manager.all_steps(), reverse=True)
        if only is not None:
            if only not in found:
                known = ", ".join(map(str, found[::-1])) or "none"
                raise UserError(f"{self.folder} has no checkpoint {only}; it has {known}")
            found = [only]
        newest = multihost_utils.process_allgather(np.int32(found[0] if found else -1))
        if np.any(newest != newest[0]):
            raise UserError(
                f"the processes of the run see different checkpoints in {self.folder}; give a "
                "--workdir on a shared disk"
            )
        wanted = jax.tree.map(ocp.utils.to_shape_dtype_struct, template)
        state = ocp.args.PyTreeRestore(
            wanted, ocp.checkpoint_utils.construct_restore_args(wanted), partial_restore=True
        )
        damaged = {}
        for images_seen in found:
            try:
                restored = self._manager.restore(
                    images_seen,
                    args=ocp.args.Composite(state=state, extra=ocp.args.JsonRestore()),
                )
                if not all(isinstance(x, jax.Array) for x in jax.tree.leaves(restored.state)):
                    raise ValueError("a part of the state is missing")
                if int(restored.state.images_seen) != images_seen:
                    raise ValueError("its clock differs from its name")
            except Exception as error:
                if another_process_ended(error) or out_of_memory(error):
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
        # Closing waits for the other processes, which would never return if one has ended.
        if error is None or not another_process_ended(error):
            self.close()

    def close(self) -> None:
        """Ends the background writing; call `wait` before to learn of its errors."""
        with contextlib.suppress(Exception):
            self._manager.close()

    def last_good(self) -> str:
        """Returns a sentence that names the checkpoint from which the run would resume."""
        whole = [d.name for d in self.folder.glob("*") if d.name.isdecimal()]
        if not whole:
            return "there is no checkpoint yet"
        return f"the last good checkpoint is {self.folder / max(whole, key=int)}"


def _score(metrics: dict[str, float]) -> float:
    return metrics["score"]


def _raise_as_os_error(error: Exception) -> NoReturn:
    """Raises an error of writing as an `OSError`, unless it has another cause."""
    if another_process_ended(error) or out_of_memory(error):
        raise error
    raise OSError(errno.EIO, f"a checkpoint could not be written ({_first_line(error)})") from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
