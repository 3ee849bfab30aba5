"""How every door treats the person at it: flags, one-line errors, exit codes."""

import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from absl import app, flags, logging

from dac.errors import UserError

INTERRUPTED = 130  # what a shell reports of a command ended by Ctrl-C


def run(main: Callable[[], int | None]) -> NoReturn:
    """Parses the flags, runs `main`, and exits with its code.

    A `UserError`, a bad flag or a failing file ends the command with one line and exit code 1.
    """

    def guarded(arguments: Sequence[str]) -> int | None:
        # Libraries log every file they write, and the trace of each error that is reported here in
        # one line; --verbosity=0 shows them.
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
            _fail(f"{error.strerror or error}{where}; put that right and run the command again")
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            return INTERRUPTED

    for stream in (sys.stdout, sys.stderr):  # a terminal may not have the letters of every name
        stream.reconfigure(errors="backslashreplace")
    app.run(guarded, flags_parser=_parse)


def warn(text: str) -> None:
    """Tells what does not stop the command."""
    print(f"warning: {text}", file=sys.stderr)


def _parse(arguments: Sequence[str]) -> list[str]:
    try:
        return flags.FLAGS(arguments)
    except Exception as error:  # a config file is Python, and may raise anything
        # Its own error comes wrapped in the traceback's text: the last line tells.
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        _fail(lines[-1] if "Traceback" in str(error) else " ".join(lines))


def _fail(text: str) -> NoReturn:
    print(f"error: {' '.join(text.split())}", file=sys.stderr)
    sys.exit(1)
