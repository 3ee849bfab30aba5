"""The schedule: resolution, fade-in and batch size as pure functions of the images seen."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import ml_collections

from dac.errors import UserError
from dac.networks.layers import BASE_RESOLUTION, resolutions
from dac.run.players import gan_of


@dataclasses.dataclass(frozen=True)
class Phase:
    """Training at one resolution: a fade-in, then a stable part.

    `start`, `fade_end` and `end` are in images seen. Both parts are whole numbers of steps long, so
    the clock meets all three exactly. The first resolution has no fade-in: `fade_end` is `start`.
    `critic_group` is that of the `Gan`.
    """

    resolution: int
    batch_size: int
    critic_group: int | None
    n_critic: int
    learning_rate: float
    r1_r2_gamma: float
    start: int
    fade_end: int
    end: int

    @property
    def images_per_step(self) -> int:
        """Real covers that the critic sees in a step: one batch for each of its updates."""
        return self.n_critic * self.batch_size

    def batch_unit(self, devices: int) -> int:
        """Returns what the batch must be a multiple of, to be shared by this many devices.

        A device takes whole groups of the samples that the critic scores together, so the number of
        devices changes no score. With batch norm the group is the whole batch: there the devices
        exchange their statistics instead.
        """
        return devices * min(self.critic_group or 1, self.batch_size)

    def alpha(self, images_seen: int) -> float:
        """Returns the weight of the newest resolution in [0, 1], which grows in the fade-in."""
        if images_seen >= self.fade_end:
            return 1.0
        return (images_seen - self.start) / (self.fade_end - self.start)

    def traced_alpha(self, images_seen: jax.Array) -> jax.Array:
        """Returns `alpha` as a float32 scalar; `images_seen` is an int32 scalar, maybe traced."""
        faded = (images_seen - self.start).astype(jnp.float32)
        return (
            jnp.clip(faded / max(self.fade_end - self.start, 1), 0.0, 1.0)
            if (self.fade_end > self.start)
            else jnp.float32(1.0)
        )


def phases(config: ml_collections.ConfigDict) -> tuple[Phase, ...]:
    """Returns the phases of a run: 4x4 to `config.resolution`, or only that if nothing grows.

    Raises:
      UserError: the config's sizes, batch sizes or durations are not possible.
    """
    final = config.resolution
    if final < BASE_RESOLUTION or final & (final - 1):
        below = max(2 ** (max(final, 1).bit_length() - 1), BASE_RESOLUTION)
        raise UserError(
            f"config.resolution is {final}; it must be a power of two from {BASE_RESOLUTION} up, "
            f"such as {below} or {2 * below}"
        )
    sizes = resolutions(final)
    for name, above_zero in (
        ("batch_sizes", True),
        ("learning_rates", True),
        ("r1_r2_gammas", False),
        ("fade_kimg", False),
        ("stable_kimg", False),
    ):
        values = config[name]
        if len(values) < len(sizes):
            raise UserError(
                f"config.{name} has {len(values)} values; {final}x{final} needs {len(sizes)}, one "
                f"for each resolution: {', '.join(map(str, sizes))}"
            )
        if not all(
            isinstance(v, int | float) and 0 <= v < math.inf and (v or not above_zero)
            for v in values
        ):
            bound = "above" if above_zero else "at least"
            raise UserError(f"config.{name} is {tuple(values)}; each value must be {bound} 0")
    if not all(isinstance(size, int) for size in config.batch_sizes):
        raise UserError(f"config.batch_sizes is {tuple(config.batch_sizes)}; give whole numbers")
    if not isinstance(config.n_critic, int) or config.n_critic < 1:
        raise UserError(f"config.n_critic is {config.n_critic}; it must be 1 or more")
    gan, result, clock = gan_of(config), [], 0
    first = 0 if gan.grows else len(sizes) - 1
    for i, resolution in list(enumerate(sizes))[first:]:
        images_per_step = config.batch_sizes[i] * config.n_critic

        def images(kimg, images_per_step=images_per_step):
            return math.ceil(round(kimg * 1000) / images_per_step) * images_per_step

        fade = images(config.fade_kimg[i]) if i > first else 0
        stable = images(config.stable_kimg[i])
        phase = Phase(
            resolution=resolution,
            batch_size=config.batch_sizes[i],
            critic_group=gan.critic_group,
            n_critic=config.n_critic,
            learning_rate=config.learning_rates[i],
            r1_r2_gamma=config.r1_r2_gammas[i],
            start=clock,
            fade_end=clock + fade,
            end=clock + fade + stable,
        )
        clock = phase.end
        if fade + stable:
            result.append(phase)
    if not result:
        raise UserError("config.stable_kimg and config.fade_kimg are all 0; there is no training")
    if clock >= 2**31:
        raise UserError(f"the run is {clock:,} images long; the clock holds at most 2,147,483,647")
    return tuple(result)


def phase_at(schedule: tuple[Phase, ...], images_seen: int) -> Phase:
    """Returns the phase of the next batch; after the end of the run, the last phase."""
    return next((phase for phase in schedule if images_seen < phase.end), schedule[-1])


def annealed(end: float, images_seen: jax.Array, total: int) -> jax.Array:
    """Returns a factor that falls from 1 to `end` along half a cosine over the run; float32.

    As in R3GAN (brownvc/R3GAN, training/training_loop.py, cosine_decay_with_warmup).

    Args:
      end: the factor at the end of the run.
      images_seen: the clock, int32 scalar, maybe traced.
      total: the clock at the end of the run.
    """
    done = jnp.clip(images_seen.astype(jnp.float32) / total, 0.0, 1.0)
    return end + (1.0 - end) * 0.5 * (1.0 + jnp.cos(jnp.pi * done))
