"""What the clock says: resolution, fade-in and batch size as pure functions of images seen."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import ml_collections

from dac.errors import UserError
from dac.networks.layers import BASE_RESOLUTION, resolutions


@dataclasses.dataclass(frozen=True)
class Phase:
    """The time at one resolution: a fade-in, then stable training. Times are in images seen.

    The first resolution has no fade-in: there `fade_end` equals `start`. The lengths of both parts
    are whole steps, so that the clock hits `start`, `fade_end` and `end` exactly.
    """

    resolution: int
    batch_size: int
    n_critic: int
    learning_rate: float
    start: int
    fade_end: int
    end: int

    @property
    def images_per_step(self) -> int:
        """Covers that the critic is shown in a step: a batch for each of its updates."""
        return self.n_critic * self.batch_size

    def alpha(self, images_seen: int) -> float:
        """Weight of the newest resolution in [0, 1]: how far its fade-in has come."""
        if images_seen >= self.fade_end:
            return 1.0
        return (images_seen - self.start) / (self.fade_end - self.start)

    def traced_alpha(self, images_seen: jax.Array) -> jax.Array:
        """As `alpha`, of an int32 scalar that may be traced; float32."""
        faded = (images_seen - self.start).astype(jnp.float32)
        return (
            jnp.clip(faded / max(self.fade_end - self.start, 1), 0.0, 1.0)
            if (self.fade_end > self.start)
            else jnp.float32(1.0)
        )


def phases(config: ml_collections.ConfigDict) -> tuple[Phase, ...]:
    """Returns the phases of a run.

    A ProGAN's are those from 4x4 to `config.resolution`; the other networks do not grow, and have
    the last of them alone.

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
    result, clock = [], 0
    first = 0 if config.gan == "progan" else len(sizes) - 1
    for i, resolution in list(enumerate(sizes))[first:]:
        images_per_step = config.batch_sizes[i] * config.n_critic

        def images(kimg, images_per_step=images_per_step):
            return math.ceil(round(kimg * 1000) / images_per_step) * images_per_step

        fade = images(config.fade_kimg[i]) if i > first else 0
        stable = images(config.stable_kimg[i])
        phase = Phase(
            resolution=resolution,
            batch_size=config.batch_sizes[i],
            n_critic=config.n_critic,
            learning_rate=config.learning_rates[i],
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


def phase_at(run: tuple[Phase, ...], images_seen: int) -> Phase:
    """The phase that the next batch belongs to; after the end of the run, the last one."""
    return next((phase for phase in run if images_seen < phase.end), run[-1])


def condition_weight(config: ml_collections.ConfigDict, images_seen: jax.Array | int) -> jax.Array:
    """How much the conditions count at a moment of the clock, in [0, 1]; float32.

    They are ramped up from 0 over `config.condition_ramp_kimg`, which keeps training on few covers
    from collapsing (Shahbazi et al. 2022, arXiv 2201.06578).
    """
    return jnp.clip(jnp.float32(images_seen) / (config.condition_ramp_kimg * 1000), 0.0, 1.0)
