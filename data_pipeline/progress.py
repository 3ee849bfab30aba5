"""Reports on a run: the progress line, the state of a collection, the JSON summary."""

import shutil
import sqlite3
import sys
import time
from collections import defaultdict
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

from data_pipeline.catalog_file import open_to_read

_PLAIN_S = 30.0  # between progress lines if stderr is not a terminal
_STATUS_S = 600.0  # that --status averages the rate over


class Progress:
    """Prints the progress of a run to stderr; on a terminal, one line that updates."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._width = 0
        self._printed_at = time.monotonic()

    def show(self, line: str, force: bool = False) -> None:
        """Updates the progress line; call this about once a second, or with `force`."""
        now = time.monotonic()
        if self._live:
            line = line[: shutil.get_terminal_size().columns - 1]  # wrapped lines would stay
            print(f"\r{line:<{self._width}}", end="\r", file=sys.stderr, flush=True)
            self._width = len(line)
        elif line and (force or now - self._printed_at >= _PLAIN_S):
            self._printed_at = now
            print(line, file=sys.stderr, flush=True)

    def say(self, text: str) -> None:
        """Prints a permanent line."""
        self.show("", force=True)
        print(text, file=sys.stderr, flush=True)


def summary(db: sqlite3.Connection) -> dict[str, Any]:
    """Returns the state of a collection, ready for JSON."""
    albums, chosen = _count(db, "albums", "TRUE"), _count(db, "albums", "chosen")
    lists = _count(db, "lists", "TRUE")
    return {
        "albums": sum(sum(reasons.values()) for reasons in albums.values()),
        "chosen": sum(sum(reasons.values()) for reasons in chosen.values()),
        "stored": sum(chosen["done"].values()),
        "waiting": sum(chosen["waiting"].values()),
        "failed": albums["failed"],
        "lists": {
            "done": sum(lists["done"].values()),
            "waiting": sum(lists["waiting"].values()),
            "failed": lists["failed"],
        },
    }


def _count(db: sqlite3.Connection, table: str, which: str) -> dict[str, dict[str, int]]:
    """Returns the number of jobs by state and reason, the most frequent reason first."""
    counts: dict[str, dict[str, int]] = defaultdict(dict)
    rows = db.execute(
        f"SELECT state, coalesce(reason, ''), count(*) AS n FROM {table} WHERE {which} "
        "GROUP BY 1, 2 ORDER BY n DESC"
    )
    for state, reason, n in rows:
        counts[state][reason] = n
    return counts


def describe(state: dict[str, Any]) -> str:
    """Returns a line with the numbers of a summary."""
    parts = [
        f"{state['albums']:,} albums",
        f"{state['chosen']:,} chosen",
        f"{state['stored']:,} covers stored",
        f"{state['waiting']:,} waiting",
    ]
    if state["failed"]:
        reasons = ", ".join(f"{n:,} {reason}" for reason, n in state["failed"].items())
        parts.append(f"{sum(state['failed'].values()):,} failed ({reasons})")
    return " · ".join(parts)


def warnings(db: sqlite3.Connection) -> list[str]:
    """Returns what a run leaves undone, a sentence each."""
    now = time.time()
    said = []
    waiting, first = db.execute(
        "SELECT count(*), min(retry_at) FROM (SELECT retry_at FROM lists WHERE state = 'failed' "
        "UNION ALL SELECT retry_at FROM albums WHERE state = 'failed') WHERE retry_at > ?",
        (now,),
    ).fetchone()
    if waiting:
        said.append(
            f"{waiting:,} requests failed and can be tried again: run the same command after "
            f"{datetime.fromtimestamp(first):%Y-%m-%d %H:%M}, or now with --retry_failed"
        )
    for kind, key, first, last, total, found in db.execute(
        "SELECT kind, key, first, last, total, coalesce(lists.found, "
        "(SELECT sum(part.found) FROM lists AS part WHERE part.parent = lists.id)) "
        "FROM lists WHERE reason = 'incomplete' ORDER BY id LIMIT 10"
    ):
        years = f", {first} to {last}" if 0 < first < last < 9999 else f", {first}" * (first > 0)
        had = f"{found:,} of {total:,}" if found else f"not all of {total:,}"
        said.append(f"the service gave {had} albums of the {kind} {key}{years}")
    return said


def print_status(folder: Path) -> None:
    """Prints the state of a collection, even while a run is going on.

    Raises:
      UserError: there is no collection.
    """
    now = time.time()
    with closing(open_to_read(folder)) as db:
        state = summary(db)
        stored, first = db.execute(
            "SELECT count(*), min(stored_at) FROM albums WHERE stored_at BETWEEN ? AND ?",
            (now - _STATUS_S, now),
        ).fetchone()
        said = warnings(db)
    rate = stored / (now - first) if first and now > first else 0.0
    left = f" · ETA {duration(state['waiting'] / rate)}" if rate and state["waiting"] else ""
    print(f"{folder}: {describe(state)} · {rate:.1f}/s{left}")
    lists = state["lists"]
    print(f"  lists: {lists['done']:,} read, {lists['waiting']:,} waiting")
    for job, failed in (("lists", lists["failed"]), ("covers", state["failed"])):
        for reason, n in failed.items():
            print(f"  {job} failed: {n:>10,} {reason}")
    for text in said:
        print(f"  {text}")


def duration(seconds: float) -> str:
    """Returns a duration as text, such as "3 d 4:05:06"."""
    days, rest = divmod(round(seconds), 86_400)
    clock = f"{rest // 3600}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{days} d {clock}" if days else clock
