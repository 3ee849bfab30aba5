"""The training loop: one readable function, and what it needs to stop and resume."""

import contextlib
import functools
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import jax
import ml_collections
import numpy as np
from jax.sharding import Mesh

from dac.covers.dataset import CoverDataset
from dac.errors import UserError
from dac.training import parallel, samples
from dac.training.augment import FEW_COVERS, uses_diff_augment
from dac.training.checkpoint import Checkpoints, all_finite
from dac.training.checks import check_config
from dac.training.monitor import Monitor
from dac.training.plan import Planner, Program, describe, size_text, time_steps
from dac.training.schedule import Phase, phase_at, phases
from dac.training.state import GanState, init_state
from dac.training.workdir import claim_workdir, refuse_other_run, write_run


def train(
    config: ml_collections.ConfigDict,
    workdir: Path,
    dataset: CoverDataset,
    devices: Sequence[jax.Device] | None = None,
) -> signal.Signals | None:
    """Trains a run to its end, from its newest checkpoint where there is one.

    Where there are several processes, all of them call this; the first one alone writes reports.

    Args:
      config: of the run; see `configs/default.py`.
      workdir: run directory, made where it does not exist.
      dataset: what to train on.
      devices: to train on; all by default.

    Returns:
      The signal that stopped it early, after saving, or None at the end of the run.

    Raises:
      UserError: the config is not possible, a step does not fit the memory, the directory holds
        another run, a loss became NaN, or something could not be read or written.
    """
    run, mesh, planner = prepare(config, dataset, devices)
    identity = claim_workdir(workdir, config, dataset.identity)
    with contextlib.ExitStack() as stack:
        monitor = Monitor(workdir, run, writes=jax.process_index() == 0)
        stack.callback(monitor.close)
        checkpoints = stack.enter_context(Checkpoints(workdir, config.keep_every_kimg))

        init = functools.partial(init_state, config, len(dataset.genres))
        state = jax.jit(init, out_shardings=parallel.replicated(mesh))()
        restored = checkpoints.restore(state, lambda text: monitor.say(f"warning: {text}"))
        if restored:
            state, saved = restored
            refuse_other_run(saved, identity, checkpoints.folder)
        clock, step = int(state.images_seen), int(state.step)
        if restored:
            monitor.say(f"resuming {workdir} at {clock:,} images seen, step {step}")
        monitor.say(describe_run(config, dataset, mesh, state))
        programs = compile_programs(planner, [p for p in run if clock < p.end], monitor.say)
        if jax.process_index() == 0:
            write_run(workdir, identity)
        monitor.start(clock, saved["report"] if restored else None, programs)

        # Until here a signal ends the process at once: there is nothing to save.
        stop = stack.enter_context(stop_signals())
        total, phase, pending, stopping = run[-1].end, None, None, None

        def next_batch():
            indices = dataset.indices(config.seed, clock, phase.images_per_step)
            return make_batch(config, mesh, dataset, phase, indices)

        def read_pending():
            nonlocal pending
            if pending:
                step_metrics, pending = pending, None
                monitor.add(*step_metrics)

        def save():
            read_pending()
            # A loss shows it only one step later.
            if not all_finite(parallel.local_copy(state)):
                raise FloatingPointError(f"a parameter is not finite at step {step}")
            checkpoints.save(state, clock, {**identity, "report": monitor.snapshot()})

        try:
            while clock < total and not stopping:
                if phase is None or clock == phase.end:
                    phase = phase_at(run, clock)
                    with monitor.paused():
                        batch = next_batch()

                state, metrics = programs[phase.resolution].step(state, batch)
                before, clock, step = clock, clock + phase.images_per_step, step + 1
                # Made while the devices are at work; the next phase wants another size.
                batch = next_batch() if clock < phase.end else None
                # Reading metrics waits for the devices: read those of the step before.
                read_pending()
                pending = phase, step, clock, metrics

                stopping = stop.requested(mesh)
                tick = crossed(before, clock, config.tick_kimg) or clock == total
                checkpoint = crossed(before, clock, config.checkpoint_kimg)
                checkpoint = checkpoint or clock == total or stopping
                if tick:
                    read_pending()
                    monitor.end_tick(phase, step, clock)
                    if jax.process_index() == 0:
                        with monitor.paused():
                            variables = parallel.local_copy(state.ema_variables)
                            grid = samples.sample_grid(config, dataset, variables, phase, clock)
                            monitor.add_grid(clock, grid)
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
            # Several processes save together or not at all, and the others know nothing of this.
            if jax.process_count() == 1:
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


def dry_run(
    config: ml_collections.ConfigDict,
    dataset: CoverDataset,
    devices: Sequence[jax.Device] | None = None,
) -> str:
    """Compiles the steps of a run and tries them; returns what it would take, as a table.

    Arguments and errors are those of `train`; nothing is written.
    """
    run, mesh, planner = prepare(config, dataset, devices)
    init = functools.partial(init_state, config, len(dataset.genres))

    def say(text):
        if jax.process_index() == 0:
            print(text, file=sys.stderr, flush=True)

    programs = compile_programs(planner, run, say)

    def first_batch(phase):
        return make_batch(
            config, mesh, dataset, phase, dataset.indices(0, 0, phase.images_per_step)
        )

    state = jax.jit(init, out_shardings=parallel.replicated(mesh))()
    about = describe_run(config, dataset, mesh, state)
    times = time_steps(list(programs.values()), state, first_batch)
    return f"{about}\n{describe(list(programs.values()), times, planner.limit)}"


