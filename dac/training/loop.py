"""The training loop: one readable function, and what it needs to stop and resume."""

import contextlib
import math
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import jax
import ml_collections

from dac.covers.dataset import CoverDataset
from dac.errors import UserError
from dac.networks.progan import multiply_adds
from dac.training import parallel, samples
from dac.training.checkpoint import Checkpoints, all_finite
from dac.training.monitor import Monitor
from dac.training.schedule import phase_at, phases
from dac.training.state import init_state
from dac.training.step import make_train_step
from dac.training.workdir import claim_workdir, refuse_other_run, write_run


def train(
    config: ml_collections.ConfigDict,
    workdir: Path,
    dataset: CoverDataset,
    devices: Sequence[jax.Device] | None = None,
) -> signal.Signals | None:
    """Trains a run to its end, from its newest checkpoint where there is one.

    Args:
      config: of the run; see `configs/default.py`.
      workdir: run directory, made where it does not exist.
      dataset: what to train on.
      devices: to train on; all by default.

    Returns:
      The signal that stopped it early, after saving, or None at the end of the run.

    Raises:
      UserError: the config is not possible, the directory holds another run, a loss became NaN,
        or something could not be read or written.
    """
    check_config(config)
    run = phases(config)
    mesh = parallel.make_mesh(devices or jax.devices(), run)
    if dataset.size < config.resolution:
        raise UserError(
            f"the covers of {dataset.path} are {dataset.size}x{dataset.size}; lower "
            f"config.resolution, which is {config.resolution}, or build larger ones"
        )
    identity = claim_workdir(workdir, config, dataset.identity)
    with contextlib.ExitStack() as stack:
        stop = stack.enter_context(stop_signals())
        monitor = Monitor(
            workdir, run, lambda r: multiply_adds(r, config.fmap_base, config.fmap_max)
        )
        stack.callback(monitor.close)
        checkpoints = Checkpoints(workdir, config.keep_every_kimg)
        stack.callback(checkpoints.close)

        state = jax.jit(lambda: init_state(config, len(dataset.genres)))()
        state = parallel.replicate(mesh, state)
        restored = checkpoints.restore(state, lambda text: monitor.say(f"warning: {text}"))
        if restored:
            state, saved = restored
            refuse_other_run(saved, identity, checkpoints.folder)
        write_run(workdir, identity)
        clock, step = int(state.images_seen), int(state.step)
        monitor.start(clock, saved["report"] if restored else None)
        if restored:
            monitor.say(f"resuming {workdir} at {clock:,} images seen, step {step}")
        generator_size, critic_size = (
            sum(x.size for x in jax.tree.leaves(params))
            for params in (state.generator, state.critic)
        )
        monitor.say(
            f"{len(dataset):,} covers of {len(dataset.genres)} genres; generator "
            f"{generator_size:,} and critic {critic_size:,} parameters; "
            f"{mesh.size} {mesh.devices[0].platform} device(s)"
        )

        total, phase, pending, stopping = run[-1].end, None, None, None

        def next_batch():
            batch = dataset.batch(config.seed, clock, phase.batch_size, phase.resolution)
            return parallel.split(mesh, batch)

        def read_pending():
            nonlocal pending
            if pending:
                step_metrics, pending = pending, None
                monitor.add(*step_metrics)

        def save():
            read_pending()
            if not all_finite(state):  # a loss shows it only one step later
                raise FloatingPointError(f"a parameter is not finite at step {step}")
            checkpoints.save(state, clock, {**identity, "report": monitor.snapshot()})

        try:
            while clock < total and not stopping:
                if phase is None or clock == phase.end:
                    phase = phase_at(run, clock)
                    with monitor.paused():
                        batch = next_batch()
                        train_step = compile_step(config, mesh, phase, state, batch, monitor.say)

                state, metrics = train_step(state, batch)
                before, clock, step = clock, clock + phase.batch_size, step + 1
                # Made while the devices are at work; the next phase wants another size.
                batch = next_batch() if clock < phase.end else None
                # Reading metrics waits for the devices: read those of the step before.
                read_pending()
                pending = phase, step, clock, metrics

                stopping = stop.signal  # read once: it may come at any moment
                tick = crossed(before, clock, config.tick_kimg) or clock == total
                checkpoint = crossed(before, clock, config.checkpoint_kimg)
                checkpoint = checkpoint or clock == total or stopping
                if tick:
                    read_pending()
                    monitor.end_tick(phase, step, clock)
                    with monitor.paused():
                        monitor.add_grid(
                            clock,
                            samples.sample_grid(config, dataset, state.generator_ema, phase, clock),
                        )
                if checkpoint:
                    with monitor.paused():
                        save()
            checkpoints.wait()
        except FloatingPointError as error:
            checkpoints.wait()
            raise UserError(
                f"{error}; {checkpoints.last_good()}. The same command would repeat this: give "
                "a new --workdir and lower config.learning_rates"
            ) from error
        except (OSError, UserError) as error:
            # A report, a cover or a checkpoint failed; the state is sound: save it if that works.
            with contextlib.suppress(OSError, FloatingPointError):
                save()
                checkpoints.wait()
            what = f"{error.strerror} in {workdir}" if isinstance(error, OSError) else error
            raise UserError(
                f"{what}; {checkpoints.last_good()}: put right what is wrong, by making room if "
                "the disk is full, then the same command resumes"
            ) from error
        if stopping:
            monitor.say(
                f"stopped by {stopping.name}: saved at {clock:,} images seen; "
                "the same command resumes"
            )
        else:
            monitor.save_progress()
            monitor.say(f"{total:,} images seen: done")
    return stopping


