"""The error type for users, and the platform check of the commands."""

import sys


class UserError(Exception):
    """An error that the user can fix; its text is one line that says how."""


def require_posix() -> None:
    """Ends the program with one line unless it runs on Linux or macOS."""
    if sys.platform not in ("linux", "darwin"):
        raise SystemExit(f"error: Duck and Cover runs on Linux and macOS, not on {sys.platform}")
