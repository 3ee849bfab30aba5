"""The config that `--config=FILE:variant` names, changed by flags `--config.NAME=value`."""

import difflib
import importlib.util
import re
from collections.abc import Sequence
from pathlib import Path

import ml_collections
from absl import flags
from ml_collections import config_flags

from dac.errors import UserError

NOT_LAUNCHED = ("__init__.py", "default.py")  # in configs/: the others derive from default.py


def define_flags(default: str | None = None) -> None:
    """Defines --config and, when it is parsed, a flag for each of its fields.

    Args:
      default: the config that is used without --config, if any.
    """
    config_flags.DEFINE_config_file(
        "config", default, "config file and variant, as in configs/progan_genre.py:demo"
    )


def check_arguments(arguments: Sequence[str], default: str = "") -> None:
    """Checks the arguments about the config, whose parser would raise errors of Python.

    Args:
      arguments: of the command.
      default: the config that is used without --config, if any.

    Raises:
      UserError: there is no such config, it fails, or it has no field of a name.
    """
    if any(re.fullmatch(r"--?help(full|short|xml)?", argument) for argument in arguments):
        return
    pairs = zip(arguments, [*arguments[1:], ""], strict=True)
    named = [
        argument.partition("=")[2] if "=" in argument else following
        for argument, following in pairs
        if re.fullmatch(r"--?config(=.*)?", argument)
    ]
    file, _, variant = (named or [default])[-1].partition(":")
    if not Path(file).is_file() or Path(file).name in NOT_LAUNCHED:
        found = sorted(
            path for path in Path("configs").glob("*.py") if path.name not in NOT_LAUNCHED
        )
        wrong = f"there is no config {file} to launch" if file else "--config is missing"
        known = ", ".join(map(str, found)) or "none here: run in the project folder"
        raise UserError(f"{wrong}; there are {known}")
    config = _load(file, variant)
    for argument in arguments:
        match = re.match(r"--?(?:no)?config\.([^=]+)", argument)
        if match and match[1] not in config:
            near = difflib.get_close_matches(match[1], config, n=1)
            known = f"did you mean config.{near[0]}?" if near else "see configs/default.py"
            raise UserError(f"there is no config.{match[1]}; {known}")


def _load(file: str, variant: str) -> ml_collections.ConfigDict:
    try:
        spec = importlib.util.spec_from_file_location("launched_config", file)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.get_config(variant) if variant else module.get_config()
    except ValueError as error:  # how configs say what they have
        raise UserError(f"{file}: {error}") from error
    except Exception as error:  # a config is Python, and may raise anything
        raise UserError(f"{file} failed: {type(error).__name__}: {error}") from error


def config() -> ml_collections.ConfigDict:
    """Returns the config, after the flags were parsed."""
    return flags.FLAGS.config
