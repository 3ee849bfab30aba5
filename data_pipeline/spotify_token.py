"""The token that Spotify wants with each request, by spotipy."""

import asyncio
import logging
import time

import requests
from spotipy.cache_handler import MemoryCacheHandler
from spotipy.oauth2 import SpotifyClientCredentials, SpotifyOauthError

from dac.errors import UserError
from data_pipeline.hosts import UnavailableError, backoff

_TIMEOUT_S = 30.0
_NO_APP = ("invalid_client", "invalid_grant", "unauthorized_client")

# At level DEBUG it logs the header with the secret.
logging.getLogger("spotipy").setLevel(logging.WARNING)


class Token:
    """An app's current token.

    Args:
      url: the URL that issues tokens.
      client_id: of the app.
      client_secret: of the app; sent only to `url`.
      max_wait: how long to try, in seconds.
    """

    def __init__(self, url: str, client_id: str, client_secret: str, max_wait: float):
        self._app = SpotifyClientCredentials(
            client_id,
            client_secret,
            requests_timeout=_TIMEOUT_S,
            cache_handler=MemoryCacheHandler(),
        )
        self._app.OAUTH_TOKEN_URL = url
        self._max_wait = max_wait
        self._value: str | None = None
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
            start, tries = time.monotonic(), 0
            while self._value is None or self._value == expired:
                try:
                    # The cache trusts the local clock; only the API knows if a token expired.
                    self._value = await asyncio.to_thread(
                        self._app.get_access_token, as_dict=False, check_cache=False
                    )
                    self._issued_at = time.monotonic()
                    break
                except SpotifyOauthError as error:
                    if error.error in _NO_APP:
                        raise UserError(
                            "Spotify has no app with this SPOTIPY_CLIENT_ID and "
                            "SPOTIPY_CLIENT_SECRET; copy both from developer.spotify.com/dashboard"
                        ) from None
                except (requests.RequestException, KeyError, TypeError, ValueError):
                    pass
                # Error messages are not shown, as they may contain the secret.
                if time.monotonic() - start > self._max_wait:
                    raise UnavailableError("Spotify", 0, "issued no token") from None
                tries += 1
                await asyncio.sleep(backoff(tries))
            return self._value
