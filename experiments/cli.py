"""Runs a command of the experiments, with JAX's cache of compiled programs."""

import os
from collections.abc import Callable
from typing import NoReturn

import jax

from data_pipeline import cli


def run(main: Callable[[], int | None], define_flags: Callable[[], None]) -> NoReturn:
    """Runs `main` as `data_pipeline.cli.run` does."""
    cache = os.environ.get("JAX_COMPILATION_CACHE_DIR", "~/.cache/duck_and_cover")
    jax.config.update("jax_compilation_cache_dir", os.path.expanduser(cache))
    cli.run(main, define_flags)
