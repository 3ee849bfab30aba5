"""Stops a run on SIGTERM or Ctrl-C, after a step that all processes agree on."""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator

import jax
from jax.sharding import Mesh

from dac.training import parallel


class Stop:
    """The signal, if any, that asked the run to stop."""

    def __init__(self):
        self.signal: signal.Signals | None = None
        self._vote: jax.Array | None = None

    def requested(self, mesh: Mesh) -> signal.Signals | None:
        """Returns the signal once every process knows of it, after the same step in each."""
        if jax.process_count() == 1:
            return self.signal  # read once: it may come at any moment
        vote, self._vote = self._vote, parallel.any_process(mesh, self.signal is not None)
        return (self.signal or signal.SIGTERM) if vote is not None and bool(vote) else None


@contextlib.contextmanager
def stop_signals() -> Iterator[Stop]:
    """Turns SIGTERM and the first Ctrl-C into a request to stop; a second Ctrl-C interrupts."""
    stop = Stop()

    def request(number, _):
        stop.signal = stop.signal or signal.Signals(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.write(sys.stderr.fileno(), b"\nstopping after this step; Ctrl-C again stops at once\n")

    previous = {s: signal.signal(s, request) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
