"""Shared by all commands: flag parsing, one-line errors, exit codes."""

import re
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from absl import app, flags, logging

from dac.errors import UserError

INTERRUPTED = 130  # the exit code that shells use after Ctrl-C


def run(
    main: Callable[..., int | None],
    define_flags: Callable[[], None],
    check_arguments: Callable[[Sequence[str]], None] = lambda arguments: None,
    takes_names: bool = False,
) -> NoReturn:
    """Defines and parses the flags, runs `main`, and exits with its return value.

    Flags are defined here and not when a command is imported, so that several commands, which share
    names of flags, can be imported side by side.

    A `UserError`, an `OSError` or a bad flag prints one line and exits with code 1.

    Args:
      main: the command; returns an exit code, None for 0.
      define_flags: defines its flags.
      check_arguments: raises a `UserError` if the arguments can't be parsed.
      takes_names: whether `main` takes a list of the arguments that are no flags.
    """
    define_flags()

    def guarded(arguments: Sequence[str]) -> int | None:
        # Hides the logs of libraries, and the tracebacks of the errors that are reported here in
        # one line. --verbosity=0 shows them.
        if not flags.FLAGS["verbosity"].present:
            logging.set_verbosity(logging.FATAL)
        if arguments[1:] and not takes_names:
            _fail(f"unexpected argument {arguments[1]!r}; flags are written --name=value")
        try:
            return main(list(arguments[1:])) if takes_names else main()
        except UserError as error:
            logging.debug("caused by", exc_info=error)
            _fail(str(error))
        except OSError as error:
            logging.debug("caused by", exc_info=error)
            where = f": {error.filename}" if error.filename else ""
            _fail(f"{error.strerror or error}{where}; fix this and run the command again")
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            return INTERRUPTED

    for stream in (sys.stdout, sys.stderr):  # names may not fit the terminal's encoding
        stream.reconfigure(errors="backslashreplace")

    def parse(arguments: Sequence[str]) -> list[str]:
        try:
            check_arguments(arguments)
            return flags.FLAGS(arguments)
        except UserError as error:
            _fail(str(error))
        except flags.Error as error:
            text = re.sub(r"invalid literal for int.*", "expected a whole number", str(error))
            _fail(re.sub(r"could not convert string to float.*", "expected a number", text))

    app.run(guarded, flags_parser=parse)


def warn(text: str) -> None:
    """Prints a warning to stderr."""
    print(f"warning: {text}", file=sys.stderr)


def _fail(text: str) -> NoReturn:
    print(f"error: {' '.join(text.split())}", file=sys.stderr)
    sys.exit(1)