def check_config(config: ml_collections.ConfigDict) -> None:
    """Checks what can be told from a config alone, before any work is done.

    Raises:
      UserError: a value is not possible.
    """
    phases(config)
    above_zero = (
        *("latent_size", "fmap_max", "ema_half_life_kimg", "tick_kimg", "checkpoint_kimg"),
        *("grid_columns", "adam_epsilon"),
    )
    at_least_zero = ("gradient_penalty_weight", "drift_weight")
    below_one = ("genre_drop_rate", "adam_b1", "adam_b2")
    narrowest = config.resolution // 2
    for names, valid, bound in (
        (above_zero, lambda value: value > 0, "above 0"),
        (at_least_zero, lambda value: value >= 0, "at least 0"),
        (below_one, lambda value: 0 <= value < 1, "at least 0 and below 1"),
        (["seed"], lambda value: 0 <= value < 2**32, "at least 0 and below 2^32"),
        (["keep_every_kimg"], lambda value: value == 0 or value >= 0.001, "0 or at least 0.001"),
        (["fmap_base"], lambda value: value >= narrowest, f"at least {narrowest}, for a width"),
    ):
        for name in names:
            if not (math.isfinite(config[name]) and valid(config[name])):
                raise UserError(f"config.{name} is {config[name]}; it must be {bound}")


class Stop:
    """Which signal, if any, asked the run to stop."""

    def __init__(self):
        self.signal: signal.Signals | None = None


@contextlib.contextmanager
def stop_signals() -> Iterator[Stop]:
    """Turns SIGTERM and the first Ctrl-C into a request to stop; a second Ctrl-C interrupts."""
    stop = Stop()

    def request(number, _):
        stop.signal = stop.signal or signal.Signals(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.write(sys.stderr.fileno(), b"\nstopping after this step; Ctrl-C again stops at once\n")

    previous = {s: signal.signal(s, request) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def crossed(before: int, after: int, every_kimg: float) -> bool:
    """Whether the clock passed a multiple of so many thousand images."""
    every = every_kimg * 1000
    return before // every != after // every


def compile_step(config, mesh, phase, state, batch, say) -> jax.stages.Compiled:
    """Compiles the step of a phase, and says so: it takes a while, and nothing else is seen."""
    began = time.monotonic()
    size = phase.resolution
    say(f"{size}x{size}: compiling the step, for batches of {phase.batch_size} ...")
    compiled = parallel.compile_step(make_train_step(config, phase), mesh, state, batch)
    say(f"{size}x{size}: compiled in {time.monotonic() - began:.0f} s")
    return compiled
