"""Applies faults: spoils an answer, or sends a good answer badly."""

import asyncio
import contextlib
import dataclasses
import email.utils
import math
import socket
import struct
import time
from typing import Any

from aiohttp import web

from tests.cover_services.answers import Answer, plain_answer
from tests.cover_services.covers import bomb, cover_png

# These faults are in how the body is sent; `send_badly` applies them, `spoil` applies the others.
SENT_BADLY = frozenset({"reset", "short_body", "stall", "huge"})

_HUGE = 4 << 30
_HUGE_CHUNK = 1 << 18


def spoil(fault: str, answer: Answer, chance: int, retry_after: int) -> Answer | None:
    """Returns the answer with a fault; None if it has no items for the fault to apply to.

    Args:
        fault: the fault, not one of `SENT_BADLY`.
        answer: the answer without a fault, which may be changed.
        chance: a random number that decides the details.
        retry_after: the seconds that a status 429 asks the client to wait.
    """
    change, body = dataclasses.replace, answer.encoded()
    match fault:
        case "http_429" | "http_429_date":
            wait = str(retry_after)
            if fault == "http_429_date":
                wait = email.utils.formatdate(math.ceil(time.time() + retry_after), usegmt=True)
            error = b'{"error": "slow down"}'
            return change(answer, status=429, body=error, headers={"Retry-After": wait})
        case "http_500" | "http_503":
            return plain_answer(int(fault[-3:]), "out of order\n")
        case "html":
            page = b"<!DOCTYPE html><title>Sign in</title><h1>Sign in to this network</h1>"
            return Answer(200, page, content_type="text/html")
        case "empty":
            return change(answer, status=200, body=b"", headers={})
        case "redirect_loop":
            return change(answer, status=302, body=b"", headers={"Location": "/redirect-loop/a"})
        case "private_redirect":
            to = "http://10.0.0.1/" if chance % 2 else "http://192.168.0.1/"
            return change(answer, status=302, body=b"", headers={"Location": to})
        case "png_as_jpg":
            return change(answer, body=cover_png(answer.cover_number, answer.cover_pixels))
        case "bomb":
            return change(answer, body=bomb("PNG" if chance % 2 else "JPEG"))
        case "truncated_jpeg":
            return change(answer, body=body[: len(body) * 2 // 3])
        case "malformed_json":
            return change(answer, body=body[: len(body) // 2])
    assert isinstance(answer.body, dict)
    return answer if _spoil_items(fault, answer.body, chance) else None


def _spoil_items(fault: str, page: dict[str, Any], chance: int) -> bool:
    """Spoils the items of a page in place. Returns whether there are any."""
    if isinstance(page.get("artists"), dict):  # a search nests its page
        page = page["artists"]
    lists = [value for value in page.values() if isinstance(value, list) and value]
    items = next((items for items in lists if isinstance(items[0], dict)), None)
    if items is None:
        return False
    chosen = chance % len(items)
    if fault == "short_count":
        if "count" not in page or not items:
            return False
        page["count"] = max(0, page["count"] // 2 - page["offset"] // 2)
        del items[len(items) // 2 :]
    elif fault == "duplicate_ids":
        items.append(items[chosen])
    elif fault == "evil_id":
        items.insert(chosen, items[chosen] | {"id": "../../../evil"})
    else:
        for i, item in enumerate(items):
            if i == chosen or (chance >> i % 60) % 3 == 0:
                field = list(item)[(chance + i) % len(item)]
                if fault == "missing_fields":
                    del item[field]
                else:
                    item[field] = None
    return True


async def send_badly(
    fault: str, request: web.BaseRequest, answer: Answer, chance: int, stall_seconds: float
) -> web.StreamResponse:
    """Sends an answer with one of the faults in `SENT_BADLY`."""
    response = web.StreamResponse(status=answer.status, headers=answer.headers)
    response.content_type = answer.content_type
    if fault == "huge":
        await _send_huge(request, response, answer, announced=chance % 2 == 0)
        return response

    body = answer.encoded()
    half = len(body) // 2
    response.content_length = len(body)
    await response.prepare(request)
    await response.write(body[:half])
    transport = request.transport
    if fault == "stall":
        await asyncio.sleep(stall_seconds)
        await response.write(body[half:])
    elif transport is not None and fault == "short_body":
        transport.close()  # sends what is buffered first
    elif transport is not None:
        # With a linger time of zero, closing the socket sends RST instead of FIN.
        linger = struct.pack("ii", 1, 0)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        transport.abort()
    return response


async def _send_huge(
    request: web.BaseRequest, response: web.StreamResponse, answer: Answer, announced: bool
) -> None:
    """Sends gigabytes that look like the start of a valid body."""
    if announced:
        response.content_length = _HUGE
    # White space is valid before JSON. A picture's first bytes are valid, too.
    start = b"" if isinstance(answer.body, dict) else answer.encoded()
    await response.prepare(request)
    await response.write(start)
    with contextlib.suppress(ConnectionError):  # the client gives up
        for _ in range(_HUGE // _HUGE_CHUNK):
            await response.write(b" " * _HUGE_CHUNK)
            await asyncio.sleep(0.01)
