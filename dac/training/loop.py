"""The training loop: one readable function, and what a run is made of."""

import contextlib
import functools
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import ml_collections
import numpy as np
from jax.sharding import Mesh

from dac import sampling
from dac.covers.dataset import CoverDataset
from dac.run.checkpoint import Checkpoints
from dac.run.schedule import Phase, phase_at, phases
from dac.run.workdir import check_same_run, claim_workdir, write_run
from dac.training import parallel
from dac.training.augment import FEW_COVERS, uses_diff_augment
from dac.training.checks import check_run
from dac.training.monitor import Monitor
from dac.training.plan import Planner
from dac.training.progress import Progress
from dac.training.state import GanState, init_state
from dac.training.stop import stop_signals

# Returns figures of a run by name, and its score: the higher, the better.
Evaluate = Callable[[sampling.Run], tuple[dict[str, float], float]]


def train(
    config: ml_collections.ConfigDict,
    workdir: Path,
    dataset: CoverDataset,
    devices: Sequence[jax.Device] | None = None,
    evaluate: Evaluate | None = None,
) -> signal.Signals | None:
    """Trains a run to its end, from its newest checkpoint if it has one.

    If the run has several processes, all of them call this; only the first one writes reports.

    Args:
      config: the config of the run; see `configs/default.py`.
      workdir: the run directory; created if it does not exist.
      dataset: the covers to train on.
      devices: the devices to train on; all by default.
      evaluate: measures the covers every `config.eval_every_kimg`, and at the end; not by default.

    Returns:
      The signal that stopped the run early, after saving, or None at the end of the run.

    Raises:
      UserError: the config is not possible, a resolution does not fit the memory, the directory
        holds another run, a loss became NaN, or something could not be read or written.
    """
    asked = config.conditions
    config, schedule, mesh, planner = prepare(config, dataset, devices)
    run_json = claim_workdir(workdir, config, dataset.identity)
    genre_counts = dataset.genre_counts()
    writes = jax.process_index() == 0
    with contextlib.ExitStack() as stack:
        monitor = Monitor(workdir, schedule, writes)
        stack.callback(monitor.close)
        checkpoints = stack.enter_context(Checkpoints(workdir, config.keep_every_kimg))
        shapes, saved = planner.state_shapes(), None
        monitor.say(describe_run(config, asked, dataset, mesh, shapes))
        if restored := checkpoints.restore(shapes, lambda text: monitor.say(f"warning: {text}")):
            state, saved = restored
            check_same_run(saved, run_json, checkpoints.folder)
            monitor.say(
                f"resuming {workdir} at {int(state.images_seen):,} images seen, "
                f"step {int(state.step)}"
            )
        start = int(state.images_seen) if saved else 0
        programs = planner.compile_all([p for p in schedule if start < p.end], monitor.say)
        if not saved:
            state = initial_state(config, mesh, dataset)
        if writes:
            write_run(workdir, run_json)
        monitor.start(start, saved and saved["report"], programs)
        stack.callback(dataset.plan, ())
        dataset.plan([p.resolution for p in schedule if start < p.end])

        # Until here a signal ends the process at once: there is nothing to save.
        stop = stack.enter_context(stop_signals())
        progress = Progress(state, run_json, monitor, checkpoints)
        del state  # the first step takes its memory
        stack.enter_context(progress.explain_failures(workdir, planner, programs))
        total, stopping = schedule[-1].end, None
        while progress.images_seen < total and not stopping:
            before, phase = progress.images_seen, phase_at(schedule, progress.images_seen)
            # Covers of a new resolution may have to be prepared, which is no part of the speed.
            grows = phase is not progress.phase
            with monitor.paused() if grows else monitor.waiting(progress.idle):
                progress.phase = phase
                # The devices are still busy with the previous step.
                batch = make_batch(config, mesh, dataset, phase, before)
                read_ahead(config, mesh, dataset, schedule, before + phase.images_per_step)
            step = programs[phase.resolution].step(progress.step)
            progress.advance(*step(progress.state, batch))

            stopping = stop.requested(mesh)
            clock = progress.images_seen
            done = clock == total
            if done or crossed(before, clock, config.tick_kimg):
                progress.report()
                monitor.end_tick(phase, progress.step, clock)
                if writes:
                    with monitor.paused():
                        run = current_run(config, dataset, progress)
                        monitor.add_grid(clock, sampling.sample_grid(run, genre_counts))
            score = None
            if evaluate and (done or crossed(before, clock, config.eval_every_kimg)):
                progress.report()
                with monitor.paused():
                    score = 0.0  # only the process that reports measures
                    if writes:
                        figures, score = evaluate(current_run(config, dataset, progress))
                        monitor.add_figures(phase, clock, figures)
            progress.reports_done()
            measured = score is not None
            if done or stopping or measured or crossed(before, clock, config.checkpoint_kimg):
                with monitor.paused():
                    progress.save(score)
        checkpoints.wait()
        if stopping:
            monitor.say(
                f"stopped by {stopping.name}: saved at {progress.images_seen:,} images seen; "
                "the same command resumes"
            )
        else:
            monitor.save_animation()
            monitor.say(f"{total:,} images seen: done")
    return stopping


