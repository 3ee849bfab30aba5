"""What servers answer, and how it is read: nothing in it is taken for granted."""

import json
from dataclasses import dataclass
from typing import Any

_MAX_COUNT = 10**9  # larger counts are invalid


class FetchError(Exception):
    """A request failed.

    Attributes:
      reason: one word, such as "timeout", "http_404" or "malformed_json".
      retry: whether a retry may succeed.
    """

    def __init__(self, reason: str, retry: bool = True):
        super().__init__(reason)
        self.reason = reason
        self.retry = retry


@dataclass(frozen=True, slots=True)
class Answer:
    """A final response: no redirect, no reason to retry."""

    status: int  # 2xx, or a 4xx that a retry would not change
    type: str  # the content type in lower case, without parameters
    body: bytes  # at most `max_bytes` long
    urls: tuple[str, ...] = ()  # that were asked: the first one, and where it redirected to


async def read_json(answer: Answer) -> dict[str, Any]:
    """Returns the JSON object in a response of any content type.

    Raises:
      FetchError: there is no JSON object, or the status is an error ("http_404").
    """
    if answer.status >= 400:
        raise FetchError(f"http_{answer.status}", retry=False)
    try:
        value = json.loads(answer.body)
    except (ValueError, RecursionError) as error:
        raise FetchError("malformed_json") from error
    if not isinstance(value, dict):
        raise FetchError("malformed_json")
    return value


def dicts(value: Any) -> list[dict[str, Any]]:
    """Returns the objects in a JSON list, empty if the value is not a list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def natural(value: Any) -> int | None:
    """Returns a JSON value if it is a valid count, else None."""
    return value if isinstance(value, int) and 0 <= value < _MAX_COUNT else None
