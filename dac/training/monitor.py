"""Reports a run: progress bar, log, metrics, TensorBoard, sample grids."""

import contextlib
import datetime
import fcntl
import json
import math
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TextIO

import jax
import numpy as np
from PIL import Image
from tqdm import tqdm

from dac.covers.images import encode_png, save_animation
from dac.errors import UserError
from dac.files import write_bytes, write_text
from dac.run.schedule import Phase
from dac.run.workdir import FIGURES_FILE
from dac.training.plan import Program
from dac.training.tensorboard import Board

MAX_FRAMES = 120  # in progress.gif
# What of `metrics.jsonl` depends on the speed and the memory of the machine.
TIMING = ("images_per_second", "training_seconds", "data_wait", "memory_gib")


class Monitor:
    """Reports a run, also after it is resumed.

    A tick is a part of the run between two reports. The files are `train.log`, `metrics.jsonl`
    (a line per tick, with means over it; `data_wait` is the share of its training time in which
    idle devices waited for covers), `evaluations.jsonl` (a line each time the covers are measured),
    `tensorboard/`, `samples/` (a grid per tick) and, at the end, `progress.gif`.
    """

    def __init__(self, workdir: Path, schedule: tuple[Phase, ...], writes: bool = True):
        """Opens the log and locks the directory.

        Args:
          workdir: the run directory; it exists.
          schedule: the phases of the run.
          writes: whether to report anything; one of several processes does.

        Raises:
          UserError: another process is training in the directory.
        """
        self._workdir, self._schedule, self._writes = workdir, schedule, writes
        self._bar = self._board = self._metrics = self._log = self._grid = None
        self._encoder = ThreadPoolExecutor(1, thread_name_prefix="grids")
        self._tick = {"count": 0, "sums": {}}
        self._elapsed = self._waited = 0.0
        self._seconds_per_flop = None
        if writes:
            self._log = self._locked_log()

    def _locked_log(self) -> TextIO:
        log = (self._workdir / "train.log").open("a", encoding="utf-8")
        try:
            fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            log.close()
            raise UserError(
                f"another process is training in {self._workdir}; wait for it, stop it, or give "
                "another --workdir"
            ) from error
        return log

    def start(
        self, images_seen: int, saved: dict[str, Any] | None, programs: Mapping[int, Program]
    ) -> None:
        """Starts reporting at a moment of the clock, and drops earlier reports from after it.

        Args:
          images_seen: the clock.
          saved: the `snapshot` of that moment, or None at the start of a run.
          programs: those of the remaining phases, by resolution, for the ETA.
        """
        self._flops = {size: program.flops_per_image for size, program in programs.items()}
        if saved:
            self._tick, self._elapsed = saved["tick"], saved["elapsed"]
            self._seconds_per_flop = saved["seconds_per_flop"]
        self._tick_elapsed, self._tick_images = self._elapsed, images_seen
        self._resumed_at = time.monotonic()
        if not self._writes:
            return
        metrics = self._workdir / "metrics.jsonl"
        for file in (metrics, self._workdir / FIGURES_FILE):
            if file.exists():
                self._drop_after(file, images_seen)
        (self._workdir / "samples").mkdir(exist_ok=True)
        for path in self._grids():
            if int(path.stem) > images_seen:
                path.unlink()
        self._board = Board(self._workdir / "tensorboard", images_seen)
        self._metrics = metrics.open("a", encoding="utf-8")
        if sys.stderr.isatty():
            self._bar = tqdm(
                total=self._schedule[-1].end,
                initial=images_seen,
                bar_format="{percentage:3.0f}% {bar} {desc}",
                dynamic_ncols=True,
            )

    def say(self, text: str) -> None:
        """Prints a line and logs it."""
        if not self._writes:
            return
        if self._bar:
            tqdm.write(text, file=sys.stderr)
        else:
            print(text, file=sys.stderr, flush=True)
        self._write_log(text)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Leaves the time of what is done meanwhile out of the speed and the ETA."""
        began = time.monotonic()
        yield
        self._resumed_at += time.monotonic() - began

    @contextlib.contextmanager
    def waiting(self, idle: Callable[[], bool]) -> Iterator[None]:
        """Counts the time of what is done meanwhile as waiting for data, if devices are idle then.

        If they are still busy at its end, no step has waited. If they finish in the middle of it,
        all of it counts.

        Args:
          idle: returns whether the devices have nothing to do.
        """
        began = time.monotonic()
        yield
        if idle():
            self._waited += time.monotonic() - began

    def add(self, phase: Phase, step: int, images_seen: int, metrics: dict[str, Any]) -> None:
        """Adds the metrics of a step to the tick; waits until they are computed.

        Raises:
          FloatingPointError: one of them is NaN or infinite.
        """
        for name, value in jax.device_get(metrics).items():
            if not np.isfinite(value):
                raise FloatingPointError(
                    f"{name} is {value} at step {step} "
                    f"({images_seen:,} images seen, {phase.resolution}x{phase.resolution})"
                )
            self._tick["sums"][name] = self._tick["sums"].get(name, 0.0) + float(value)
        self._tick["count"] += 1
        if self._bar:
            self._bar.set_description_str(self._status(phase, images_seen), refresh=False)
            self._bar.update(images_seen - self._bar.n)

    def end_tick(self, phase: Phase, step: int, images_seen: int) -> None:
        """Ends a tick and reports it: log line, `metrics.jsonl`, TensorBoard."""
        if self._writes:
            self._report(phase, step, images_seen)
        seconds = self._training_seconds() - self._tick_elapsed
        images = images_seen - self._tick_images
        self._seconds_per_flop = seconds / (images * self._flops[phase.resolution])
        self._tick, self._waited = {"count": 0, "sums": {}}, 0.0
        self._tick_elapsed, self._tick_images = self._training_seconds(), images_seen

    def _report(self, phase: Phase, step: int, images_seen: int) -> None:
        means = {k: v / self._tick["count"] for k, v in sorted(self._tick["sums"].items())}
        status = self._status(phase, images_seen)
        losses = f"critic {means['critic_loss']:.3f}  generator {means['generator_loss']:.3f}"
        line = {
            "images_seen": images_seen,
            "step": step,
            "resolution": phase.resolution,
            "alpha": phase.alpha(images_seen),
            **means,
            "images_per_second": self._images_per_second(images_seen),
            "training_seconds": self._training_seconds(),
            "data_wait": self._waited / max(self._training_seconds() - self._tick_elapsed, 1e-9),
            "memory_gib": _memory_gib(),
        }
        self._metrics.write(json.dumps(line) + "\n")
        self._metrics.flush()
        self._board.add_scalars(images_seen, line)
        self._write_log(f"{status}  {losses}")
        if not self._bar:
            print(f"{status}  {losses}", file=sys.stderr, flush=True)

    def add_figures(self, phase: Phase, images_seen: int, figures: dict[str, float]) -> None:
        """Reports what was measured of the covers at a moment of the clock."""
        with (self._workdir / FIGURES_FILE).open("a", encoding="utf-8") as file:
            line = {"images_seen": images_seen, "resolution": phase.resolution} | figures
            file.write(json.dumps(line) + "\n")
        self._board.add_scalars(images_seen, figures)
        shown = "  ".join(f"{name} {value:.4g}" for name, value in figures.items())
        self.say(f"{images_seen / 1000:.1f} kimg: {shown}")

    def add_grid(self, images_seen: int, picture: Image.Image) -> None:
        """Writes a sample grid to `samples/<images seen>.png` and TensorBoard, in the background.

        Raises:
          OSError: the previous grid could not be written.
        """
        self.flush()

        def write() -> bytes:
            png = encode_png(picture)
            write_bytes(self._workdir / "samples" / f"{images_seen:010d}.png", png)
            return png

        self._grid = images_seen, picture.size, self._encoder.submit(write)

    def flush(self) -> None:
        """Waits until the last sample grid is written; a checkpoint must not be ahead of it.

        Raises:
          OSError: it could not be written.
        """
        if self._grid:
            images_seen, size, png = self._grid
            self._board.add_png(images_seen, "samples", size, png.result())
            self._grid = None

    def save_animation(self) -> None:
        """Writes `progress.gif` from the grids so far."""
        self.flush()
        grids = self._grids() if self._writes else ()
        if grids:
            every = math.ceil(len(grids) / MAX_FRAMES)
            path = self._workdir / "progress.gif"
            save_animation(grids[::-1][::every][::-1], path, milliseconds=150, last=3000)

    def snapshot(self) -> dict[str, Any]:
        """Returns what a checkpoint must hold for `start`, as JSON values."""
        return {
            "tick": {"count": self._tick["count"], "sums": dict(self._tick["sums"])},
            "elapsed": self._training_seconds(),
            "seconds_per_flop": self._seconds_per_flop,
        }

    def close(self) -> None:
        """Closes the files; every write was flushed."""
        self._encoder.shutdown()
        if self._bar:
            self._bar.close()
        for file in (self._board, self._metrics, self._log):
            with contextlib.suppress(OSError):  # a full disk was reported before
                if file:
                    file.close()

    def _grids(self) -> list[Path]:
        found = (self._workdir / "samples").glob("*.png")
        return sorted(path for path in found if path.stem.isdecimal())

    def _training_seconds(self) -> float:
        return self._elapsed + time.monotonic() - self._resumed_at

    def _images_per_second(self, images_seen: int) -> float:
        seconds = self._training_seconds() - self._tick_elapsed
        return (images_seen - self._tick_images) / max(seconds, 1e-9)

    def _status(self, phase: Phase, images_seen: int) -> str:
        size, total = phase.resolution, self._schedule[-1].end
        return (
            f"{size}x{size} alpha {phase.alpha(images_seen):.2f}  "
            f"{images_seen / 1000:.1f}/{total / 1000:.1f} kimg  "
            f"{self._images_per_second(images_seen):.0f} images/s  "
            f"ETA {self._remaining(phase, images_seen)}  {_memory_gib():.1f} GiB"
        )

    def _remaining(self, phase: Phase, images_seen: int) -> str:
        rate = self._seconds_per_flop
        if rate is None:
            images = images_seen - self._tick_images
            seconds = self._training_seconds() - self._tick_elapsed
            rate = seconds / max(images * self._flops[phase.resolution], 1)
        flops = sum(
            max(p.end - max(p.start, images_seen), 0) * self._flops.get(p.resolution, 0)
            for p in self._schedule
        )
        return str(datetime.timedelta(seconds=round(rate * flops)))

    def _write_log(self, text: str) -> None:
        now = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
        self._log.write(f"{now} {text}\n")
        self._log.flush()

    @staticmethod
    def _drop_after(metrics: Path, images_seen: int) -> None:
        """Drops lines from after the last checkpoint of a killed run; they will come again."""
        kept = []
        for line in metrics.read_text(encoding="utf-8").splitlines():
            try:
                if json.loads(line)["images_seen"] <= images_seen:
                    kept.append(line + "\n")
            except ValueError:  # cut short by the kill
                continue
        write_text(metrics, "".join(kept))


def _memory_gib() -> float:
    """Returns the peak memory of the first accelerator or, without one, of this process."""
    stats = jax.local_devices()[0].memory_stats() or {}
    if "peak_bytes_in_use" in stats:
        return stats["peak_bytes_in_use"] / 2**30
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30
