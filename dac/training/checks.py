"""Checks of a config, and of a config against a dataset, before any work is done."""

import math
from collections.abc import Sequence

import jax
import ml_collections

from dac.covers.conditions import FIELDS
from dac.covers.dataset import CoverDataset
from dac.errors import UserError
from dac.run.players import GANS, gan_of
from dac.run.schedule import phases
from dac.training.losses import LOSSES

CHOICES = {
    "gan": tuple(GANS),
    "loss": tuple(LOSSES),
    "latent_distribution": ("normal", "uniform"),
    "precision": ("float32", "bf16"),
    "parallelism": ("shard_map", "pmap"),
    "augment": ("none", "diffaugment", "auto"),
}


def check_config(config: ml_collections.ConfigDict) -> None:
    """Checks all that can be checked with the config alone.

    Raises:
      UserError: a value is not possible.
    """
    for name, choices in CHOICES.items():
        if config[name] not in choices:
            raise UserError(f"config.{name} is {config[name]!r}; it must be {_either(choices)}")
    phases(config)
    fields = config.conditions
    if len(set(fields)) < len(fields) or not set(fields) <= set(FIELDS):
        raise UserError(
            f"config.conditions is {tuple(fields)}; it may have any of {', '.join(FIELDS)}"
        )
    gan = gan_of(config)
    if config.penalty_interval != 1 and not LOSSES[config.loss].lazy:
        lazy = [name for name, loss in LOSSES.items() if loss.lazy]
        raise UserError(
            f"config.penalty_interval is {config.penalty_interval}; {config.loss!r} needs 1, as "
            f"only the penalty of {_either(lazy)} may be computed lazily"
        )
    if LOSSES[config.loss].penalty and gan.critic_group is None:
        without = [name for name, loss in LOSSES.items() if not loss.penalty]
        raise UserError(
            f"config.loss is {config.loss!r}, which has a penalty for each picture, but the critic "
            f"of {config.gan!r} has batch norm, which mixes pictures: use {_either(without)}, or "
            "another config.gan"
        )
    if config.resolution < gan.least_resolution:
        raise UserError(
            f"config.resolution is {config.resolution}; {config.gan!r} needs "
            f"{gan.least_resolution} or more"
        )
    above_zero = (
        "latent_size",
        "fmap_max",
        "learning_rate_end",
        "ema_half_life_kimg",
        "tick_kimg",
        "checkpoint_kimg",
        "grid_columns",
        "adam_epsilon",
    )
    at_least_zero = (
        "gradient_penalty_weight",
        "drift_weight",
        "condition_scale",
        "class_loss_weight",
        "r1_r2_gamma_end",
        "eval_every_kimg",
    )
    below_one = ("condition_drop_rate", "adam_b1", "adam_b2")
    narrowest = config.resolution // 2
    for names, valid, bound in (
        (above_zero, lambda value: value > 0, "above 0"),
        (at_least_zero, lambda value: value >= 0, "at least 0"),
        (below_one, lambda value: 0 <= value < 1, "at least 0 and below 1"),
        (["eval_samples"], lambda value: value >= 100, "100 or more"),
        (["penalty_interval"], lambda value: value >= 1, "1 or more"),
        (["seed"], lambda value: 0 <= value < 2**32, "at least 0 and below 2^32"),
        (["keep_every_kimg"], lambda value: value == 0 or value >= 0.001, "0 or at least 0.001"),
        (
            ["fmap_base"],
            lambda value: value >= narrowest,
            f"at least {narrowest}, so that {config.resolution}x{config.resolution} has a feature",
        ),
    ):
        for name in names:
            if not (math.isfinite(config[name]) and valid(config[name])):
                raise UserError(f"config.{name} is {config[name]}; it must be {bound}")


def check_run(config: ml_collections.ConfigDict, dataset: CoverDataset) -> None:
    """Checks a config, and whether it fits the dataset and the processes of the run.

    Raises:
      UserError: it does not.
    """
    check_config(config)
    if config.parallelism == "pmap" and jax.process_count() > 1:
        raise UserError(
            "config.parallelism is 'pmap', which can be compiled ahead of time for one process "
            f"only, but the run has {jax.process_count()} processes: use 'shard_map'"
        )
    if dataset.size < config.resolution:
        raise UserError(
            f"the covers of {dataset.path} are {dataset.size}x{dataset.size}; lower "
            f"config.resolution, which is {config.resolution}, or build larger covers"
        )
    known = dataset.known_fields
    if config.conditions and not set(config.conditions) & set(known):
        raise UserError(
            f"config.conditions is {tuple(config.conditions)}, but no cover of {dataset.path} has "
            f"any of these; known: {', '.join(known) or 'none'}. Choose among the known ones, or "
            "add the fields to metadata.jsonl and build the dataset again"
        )


def _either(choices: Sequence[str]) -> str:
    return " or ".join(repr(choice) for choice in choices)
