"""What can be told to be wrong with a config before any work is done."""

import math
from collections.abc import Sequence

import ml_collections

from dac.covers.conditions import FIELDS
from dac.errors import UserError
from dac.training.schedule import phases
from dac.training.state import NETWORKS


def check_config(config: ml_collections.ConfigDict) -> None:
    """Checks what can be told from a config alone, before any work is done.

    Raises:
      UserError: a value is not possible.
    """
    phases(config)
    for name, choices in (
        ("gan", tuple(NETWORKS)),
        ("loss", ("wgan_gp", "non_saturating", "rpgan_r1r2")),
        ("latent_distribution", ("normal", "uniform")),
        ("precision", ("float32", "bf16")),
        ("parallelism", ("shard_map", "pmap")),
        ("augment", ("none", "diffaugment", "auto")),
    ):
        if config[name] not in choices:
            raise UserError(f"config.{name} is {config[name]!r}; it must be {_either(choices)}")
    fields = config.conditions
    if len(set(fields)) < len(fields) or not set(fields) <= set(FIELDS):
        raise UserError(
            f"config.conditions is {tuple(fields)}; it takes any of {', '.join(FIELDS)}"
        )
    if config.gan == "dcgan" and config.loss != "non_saturating":
        raise UserError(
            f"config.loss is {config.loss!r}, with a penalty for each picture, but the critic of a "
            "DCGAN has batch norm, which mixes pictures: take 'non_saturating', or another "
            "config.gan"
        )
    if config.gan != "progan" and config.resolution < 8:
        raise UserError(f"config.resolution is {config.resolution}; a {config.gan} needs 8 or more")
    above_zero = (
        *("latent_size", "fmap_max", "ema_half_life_kimg", "tick_kimg", "checkpoint_kimg"),
        *("grid_columns", "adam_epsilon"),
    )
    at_least_zero = (
        *("gradient_penalty_weight", "drift_weight", "r1_r2_gamma", "condition_ramp_kimg"),
    )
    below_one = ("condition_drop_rate", "adam_b1", "adam_b2")
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


def _either(choices: Sequence[str]) -> str:
    return " or ".join(repr(choice) for choice in choices)
