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
        # Libraries report every file they write; --verbosity=0 shows it.
        if not flags.FLAGS["verbosity"].present:
            logging.set_verbosity(logging.ERROR)
        if arguments[1:]:
            _fail(f"unexpected argument {arguments[1]!r}; flags are written --name=value")
        try:
            return main()
        except UserError as error:
            logging.debug("caused by", exc_info=error)
            _fail(str(error))
        except OSError as error:
            where = f": {error.filename}" if error.filename else ""
            _fail(f"{error.strerror or error}{where}; put that right and run the command again")
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            return INTERRUPTED

    app.run(guarded, flags_parser=_parse)


def _parse(arguments: Sequence[str]) -> list[str]:
    try:
        return flags.FLAGS(arguments)
    except (flags.Error, OSError, AttributeError, TypeError, ValueError) as error:
        # A config file's own error comes wrapped in the traceback's text: its last line tells.
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        _fail(lines[-1] if "Traceback" in str(error) else " ".join(lines))


def _fail(text: str) -> NoReturn:
    print(f"error: {' '.join(text.split())}", file=sys.stderr)
    sys.exit(1)