def prepare(
    config: ml_collections.ConfigDict,
    dataset: CoverDataset,
    devices: Sequence[jax.Device] | None,
) -> tuple[ml_collections.ConfigDict, tuple[Phase, ...], Mesh, Planner]:
    """Checks that a run is possible; returns its config, schedule, devices, and what compiles it.

    The returned config is conditioned on those fields only that some cover has.

    Raises:
      UserError: config, dataset and devices don't fit each other.
    """
    check_run(config, dataset)
    config = config.copy_and_resolve_references()
    config.conditions = tuple(f for f in config.conditions if f in dataset.known_fields)
    schedule = phases(config)
    mesh = parallel.make_mesh(devices or jax.devices(), schedule)
    augment = uses_diff_augment(config.augment, len(dataset))
    return config, schedule, mesh, Planner(config, mesh, len(dataset.genres), augment)


def initial_state(config: ml_collections.ConfigDict, mesh: Mesh, dataset: CoverDataset) -> GanState:
    """Returns the state at the start of a run, on every device."""
    init = functools.partial(init_state, config, len(dataset.genres))
    return jax.jit(init, out_shardings=parallel.replicated(mesh))()


def make_batch(
    config: ml_collections.ConfigDict,
    mesh: Mesh,
    dataset: CoverDataset,
    phase: Phase,
    images_seen: int,
) -> dict[str, jax.Array]:
    """Returns the batch of the step at a moment of the clock, `[devices, n_critic, B, ...]`.

    Each process reads only the parts of its own devices.
    """
    local = local_covers(config, mesh, dataset, phase, images_seen)
    batch = dataset.batch(local.ravel(), phase.resolution, config.conditions)
    return parallel.split(
        mesh, {name: x.reshape(*local.shape, *x.shape[1:]) for name, x in batch.items()}
    )


def read_ahead(
    config: ml_collections.ConfigDict,
    mesh: Mesh,
    dataset: CoverDataset,
    schedule: tuple[Phase, ...],
    images_seen: int,
) -> None:
    """Starts to read the covers of the step at a moment of the clock, unless the run ends there."""
    if images_seen < schedule[-1].end:
        phase = phase_at(schedule, images_seen)
        local = local_covers(config, mesh, dataset, phase, images_seen)
        dataset.read_ahead(local.ravel(), phase.resolution)


def local_covers(
    config: ml_collections.ConfigDict,
    mesh: Mesh,
    dataset: CoverDataset,
    phase: Phase,
    images_seen: int,
) -> np.ndarray:
    """Returns which covers this process reads for a step, `[its devices, n_critic, B]` int64.

    Each batch of the critic is consecutive covers, spread over the devices.
    """
    indices = dataset.indices(config.seed, images_seen, phase.images_per_step)
    parts = indices.reshape(phase.n_critic, mesh.size, -1).swapaxes(0, 1)
    return parts[parallel.local_parts(mesh)]


def current_run(
    config: ml_collections.ConfigDict, dataset: CoverDataset, progress: Progress
) -> sampling.Run:
    """Returns the generator of a run in progress, to draw covers with."""
    return sampling.Run(
        config=config,
        genres=dataset.genres,
        years=dataset.years,
        variables=parallel.local_copy(progress.state.ema_variables),
        images_seen=progress.images_seen,
        resolution=progress.phase.resolution,
        alpha=progress.phase.alpha(progress.images_seen),
    )


def describe_run(
    config: ml_collections.ConfigDict,
    asked: Sequence[str],
    dataset: CoverDataset,
    mesh: Mesh,
    state: GanState,
) -> str:
    """Returns a few lines about the networks, the dataset and the devices.

    Args:
      config: the config of the run.
      asked: the fields that it was to be conditioned on.
      dataset: the covers.
      mesh: the devices.
      state: the state, or its shapes.
    """
    generator_size, critic_size = (
        sum(x.size for x in jax.tree.leaves(params)) for params in (state.generator, state.critic)
    )
    conditions = ", ".join(config.conditions)
    text = (
        f"{config.gan}, {f'conditioned on {conditions}' if conditions else 'unconditional'}; "
        f"generator {generator_size:,} and critic "
        f"{critic_size:,} parameters; {len(dataset):,} covers of {len(dataset.genres)} genres; "
        f"{mesh.size} {mesh.devices[0].platform} device(s), {config.precision}"
    )
    unknown = [field for field in asked if field not in config.conditions]
    if unknown:
        text += f"\nno cover has its {', '.join(unknown)}: the run goes without"
    augments = uses_diff_augment(config.augment, len(dataset))
    if augments and config.resolution >= config.augment_resolution:
        side = config.augment_resolution
        reason = f", as there are under {FEW_COVERS:,} covers" if config.augment == "auto" else ""
        text += f"\nDiffAugment is on from {side}x{side}{reason}"
    return text


def crossed(before: int, after: int, every_kimg: float) -> bool:
    """Whether the clock passed a multiple of this many thousand images."""
    every = every_kimg * 1000
    return before // every != after // every
