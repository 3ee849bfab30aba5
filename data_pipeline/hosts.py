"""What is known of a host: its rate limit, the pauses that it asked for, whether it is down."""

import asyncio
import email.utils
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

# Exponential backoff: base and maximum.
_BACKOFF_S = 0.5
_MAX_BACKOFF_S = 60.0

_MAX_PAUSE_S = 7 * 86_400.0  # anything longer is a mistake


class UnavailableError(Exception):
    """A host asked for a pause longer than `max_wait`, or was down for longer.

    Attributes:
      seconds: the remaining pause in seconds, 0 if unknown.
    """

    def __init__(self, host: str, seconds: float, why: str):
        super().__init__(f"{host} {why}")
        self.seconds = seconds


@dataclass(slots=True)
class Host:
    """The state of a host; times are on the monotonic clock."""

    name: str  # with the port unless it is the default
    interval: float  # seconds between requests
    free_at: float = 0.0  # when the rate limit allows the next request
    paused_until: float = 0.0
    answered: bool = False  # whether any response was usable so far
    failures: int = 0  # failed requests since the last usable response
    failing_since: float = 0.0  # the time of the first of these
    outages: int = 0  # backoffs since the last usable response
    outage_until: float = 0.0  # when the last backoff ends
    queue: asyncio.Lock = field(default_factory=asyncio.Lock)  # held by the next request

    async def turn(self, refuse: Callable[[], None] = lambda: None) -> None:
        """Waits until a request may be sent (a token bucket of size one).

        Args:
          refuse: called before each wait; raises an error if the wait would be too long.
        """
        async with self.queue:
            # Both times may change during the sleep.
            while (left := max(self.free_at, self.paused_until) - time.monotonic()) > 0:
                refuse()
                await asyncio.sleep(left)
            self.free_at = time.monotonic() + self.interval

    def pause(self, seconds: float) -> bool:
        """Starts or extends a pause; returns whether it grew by more than a second."""
        now = time.monotonic()
        longer = now + seconds > max(self.paused_until, now) + 1
        self.paused_until = max(self.paused_until, now + seconds)
        return longer

    def back_off(self) -> None:
        """Pauses with exponential backoff; requests refused at the same time count once."""
        now = time.monotonic()
        if now >= self.outage_until:
            self.outages += 1
            self.outage_until = now + backoff(self.outages)
            self.paused_until = max(self.paused_until, self.outage_until)

    def succeeded(self) -> None:
        """Records a usable response."""
        self.answered, self.failures, self.outages = True, 0, 0

    def failed(self) -> None:
        """Records a failed request."""
        if not self.failures:
            self.failing_since = time.monotonic()
        self.failures += 1

    def down(self) -> UnavailableError:
        """Returns the error that says how long it has been down."""
        minutes = (time.monotonic() - self.failing_since) / 60
        return UnavailableError(self.name, 0, f"has been down for {minutes:.0f} minutes")


def backoff(tries: int) -> float:
    """Returns a delay in seconds, exponential in the number of failed tries, with jitter."""
    seconds = min(_BACKOFF_S * 2.0 ** min(tries, 16), _MAX_BACKOFF_S)
    return seconds * random.uniform(0.5, 1.0)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Returns the value of the Retry-After header in seconds, None if missing or invalid.

    The header has seconds or a date (RFC 9110, 10.2.3). A date is compared with the server's own
    Date header, if there is one.
    """
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return min(float(value[:20]), _MAX_PAUSE_S)
    until = _timestamp(value)
    if until is None:
        return None
    now = _timestamp(headers.get("Date", ""))
    return min(max(0.0, until - (time.time() if now is None else now)), _MAX_PAUSE_S)


def _timestamp(date: str) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return None
