"""The token that Spotify wants with each request (RFC 6749, 4.4)."""

import asyncio
import base64
import time

from dac.errors import UserError
from data_pipeline.answers import Answer, FetchError, read_json
from data_pipeline.hosts import UnavailableError
from data_pipeline.http import Client

_MAX_BYTES = 1_000_000  # of an answer; real ones have a few hundred


class Token:
    """An app's current token.

    Attributes:
      value: the token, None before the first one.
    """

    def __init__(self, client: Client, url: str, client_id: str, client_secret: str):
        """Prepares to ask for tokens.

        Args:
          client: the HTTP client.
          url: the URL that issues them.
          client_id: the app's id.
          client_secret: the app's secret, sent only to `url`.
        """
        login = base64.b64encode(f"{client_id}:{client_secret}".encode()).decode()
        self._headers = {"Authorization": f"Basic {login}"}
        self._client, self._url = client, url
        self._issued_at = 0.0  # on the monotonic clock
        self._lock = asyncio.Lock()
        self.value: str | None = None

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
            while self.value is None or self.value == expired:
                try:
                    self.value = await self._client.fetch(
                        self._url,
                        _read,
                        max_bytes=_MAX_BYTES,
                        headers=self._headers,
                        data={"grant_type": "client_credentials"},
                    )
                    self._issued_at = time.monotonic()
                except FetchError as error:
                    if not error.retry or time.monotonic() - start > self._client.max_wait:
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
