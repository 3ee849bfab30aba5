"""What the clock says: resolution, fade-in and batch size as pure functions of images seen."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import ml_collections

from dac.errors import UserError
from dac.networks.progan import BASE_RESOLUTION, resolutions


@dataclasses.dataclass(frozen=True)
class Phase:
    """The time at one resolution: a fade-in, then stable training. Times are in images seen.

    The base resolution has no fade-in: there `fade_end` equals `start`. The lengths of both parts
    are whole batches, so that the clock hits `start`, `fade_end` and `end` exactly.
    """

    resolution: int
    batch_size: int
    learning_rate: float
    start: int
    fade_end: int
    end: int

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
    """Returns the phases of a run, from 4x4 to `config.resolution`.

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
    result, clock = [], 0
    for i, resolution in enumerate(sizes):
        batch_size = config.batch_sizes[i]

        def images(kimg, batch_size=batch_size):
            return math.ceil(round(kimg * 1000) / batch_size) * batch_size

        fade = images(config.fade_kimg[i]) if i else 0
        stable = images(config.stable_kimg[i])
        phase = Phase(
            resolution=resolution,
            batch_size=batch_size,
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
