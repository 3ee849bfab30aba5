"""Spotify as a source: artists by genre, their related artists, and the albums of all of them.

Its terms forbid training models on its content (Developer Policy, III.14). An app's permissions
depend on when it was registered, so page sizes and abilities are probed and saved.
"""

import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

from yarl import URL

from dac.errors import UserError
from data_pipeline.albums import Album, Cover, List, Page
from data_pipeline.answers import Answer, FetchError, dicts, natural, read_json
from data_pipeline.choice import Choice
from data_pipeline.folder import clean_text, normalize_genre, parse_year
from data_pipeline.http import Client
from data_pipeline.spotify_token import Token

PUBLIC_API = "https://api.spotify.com/v1"
ALBUM_PAGE = "https://open.spotify.com/album/{key}"
PUBLIC_TOKEN = "https://accounts.spotify.com/api/token"
# Spotify publishes no limit; this is a cautious choice.
REQUESTS_PER_SECOND = 1.0
TERMS = (
    "Spotify's Developer Policy (III.14) forbids training machine-learning models on its content"
)

# Apps from before 2024-11 get 50 items per page, later ones 10; asking for more gives a 400.
PAGE_SIZES = (50, 10, 5, 1)
LAST_RESULT = 1000  # searches end here, whatever their total
_LAST_ALBUM = 10_000  # no artist has more
MAX_BYTES = 16_000_000  # per response

# Default sides of an album's pictures in pixels, widest first, for responses without sizes.
COVER_SIZES = (640, 300, 64)

_ID = re.compile(r"[0-9A-Za-z]{22}")
_NEW_S = 30.0  # a token that is rejected within this time never worked
_MAX_URL = 2000  # characters


class _RefusedError(FetchError):
    """An error that Spotify answered with, which a retry would not change."""

    def __init__(self, answer: Answer):
        super().__init__(f"http_{answer.status}", retry=False)
        self.status = answer.status
        try:
            message = clean_text(json.loads(answer.body)["error"]["message"])
        except (ValueError, KeyError, TypeError, RecursionError):
            message = None
        self.message = (message or "no message")[:100]