def prepare(
    config: ml_collections.ConfigDict,
    dataset: CoverDataset,
    devices: Sequence[jax.Device] | None,
) -> tuple[tuple[Phase, ...], Mesh, Planner]:
    """Checks a config against the dataset and the devices; returns what a run is made of.

    Raises:
      UserError: they don't fit each other.
    """
    check_config(config)
    if config.parallelism == "pmap" and jax.process_count() > 1:
        raise UserError(
            "config.parallelism is 'pmap', which JAX compiles ahead of time for the devices of one "
            f"process alone, but the run has {jax.process_count()} processes: take 'shard_map'"
        )
    run = phases(config)
    mesh = parallel.make_mesh(devices or jax.devices(), run)
    if dataset.size < config.resolution:
        raise UserError(
            f"the covers of {dataset.path} are {dataset.size}x{dataset.size}; lower "
            f"config.resolution, which is {config.resolution}, or build larger ones"
        )
    known = dataset.known_fields
    if config.conditions and not set(config.conditions) & set(known):
        raise UserError(
            f"config.conditions is {tuple(config.conditions)}, but no cover of {dataset.path} has "
            f"any of it; it has: {', '.join(known) or 'none'}. Choose among these, or give "
            "metadata.jsonl the fields and build it again"
        )
    augment = uses_diff_augment(config.augment, len(dataset))
    return run, mesh, Planner(config, mesh, len(dataset.genres), augment)


def make_batch(
    config: ml_collections.ConfigDict,
    mesh: Mesh,
    dataset: CoverDataset,
    phase: Phase,
    indices: np.ndarray,
) -> dict[str, jax.Array]:
    """Returns the batch of covers that a step takes, `[devices, n_critic, B, ...]`.

    Each process reads what its own devices need.

    Args:
      config: of the run.
      mesh: to put it on.
      dataset: of the covers.
      phase: of the step.
      indices: of the covers, `[n_critic * batch_size]`; a batch of the critic is consecutive.
    """
    parts = indices.reshape(phase.n_critic, mesh.size, -1).swapaxes(0, 1)
    local = parts[parallel.local_parts(mesh)]
    batch = dataset.batch(local.ravel(), phase.resolution, config.conditions)
    return parallel.split(
        mesh, {name: x.reshape(*local.shape, *x.shape[1:]) for name, x in batch.items()}
    )


def compile_programs(
    planner: Planner, run: Sequence[Phase], say: Callable[[str], None]
) -> dict[int, Program]:
    """Compiles the step of each phase, by resolution, and says so: it takes a while."""
    programs = {}
    for phase in run:
        began, size = time.monotonic(), phase.resolution
        say(f"{size}x{size}: compiling the step, for batches of {phase.batch_size} ...")
        program = programs[size] = planner.compile(phase)
        say(
            f"{size}x{size}: compiled in {time.monotonic() - began:.0f} s; "
            f"needs {size_text(program.memory)} a device"
        )
    return programs


def describe_run(
    config: ml_collections.ConfigDict, dataset: CoverDataset, mesh: Mesh, state: GanState
) -> str:
    """Says in a line or two what is about to be trained, on what."""
    generator_size, critic_size = (
        sum(x.size for x in jax.tree.leaves(params)) for params in (state.generator, state.critic)
    )
    conditions = ", ".join(config.conditions) or "nothing"
    unknown = [field for field in config.conditions if field not in dataset.known_fields]
    text = (
        f"{config.gan} conditioned on {conditions}; generator {generator_size:,} and critic "
        f"{critic_size:,} parameters; {len(dataset):,} covers of {len(dataset.genres)} genres; "
        f"{mesh.size} {mesh.devices[0].platform} device(s), {config.precision}"
    )
    if unknown:
        text += f"\nno cover tells its {', '.join(unknown)}: of that the run learns nothing"
    if uses_diff_augment(config.augment, len(dataset)):
        reason = f", as there are under {FEW_COVERS:,} covers" if config.augment == "auto" else ""
        text += f"\nDiffAugment is on{reason}"
    return text


class Stop:
    """Which signal, if any, asked the run to stop."""

    def __init__(self):
        self.signal: signal.Signals | None = None
        self._vote: jax.Array | None = None

    def requested(self, mesh: Mesh) -> signal.Signals | None:
        """The signal, once every process knows of it, after the same step of each."""
        if jax.process_count() == 1:
            return self.signal  # read once: it may come at any moment
        vote, self._vote = self._vote, parallel.any_process(mesh, self.signal is not None)
        return (self.signal or signal.SIGTERM) if vote is not None and bool(vote) else None


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
