"""Shared by all commands: flag parsing, one-line errors, exit codes."""

import re
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from absl import app, flags, logging

from dac.errors import UserError

INTERRUPTED = 130  # the exit code that shells use after Ctrl-C


def run(main: Callable[[], int | None], define_flags: Callable[[], None]) -> NoReturn:
    """Defines and parses the flags, runs `main`, and exits with its return value.

    Flags are defined here and not when a command is imported, so that several commands, which share
    names of flags, can be imported side by side.

    A `UserError`, an `OSError` or a bad flag prints one line and exits with code 1.
    """
    define_flags()

    def guarded(arguments: Sequence[str]) -> int | None:
        # Hides the logs of libraries, and the tracebacks of the errors that are reported here in
        # one line. --verbosity=0 shows them.
        if not flags.FLAGS["verbosity"].present:
            logging.set_verbosity(logging.FATAL)
        if arguments[1:]:
            _fail(f"unexpected argument {arguments[1]!r}; flags are written --name=value")
        try:
            return main()
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
    app.run(guarded, flags_parser=_parse)


def warn(text: str) -> None:
    """Prints a warning to stderr."""
    print(f"warning: {text}", file=sys.stderr)


def _parse(arguments: Sequence[str]) -> list[str]:
    try:
        return flags.FLAGS(arguments)
    except (AttributeError, KeyError) as error:  # of ml_collections: maybe a suggestion, the name
        *suggestions, name = re.findall(r"""['"]([\w.]+)['"]""", str(error.args[0])) or ["?"]
        known = (
            f"did you mean config.{suggestions[0]}?" if suggestions else "see configs/default.py"
        )
        _fail(f"there is no config.{name}; {known}")
    except Exception as error:  # a config file is Python, and may raise anything
        # Its error arrives as the text of a traceback, with the message in the last line.
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raised = "Traceback" in str(error)
        _fail(re.sub(r"^[\w.]+: ", "", lines[-1]) if raised else " ".join(lines))


def _fail(text: str) -> NoReturn:
    print(f"error: {' '.join(text.split())}", file=sys.stderr)
    sys.exit(1)
