"""Runs a command of the experiments: JAX's cache of compiled programs, one-line errors."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

import jax

from dac.errors import UserError
from dac.jax_errors import out_of_memory
from data_pipeline import cli


def cache_folder() -> Path:
    """Returns the folder of what is kept between commands."""
    folder = os.environ.get("JAX_COMPILATION_CACHE_DIR", "~/.cache/duck_and_cover")
    return Path(folder).expanduser()


def run(
    main: Callable[..., int | None],
    define_flags: Callable[[], None],
    check_arguments: Callable[[Sequence[str]], None] = lambda arguments: None,
    takes_names: bool = False,
) -> NoReturn:
    """Runs `main` as `data_pipeline.cli.run` does."""
    jax.config.update("jax_compilation_cache_dir", str(cache_folder()))

    def guarded(*names: list[str]) -> int | None:
        try:
            return main(*names)
        except Exception as error:
            if not out_of_memory(error):
                raise
            reason = (str(error).splitlines() or ["on the host"])[0]
            raise UserError(
                f"out of memory ({reason:.120}); end other programs that use the device, such as a "
                "training in progress, and try again"
            ) from error

    cli.run(guarded, define_flags, check_arguments, takes_names)
