"""What a service answers before any fault is applied."""

import dataclasses
import json
from typing import Any

from tests.cover_services.catalogue import Catalogue


@dataclasses.dataclass
class Answer:
    """An HTTP answer. A dict as the body is sent as JSON."""

    status: int
    body: bytes | dict[str, Any]
    headers: dict[str, str] = dataclasses.field(default_factory=dict)
    content_type: str = "application/json"
    # Only of covers. The faults draw the same cover as another kind of file.
    cover_number: int = 0
    cover_pixels: int = 0

    def encoded(self) -> bytes:
        """Returns the body as bytes."""
        if isinstance(self.body, bytes):
            return self.body
        return json.dumps(self.body, ensure_ascii=False).encode()


def plain_answer(status: int, text: str, **headers: str) -> Answer:
    """Returns an answer of plain text."""
    return Answer(status, text.encode(), headers, "text/plain")


def cover_answer(catalogue: Catalogue, number: int | None, size: int | None) -> Answer:
    """Returns an album's cover, or 404 if there is no such album, cover or size."""
    known = number is not None and number < len(catalogue) and catalogue.has_cover[number]
    if not known or not size:
        return plain_answer(404, "Not Found\n")
    jpeg = catalogue.cover_jpeg(number, size)
    pixels = min(size, catalogue.cover_pixels or size)
    return Answer(200, jpeg, {}, "image/jpeg", catalogue.cover_number(number), pixels)
