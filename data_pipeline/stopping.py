"""Ends a run when the user or the system asks for it."""

import asyncio
import signal
from collections.abc import Coroutine


async def run_until_signal(work: Coroutine[None, None, None]) -> signal.Signals | None:
    """Runs work until it is done, or cancels it at SIGINT or SIGTERM; returns the signal.

    Raises:
      Exception: the error that ended the work; of a group, the first one.
    """
    loop = asyncio.get_running_loop()
    stop = loop.create_future()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, lambda n=number: stop.done() or stop.set_result(n))
    task = loop.create_task(work)
    try:
        await asyncio.wait((task, stop), return_when=asyncio.FIRST_COMPLETED)
        task.cancel()
        await asyncio.wait((task,))
        if not task.cancelled() and (error := task.exception()) is not None:
            while isinstance(error, BaseExceptionGroup):
                error = error.exceptions[0]
            raise error from None
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
    return stop.result() if stop.done() else None
