"""What a GAN is: the contract between each file of networks and the rest of the code."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax

Stage = tuple[int, jax.Array | float] | tuple[()]


@dataclasses.dataclass(frozen=True)
class Gan:
    """The two networks of a GAN, and the facts that the rest of the code asks for.

    Both networks are Flax modules with four fields: `resolution`, the final side of the pictures
    in pixels, a power of two; `fmap_base` and `fmap_max`, which set the widths
    (`layers.feature_maps`); and `dtype`, in which convolutions are computed and activations are
    kept between them. The generator has a fifth, `condition_scale` (`join_conditions`). Parameters,
    dense layers, pictures and scores are float32. R below is the resolution of the pictures.

        generator(latents, conditions, *stage)  # [B, Z] -> [B, R, R, 3] float32
        critic(images, conditions, *stage)      # [B, R, R, 3] -> [B] float32, higher for real

    The generator takes a keyword `truncation`, 1 by default: what its latents, normalised where it
    normalises them, are multiplied by before the conditions join them; `[B, 1]` or a number.

    Real pictures are in [-1, 1], and so are generated ones by training; clip them before saving.
    `conditions` is what `ConditionEmbedding` takes, empty for an unconditional network. `stage` is
    what the method of that name returns. A network with batch norm normalises by the batch where
    the collection `batch_stats` is mutable, as in training, and by its running averages elsewhere.
    A critic tells how well it reads the conditions off the pictures where the collection
    `class_loss` is mutable (`project_conditions`).

    Attributes:
      generator: class of the generator.
      critic: class of the critic.
      least_resolution: the smallest final resolution, in pixels.
      critic_group: how many consecutive samples of a batch the critic scores together: 1 if a score
        depends on its own picture alone, None if it depends on the whole batch.
      active_modules: for networks that grow, the names of the top-level modules of either network
        that a resolution computes with; None for networks that do not grow.
    """

    generator: type[nn.Module]
    critic: type[nn.Module]
    least_resolution: int
    critic_group: int | None
    active_modules: Callable[[int], frozenset[str]] | None = None

    @property
    def grows(self) -> bool:
        """Whether training starts at 4x4 and adds resolutions, each with a fade-in."""
        return self.active_modules is not None

    def stage(self, resolution: int, alpha: jax.Array | float) -> Stage:
        """Returns the last arguments of both networks.

        Args:
          resolution: present side of the pictures, static.
          alpha: weight of the newest resolution in [0, 1]; may be traced.
        """
        return (resolution, alpha) if self.grows else ()

    def active(self, modules: Mapping[str, Any], resolution: int) -> dict[str, Any]:
        """Returns the part of a tree, by top-level module, that a resolution computes with."""
        if self.active_modules is None:
            return dict(modules)
        names = self.active_modules(resolution)
        return {name: tree for name, tree in modules.items() if name in names}
