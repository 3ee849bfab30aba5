"""MusicBrainz as a source: albums by genre, with covers from the Cover Art Archive.

It needs no key. https://musicbrainz.org/doc/MusicBrainz_API asks for at most one request per second
and a User-Agent with a contact.
"""

import re
from typing import Any

from yarl import URL

from data_pipeline.catalog import Album, Artist, Cover, Listing, Page
from data_pipeline.folder import clean_text, normalize_genre, parse_year
from data_pipeline.http import Answer, Client, FetchError, dicts, natural, read_json

PUBLIC_API = "https://musicbrainz.org/ws/2"
PUBLIC_COVERS = "https://coverartarchive.org"
REQUESTS_PER_SECOND = 1.0
PAGE_SIZE = 100  # the service's maximum
MAX_BYTES = 16_000_000  # per response; a page of release groups is about 200 kB

# Sides of the archive's thumbnails in pixels.
COVER_SIZES = (250, 500, 1200)

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class MusicBrainz:
    """Lists MusicBrainz albums: release groups that have a genre's name among their tags.

    Attributes:
      name: the source's name in the catalogue.
      learned: what the source has learned about the service, to be saved; always empty here.
    """

    name = "musicbrainz"

    def __init__(
        self,
        client: Client,
        api: str,
        covers: str,
        size: int,
        since: int | None,
        until: int | None,
    ):
        """Prepares the source.

        Args:
          client: the HTTP client.
          api: the root URL of the web service, without a trailing slash.
          covers: the root URL of the Cover Art Archive, without a trailing slash.
          size: the wanted side of the covers in pixels; the nearest available size is used.
          since: the first release year, None for any.
          until: the last release year, None for any.
        """
        self._client = client
        self._api = api
        self._covers = covers
        self._side = min(COVER_SIZES, key=lambda side: (abs(side - size), -side))
        self._since = since
        self._until = until
        self.learned: dict[str, Any] = {}

    async def all_genres(self) -> list[str]:
        """Returns the normalised names of all MusicBrainz genres."""
        names: dict[str | None, None] = {}
        offset: int | None = 0
        while offset is not None:
            items, total = await self._get("genre/all", offset, "genres", "genre-count")
            known = len(names)
            names |= dict.fromkeys(normalize_genre(item.get("name")) for item in dicts(items))
            offset = _next_page(offset, items, total) if len(names) > known else None
        return [name for name in names if name is not None]

    async def page(self, listing: Listing, genres: frozenset[str]) -> Page:
        """Returns a page of a genre's albums.

        Args:
          listing: the listing of a genre.
          genres: the requested genres; tags of an album that are among them become its genres.
        """
        query = f"tag:{_phrase(listing.key)} AND primarytype:album"
        if self._since is not None or self._until is not None:
            query += f" AND firstreleasedate:[{self._since or '*'} TO {self._until or '*'}]"
        items, total = await self._get(
            "release-group", listing.next, "release-groups", "count", query=query
        )
        groups = dicts(items)
        return Page(
            albums=[album for item in groups if (album := _album(item, listing.key, genres))],
            artists=[artist for item in groups for artist in _artists(item)],
            next=_next_page(listing.next, items, total),
            total=total,
        )

    def cover_url(self, cover: Cover) -> str:
        """Returns the URL of an album's front cover."""
        return f"{self._covers}/release-group/{cover.key}/front-{self._side}"

    async def _get(
        self, path: str, offset: int, items: str, count: str, **query: str
    ) -> tuple[list[Any], int | None]:
        """Returns the items of a page and the total over all pages, None if unknown."""

        async def read(answer: Answer) -> dict[str, Any]:
            value = await read_json(answer)
            if not isinstance(value.get(items), list):
                raise FetchError("malformed_json")
            return value

        url = URL(f"{self._api}/{path}").with_query(
            query | {"limit": PAGE_SIZE, "offset": offset, "fmt": "json"}
        )
        value = await self._client.fetch(str(url), read, max_bytes=MAX_BYTES)
        return value[items], natural(value.get(count))


def _phrase(genre: str) -> str:
    """Returns a name as an escaped, quoted phrase in Lucene query syntax."""
    escaped = genre.replace("\\", r"\\").replace('"', r"\"")
    return f'"{escaped}"'


def _next_page(offset: int, items: list[Any], total: int | None) -> int | None:
    """Returns the next offset; None after an empty page or when the total, if known, is reached."""
    end = offset + min(len(items), PAGE_SIZE)
    return end if items and (total is None or end < total) else None


def _id(item: Any) -> str | None:
    """Returns the id of an item if it is valid, and so safe in a path; else None."""
    value = item.get("id") if isinstance(item, dict) else None
    return value if isinstance(value, str) and _ID.fullmatch(value) else None


def _album(item: dict[str, Any], listed: str, genres: frozenset[str]) -> Album | None:
    """Returns an album, None if it has no valid id or none of the genres."""
    key = _id(item)
    if "tags" in item:  # the search also matches longer tags that contain the phrase
        tags = {normalize_genre(tag.get("name")) for tag in dicts(item["tags"]) if _is_voted(tag)}
        named = sorted(genres & tags)
    else:
        named = [listed]
    if key is None or not named:
        return None
    credit = "".join(
        f"{part.get('name') or ''}{part.get('joinphrase') or ''}"
        for part in dicts(item.get("artist-credit"))
    )
    return Album(
        key=key,
        title=clean_text(item.get("title")),
        artist=clean_text(credit),
        release_year=parse_year(item.get("first-release-date")),
        genres=tuple(named),
        artists=tuple(artist.key for artist in _artists(item)),
    )


def _is_voted(tag: dict[str, Any]) -> bool:
    """Returns whether a tag has more votes for it than against it."""
    count = tag.get("count")
    return not isinstance(count, int) or count > 0


def _artists(item: dict[str, Any]) -> list[Artist]:
    credited = [part.get("artist") for part in dicts(item.get("artist-credit"))]
    return [Artist(key, clean_text(a.get("name"))) for a in credited if (key := _id(a))]
