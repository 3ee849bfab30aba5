"""Reports on a crawl: the progress line, the state of a collection, the JSON summary."""

import shutil
import sys
import time
from collections import deque
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from data_pipeline.catalog import count_stored, count_unlisted, open_to_read, read_tallies

Tallies = Mapping[tuple[str, str, str], int]

_WINDOW = 60  # updates that the rate is averaged over
_PLAIN_S = 30.0  # between progress lines if stderr is not a terminal
_STATUS_S = 600.0  # that --status averages the rate over


class Progress:
    """Prints the progress of a crawl to stderr; on a terminal, one line that updates."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._width = 0
        self._printed_at = time.monotonic()
        self._stored: deque[tuple[float, int]] = deque(maxlen=_WINDOW)

    def update(self, tallies: Tallies, to_come: int) -> None:
        """Updates the progress line; call this about once a second."""
        now = time.monotonic()
        self._stored.append((now, count(tallies, "covers", "done")))
        (start, before), (end, stored) = self._stored[0], self._stored[-1]
        rate = (stored - before) / (end - start) if end > start else 0.0
        line = describe(tallies, to_come, rate)
        if self._live:
            self._show(line)
        elif now - self._printed_at >= _PLAIN_S:
            self._printed_at = now
            print(line, file=sys.stderr, flush=True)

    def say(self, text: str) -> None:
        """Prints a permanent line."""
        self._show("")
        print(text, file=sys.stderr, flush=True)

    def _show(self, line: str) -> None:
        if self._live:
            line = line[: shutil.get_terminal_size().columns - 1]  # wrapped lines would stay
            print(f"\r{line:<{self._width}}", end="\r", file=sys.stderr, flush=True)
            self._width = len(line)


def describe(tallies: Tallies, to_come: int, rate: float) -> str:
    """Returns a line with the numbers of albums and covers, the rate and the ETA.

    Args:
      tallies: the catalogue's tallies.
      to_come: an estimate of the covers still to be stored.
      rate: covers per second.
    """
    parts = [
        f"{count(tallies, 'covers'):,} albums",
        f"{count(tallies, 'covers', 'done'):,} covers stored",
        f"{count(tallies, 'covers', 'waiting'):,} waiting",
    ]
    parts.append(f"{rate:.1f}/s")
    if rate > 0 and to_come:
        parts.append(f"ETA {duration(to_come / rate)}")
    failed = failures(tallies, "covers")
    if failed:
        reasons = ", ".join(f"{n:,} {reason}" for reason, n in failed.items())
        parts.append(f"{sum(failed.values()):,} failed ({reasons})")
    return " · ".join(parts)


def print_status(folder: Path) -> None:
    """Prints the state of a collection, even while a crawl is running.

    Raises:
      UserError: there is no collection.
    """
    with closing(open_to_read(folder)) as db:
        tallies = read_tallies(db)
        unlisted = count_unlisted(db)
        stored, seconds = count_stored(db, _STATUS_S)
    to_come = count(tallies, "covers", "waiting") + unlisted
    print(f"{folder}: {describe(tallies, to_come, stored / seconds if seconds else 0.0)}")
    for job in ("genres", "artists", "covers"):
        states = {state: count(tallies, job, state) for state in ("done", "waiting", "failed")}
        if not any(states.values()):
            continue
        print(f"  {job:<8}" + "".join(f"{n:>10,} {state:<8}" for state, n in states.items()))
        for reason, n in failures(tallies, job).items():
            print(f"  {'':<8}{'':<38}{n:>10,} {reason}")
    if unlisted:
        print(f"  about {unlisted:,} more albums to list")


def summary(tallies: Tallies) -> dict[str, Any]:
    """Returns the state of a collection, ready for JSON."""
    return {
        "albums": count(tallies, "covers"),
        "stored": count(tallies, "covers", "done"),
        "waiting": count(tallies, "covers", "waiting"),
        "failed": failures(tallies, "covers"),
        "listings": {
            job: {
                "done": count(tallies, job, "done"),
                "waiting": count(tallies, job, "waiting"),
                "failed": failures(tallies, job),
            }
            for job in ("genres", "artists")
        },
    }


def count(tallies: Tallies, job: str, state: str | None = None) -> int:
    """Returns the number of jobs in a table, optionally only those in one state."""
    return sum(
        n for (name, found, _), n in tallies.items() if name == job and state in (None, found)
    )


def failures(tallies: Tallies, job: str) -> dict[str, int]:
    """Returns the number of failed jobs in a table by reason, most frequent first."""
    failed = {
        why: n for (name, state, why), n in tallies.items() if (name, state) == (job, "failed")
    }
    return dict(sorted(failed.items(), key=lambda item: -item[1]))


def duration(seconds: float) -> str:
    """Returns a duration as text, such as "3 d 4:05:06"."""
    days, rest = divmod(round(seconds), 86_400)
    clock = f"{rest // 3600}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{days} d {clock}" if days else clock
