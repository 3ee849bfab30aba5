"""The token that Spotify wants with each request (RFC 6749, 4.4)."""

import asyncio
import base64
import time
from dataclasses import dataclass, field

from dac.errors import UserError
from data_pipeline.answers import Answer, FetchError, read_json
from data_pipeline.hosts import UnavailableError
from data_pipeline.http import Client

_MAX_BYTES = 1_000_000  # of an answer; real ones have a few hundred


@dataclass(eq=False)
class Token:
    """An app's current token."""

    client: Client
    url: str  # that issues tokens
    client_id: str  # the app's
    client_secret: str = field(repr=False)  # sent only to `url`
    value: str | None = field(default=None, repr=False)

    def __post_init__(self):
        self._issued_at = 0.0  # on the monotonic clock
        self._lock = asyncio.Lock()

    @property
    def age(self) -> float:
        """Seconds since the token was issued."""
        return time.monotonic() - self._issued_at

    async def get(self, expired: str | None = None) -> str:
        """Returns the token, a new one if the current one is `expired`.

        Raises:
          UserError: Spotify has no such app.
          UnavailableError: no token was issued for `max_wait` seconds.
        """
        async with self._lock:
            start = time.monotonic()
            login = base64.b64encode(f"{self.client_id}:{self.client_secret}".encode()).decode()
            while self.value is None or self.value == expired:
                try:
                    self.value = await self.client.fetch(
                        self.url,
                        _read,
                        max_bytes=_MAX_BYTES,
                        headers={"Authorization": f"Basic {login}"},
                        data={"grant_type": "client_credentials"},
                    )
                    self._issued_at = time.monotonic()
                except FetchError as error:
                    if not error.retry or time.monotonic() - start > self.client.max_wait:
                        raise UnavailableError("Spotify", 0, "issued no token") from error
            return self.value


async def _read(answer: Answer) -> str:
    if answer.status in (400, 401) and b"_client" in answer.body:  # RFC 6749, 5.2
        raise UserError(
            "Spotify has no app with this SPOTIPY_CLIENT_ID and SPOTIPY_CLIENT_SECRET; copy both "
            "from developer.spotify.com/dashboard"
        )
    token = (await read_json(answer)).get("access_token")
    if not isinstance(token, str) or not token.isascii() or not token.isprintable():
        raise FetchError("malformed_json")
    return token
