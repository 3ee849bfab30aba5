"""Spotify: tokens, the Web API and the pictures."""

import base64
import dataclasses
import itertools
import math
import re
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, urlencode

import numpy as np
from aiohttp import web

from tests.cover_services.answers import Answer, cover_answer, plain_answer
from tests.cover_services.catalogue import Catalogue
from tests.cover_services.ids import stable_hash
from tests.cover_services.options import Options

_IMAGE = re.compile(r"/image/([0-9a-f]{16})([0-9a-f]{24})")
_IMAGE_SIZES = {640: "ab67616d0000b273", 300: "ab67616d00001e02", 64: "ab67616d00004851"}
_SIZE_OF_IMAGE = {prefix: size for size, prefix in _IMAGE_SIZES.items()}


@dataclasses.dataclass
class Token:
    """What is left of a token's life: it expires at a time or after a number of requests."""

    expires: float  # on the clock of `time.monotonic`
    requests_left: float


class Spotify:
    """Spotify.

    Args:
        catalogue: the albums and artists.
        options: how Spotify behaves.
        urls: the root URL of each service, known once all are started.

    Attributes:
        client_id: the id of the app.
        client_secret: the secret of the app.
        tokens: all tokens issued so far, the expired ones included.
        requests: the number of requests that count towards the quota.
    """

    client_id = "5ca1ab1e0ddba11c0ffee0decafbad00"
    client_secret = "0ff1ce00c0ffee00deadbeef0badcafe"

    def __init__(self, catalogue: Catalogue, options: Options, urls: Mapping[str, str]):
        self._catalogue, self._options, self._urls = catalogue, options, urls
        self.tokens: dict[str, Token] = {}
        self.requests = 0
        self._issued = itertools.count()

    def expire_tokens(self) -> None:
        """Expires all tokens issued so far."""
        for token in list(self.tokens):
            self.tokens[token] = Token(0.0, 0)

    async def token(self, request: web.BaseRequest) -> Answer:
        """Answers /api/token."""
        if request.method != "POST" or request.path != "/api/token":
            return Answer(404, {"error": "not_found"})
        form = parse_qs(await request.text())
        known = base64.b64encode(f"{self.client_id}:{self.client_secret}".encode()).decode()
        if request.headers.get("Authorization") != f"Basic {known}":
            return Answer(400, {"error": "invalid_client", "error_description": "Invalid client"})
        if form.get("grant_type") != ["client_credentials"]:
            return Answer(400, {"error": "unsupported_grant_type"})
        token = f"BQ{stable_hash('token', next(self._issued)):016x}"
        seconds, requests = self._options.token_seconds, self._options.token_requests
        left = math.inf if requests is None else requests
        self.tokens[token] = Token(time.monotonic() + seconds, left)
        return Answer(
            200, {"access_token": token, "token_type": "Bearer", "expires_in": int(seconds)}
        )

    async def api(self, request: web.BaseRequest) -> Answer:
        """Answers /v1/search and /v1/artists/..."""
        if refusal := self._refuse(request.headers.get("Authorization", "")):
            return refusal
        match request.path.split("/")[1:]:
            case ["v1", "search"]:
                return self._search(request)
            case ["v1", "artists", artist_id, *rest]:
                artist = self._catalogue.find_artist(artist_id)
                if artist is None:
                    return _error(404, "Resource not found")
                if rest == []:
                    return Answer(200, self._artist(artist))
                if rest == ["albums"]:
                    albums = self._catalogue.albums_of_artist(artist)
                    page = self._page(request, albums, self._album)
                    return page if isinstance(page, Answer) else Answer(200, page)
                if rest == ["related-artists"]:
                    return self._related(artist)
        return _error(404, "Service not found")

    async def image(self, request: web.BaseRequest) -> Answer:
        """Answers /image/..., the pictures that albums link to."""
        match = _IMAGE.fullmatch(request.raw_path)
        if match is None:
            return plain_answer(404, "Not Found\n")
        return cover_answer(self._catalogue, int(match[2], 16), _SIZE_OF_IMAGE.get(match[1]))

    def _refuse(self, authorization: str) -> Answer | None:
        """Returns an error if the token is bad or the app may not make this request."""
        scheme, _, name = authorization.partition(" ")
        if scheme != "Bearer":
            return _error(401, "No token provided")
        token = self.tokens.get(name)
        if token is None:
            return _error(401, "Invalid access token")
        token.requests_left -= 1
        if token.expires <= time.monotonic() or token.requests_left < 0:
            return _error(401, "The access token expired")
        if not self._options.premium:
            return _error(403, "Active premium subscription required for the owner of the app.")
        self.requests += 1
        if self._options.quota is not None and self.requests > self._options.quota:
            refusal = _error(429, "API rate limit exceeded", reason="QUOTA_EXCEEDED")
            refusal.headers = {"Retry-After": "86400"}
            return refusal
        return None

    def _search(self, request: web.BaseRequest) -> Answer:
        if request.query.get("type") != "artist":
            return _error(400, "only type=artist is known here")
        match = re.fullmatch(r'genre:(?:"(.*)"|(\S+))', request.query.get("q", "").strip())
        genre = re.sub(r"\\(.)", r"\1", match[1] or match[2]) if match else ""
        artists = self._catalogue.artists_of_genre(genre.lower())[: self._options.search_finds]
        page = self._page(request, artists, self._artist, last=1000)
        return page if isinstance(page, Answer) else Answer(200, {"artists": page})

    def _related(self, artist: int) -> Answer:
        if self._options.new_app:
            return _error(self._options.related_status, "Not found.")
        genre = self._catalogue.artist(artist).genres[0]
        others = self._catalogue.artists_of_genre(genre)
        place = int(np.searchsorted(others, artist))
        related = np.roll(others, -place)[1:21].tolist()
        return Answer(200, {"artists": [self._artist(other) for other in related]})

    def _page(
        self,
        request: web.BaseRequest,
        numbers: np.ndarray,
        item: Callable[[int], dict[str, Any]],
        last: int | None = None,
    ) -> dict[str, Any] | Answer:
        """Returns the page that a request asks for, or an error.

        Args:
            request: a request, whose query may have a limit and an offset.
            numbers: the numbers of all items.
            item: makes an item from its number.
            last: the offset at which the last page ends, at the latest; None for no limit.
        """
        new = self._options.new_app
        try:
            limit = int(request.query.get("limit", 5 if new else 20))
            offset = int(request.query.get("offset", 0))
        except ValueError:
            return _error(400, "Invalid limit")
        if not 1 <= limit <= (10 if new else 50):
            return _error(400, "Invalid limit")
        if offset < 0 or (last is not None and offset + limit > last):
            return _error(400, "Invalid offset")
        end = offset + limit
        root = f"{self._urls['spotify']}{request.path}"
        there_is_more = end < len(numbers) and (last is None or end + limit <= last)
        following = urlencode(dict(request.query) | {"limit": limit, "offset": end})
        return {
            "href": f"{root}?{request.query_string}",
            "items": [item(number) for number in numbers[offset:end].tolist()],
            "limit": limit,
            "offset": offset,
            "next": f"{root}?{following}" if there_is_more else None,
            "previous": None,
            "total": len(numbers),
        }

    def _artist(self, number: int) -> dict[str, Any]:
        artist = self._catalogue.artist(number)
        about: dict[str, Any] = {"id": artist.spotify_id, "name": artist.name, "type": "artist"}
        with_genres = self._options.artist_genres
        if with_genres if with_genres is not None else not self._options.new_app:
            about["genres"] = list(artist.genres)
        return about

    def _album(self, number: int) -> dict[str, Any]:
        album = self._catalogue.album(number)
        images = [
            {
                "url": f"{self._urls['spotify_images']}/image/{prefix}{number:024x}",
                # Every tenth album has no sizes. The widest image comes first all the same.
                "height": size if number % 10 else None,
                "width": size if number % 10 else None,
            }
            for size, prefix in _IMAGE_SIZES.items()
        ]
        date = album.release_date or "0000"  # Spotify's value for an unknown date
        return {
            "id": album.spotify_id,
            "name": album.title,
            "album_type": "album",
            "release_date": date,
            "release_date_precision": ("year", "month", "day")[date.count("-")],
            "images": images if album.has_cover else [],
            "artists": [{"id": artist.spotify_id, "name": artist.name} for artist in album.artists],
        }


def _error(status: int, message: str, **more: str) -> Answer:
    return Answer(status, {"error": {"status": status, "message": message, **more}})