@dataclass(eq=False)
class Spotify:
    """Lists the artists of a genre and the albums of an artist."""

    client: Client
    api: str  # the root URL of the web API, without a trailing slash
    token: Token
    size: int  # of the covers in pixels; the least available that is not smaller is used
    learned: dict[str, Any]  # `page_size` and whether the app has `related_artists`, once known
    name = "spotify"  # in the catalogue

    def __post_init__(self):
        self._without_related = 0
        self._wanted: frozenset[str] = frozenset()

    async def all_genres(self) -> list[str]:
        """Returns an empty list: Spotify no longer has a list of genres."""
        return []

    def lists(self, choice: Choice) -> list[List]:
        """Returns the lists that a choice needs: searches for the artists of its genres."""
        self._wanted = frozenset(choice.genres)
        return [List("genre", name, label=name) for name in choice.genres]

    async def read(self, part: List) -> AsyncIterator[Page]:
        """Yields the pages of a genre's artists, an artist's albums or related artists."""
        has_related = self.learned.get("related_artists", True)
        if part.kind == "related":
            related = await self._related(part.key) if has_related else []
            # Only an artist who has a wanted genre is worth the requests.
            items = [item for item in dicts(related) if self._wanted & {*_genres(item)}]
            yield _artists(items)
            return
        offset: int | None = part.next
        while offset is not None:
            if part.kind == "genre":
                name = part.key.replace('"', " ")  # quotes cannot be escaped
                answer, end = await self._list("search", offset, q=f'genre:"{name}"', type="artist")
                offset = _next(answer, end, LAST_RESULT)
                page = _artists(answer["items"], part.key, has_related)
            else:
                answer, end = await self._list(
                    f"artists/{part.key}/albums", offset, include_groups="album"
                )
                offset = _next(answer, end, _LAST_ALBUM)
                items = [item for item in dicts(answer["items"]) if _id(item)]
                page = Page([self._album(item, part.key) for item in items])
            yield replace(page, next=offset or 0, total=natural(answer.get("total")))

    def cover_urls(self, cover: Cover) -> list[str]:
        """Returns the URL of a cover from the album's listing; none if there was none."""
        return [cover.url] if cover.url else []

    def release_of(self, urls: tuple[str, ...]) -> str | None:
        """Returns None: an album on Spotify is one edition."""
        return None

    async def _related(self, artist: str) -> list[Any]:
        """Returns an artist's related artists, empty if they are not available."""
        try:
            answer = await self._get(f"artists/{artist}/related-artists")
        except _RefusedError as error:
            if error.status not in (403, 404):
                raise
            # 403 means that the app lacks access. A single 404 may only mean that this artist is
            # unknown; a second one means that the app lacks access.
            self._without_related += 1
            if error.status == 403 or self._without_related > 1:
                self.learned.setdefault("related_artists", False)
            return []
        self.learned["related_artists"] = True
        return answer["items"]

    async def _list(self, path: str, offset: int, **query: str) -> tuple[dict[str, Any], int]:
        """Returns a page of a list, as large as the app may request, and the next offset."""
        while True:
            size = self.learned.get("page_size", PAGE_SIZES[0])
            try:
                return await self._get(path, limit=size, offset=offset, **query), offset + size
            except _RefusedError as error:
                smaller = [known for known in PAGE_SIZES if known < size]
                if error.status == 400 and "limit" in error.message.lower() and smaller:
                    self.learned["page_size"] = min(smaller[0], self.learned.get("page_size", size))
                    continue
                if error.status == 403:
                    raise UserError(
                        f"Spotify refused access ({error.message}); since 2026 app owners need "
                        "Premium: check your app's page at developer.spotify.com"
                    ) from error
                raise

    async def _get(self, path: str, **query: str | int) -> dict[str, Any]:
        """Returns a page of the API: an object with a list of `items`.

        Raises:
          FetchError: the request failed.
          UserError: Spotify rejected the app or its token.
        """
        url = str(URL(f"{self.api}/{path}").with_query(query))

        async def read(answer: Answer) -> dict[str, Any]:
            if answer.status >= 400:
                raise _RefusedError(answer)
            value = await read_json(answer)
            page = value.get("artists", value)  # a search has its page in there,
            page = {"items": page} if isinstance(page, list) else page  # related artists a list
            if not isinstance(page, dict) or not isinstance(page.get("items"), list):
                raise FetchError("malformed_json")
            return page

        expired = None
        while True:
            token = await self.token.get(expired)
            headers = {"Authorization": f"Bearer {token}"}
            try:
                return await self.client.fetch(url, read, max_bytes=MAX_BYTES, headers=headers)
            except _RefusedError as error:
                if error.status != 401:
                    raise
                if expired is not None and self.token.age < _NEW_S:
                    raise UserError(
                        f"Spotify rejected the token it just issued ({error.message}); try again "
                        "later"
                    ) from error
                expired = token

    def _album(self, item: dict[str, Any], artist: str) -> Album:
        images = [image for image in dicts(item.get("images")) if _may_be_url(image.get("url"))]
        artists = dicts(item.get("artists"))
        names = [name for artist in artists if (name := clean_text(artist.get("name")))]
        sides = {image["url"]: _side(image, order) for order, image in enumerate(images)}
        fitting = [url for url in sides if sides[url] >= self.size]
        url = min(fitting, key=sides.get, default=max(sides, key=sides.get, default=None))
        return Album(
            key=item["id"],
            title=clean_text(item.get("name")),
            artist=", ".join(names) or None,
            release_year=parse_year(item.get("release_date")),
            artists=tuple({artist, *(key for credit in artists if (key := _id(credit)))}),
            url=url,
            has_cover=url is not None,
        )


def _artists(items: Any, genre: str | None = None, related: bool = False) -> Page:
    """Returns the artists of a page, and their lists of albums and related artists."""
    found = {key: _genres(item) for item in dicts(items) if (key := _id(item))}
    kinds = ("related", "albums") if related else ("albums",)
    return Page(
        artists={
            key: tuple(dict.fromkeys((*genres, genre))) if genre else genres
            for key, genres in found.items()
        },
        lists=[List(kind, key) for key in found for kind in kinds],
    )


def _may_be_url(value: Any) -> bool:
    return isinstance(value, str) and value.isascii() and len(value) <= _MAX_URL


def _side(image: dict[str, Any], order: int) -> int:
    """Returns a picture's longer side in pixels; without sizes, the default for its position."""
    sides = [side for name in ("width", "height") if isinstance(side := image.get(name), int)]
    return max(sides, default=COVER_SIZES[min(order, len(COVER_SIZES) - 1)])


def _genres(item: dict[str, Any]) -> tuple[str, ...]:
    genres = item.get("genres")
    names = map(normalize_genre, genres if isinstance(genres, list) else [])
    return tuple(dict.fromkeys(name for name in names if name is not None))


def _id(item: dict[str, Any]) -> str | None:
    """Returns the id of an item if it is valid, and so safe in a path; else None."""
    value = item.get("id")
    return value if isinstance(value, str) and _ID.fullmatch(value) else None


def _next(answer: dict[str, Any], end: int, last: int) -> int | None:
    """Returns the offset of the next page, None after the last one."""
    total = natural(answer.get("total"))
    # Without a total, `next` shows whether there is more.
    more = answer.get("next", True) is not None if total is None else end < total
    return end if more and answer["items"] and end < last else None
