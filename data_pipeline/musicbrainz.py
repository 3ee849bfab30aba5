"""MusicBrainz as a source: albums by genre, artist, label or country; covers of their archive.

It needs no key. https://musicbrainz.org/doc/MusicBrainz_API asks for at most one request per second
and a User-Agent with a contact.

The search is not made for paging: all matches of a tag tie, each of its servers has an order of its
own, and pages by offset overlap and miss albums (MBS-12154). So a list is split by year of release
until one page holds a part; what is still longer is read again and again.
"""

import datetime
import itertools
import re
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field
from typing import Any

from yarl import URL

from dac.covers.conditions import MIN_YEAR
from data_pipeline.albums import ALL_YEARS, UNDATED, Album, Cover, List, Page
from data_pipeline.answers import Answer, FetchError, dicts, natural, read_json
from data_pipeline.choice import Choice, list_label
from data_pipeline.folder import normalize_genre
from data_pipeline.http import Client
from data_pipeline.release_groups import MBID, mbid, parse_album

PUBLIC_API = "https://musicbrainz.org/ws/2"
PUBLIC_COVERS = "https://coverartarchive.org"
ALBUM_PAGE = "https://musicbrainz.org/release-group/{key}"
REQUESTS_PER_SECOND = 1.0
PAGE_SIZE = 100  # the service's maximum
MAX_BYTES = 16_000_000  # per response; a page of release groups is about 200 kB

# Sides of the archive's thumbnails in pixels. Small originals have no thumbnail of 1200.
COVER_SIZES = (250, 500, 1200)

# A list of all years is split at these, and a part of it into single years.
_SPLITS = (1, 1920, 1940, 1950, 1960, 1970, 1980, 1990, 2000, 2010, 2020, 10_000)
# A part that is longer than a page is read until this many times in a row bring nothing new.
_QUIET_TURNS = 3

# Where a part is given up: no genre has that many albums of a year.
_LAST_OFFSET = 100_000

# Where the archive redirects to: item and file of a release's picture.
_ITEM = re.compile(r"/download/mbid-([0-9a-f-]{36})/")

# For each kind of list: the flag, and the search fields of an id and of a name. Only the search for
# releases knows labels and countries.
_FIELDS = {
    "genre": ("genres", "tag", "tag"),
    "artist": ("artists", "arid", "artist"),
    "label": ("labels", "laid", "label"),
    "country": ("countries", "country", "country"),
}


@dataclass(eq=False)
class MusicBrainz:
    """Lists MusicBrainz albums: release groups of the primary type "album"."""

    client: Client
    api: str  # the root URL of the web service, without a trailing slash
    covers: str  # that of the Cover Art Archive
    size: int  # of the covers in pixels; the least available that is not smaller is used
    genres: Collection[str] = ()  # the names of all genres: an album's other tags are dropped
    # The artists whose albums a dump has listed, with those of all genres; None without a dump.
    # They are not searched for.
    listed: Collection[str] | None = None
    learned: dict[str, Any] = field(default_factory=dict)  # nothing here; see Spotify
    name = "musicbrainz"  # in the catalogue

    def __post_init__(self):
        self._limited = False
        self._side = min((s for s in COVER_SIZES if s >= self.size), default=COVER_SIZES[-1])
        self._totals: dict[str, int] = {}

    async def all_genres(self) -> list[str]:
        """Returns the normalised names of all MusicBrainz genres."""
        names: dict[str | None, None] = {}
        for offset in itertools.count(0, PAGE_SIZE):
            items, total = await self._get("genre/all", offset, "genres", "genre-count")
            known = len(names)
            names |= dict.fromkeys(normalize_genre(item.get("name")) for item in dicts(items))
            if len(names) == known or (total is not None and offset + PAGE_SIZE >= total):
                return [name for name in names if name is not None]
        raise AssertionError

    def lists(self, choice: Choice) -> list[List]:
        """Returns the lists that a choice needs."""
        self._limited = bool(choice.since or choice.until)
        lists = [
            List(kind, key, label=key if kind == "genre" else list_label(flag, key))
            for kind, (flag, _, _) in _FIELDS.items()
            for key in getattr(choice, flag)
        ]
        if self.listed is None:
            return lists
        known = {("artist", key) for key in self.listed}
        return [one for one in lists if one.kind != "genre" and (one.kind, one.key) not in known]

    async def read(self, part: List) -> AsyncIterator[Page]:
        """Yields the pages of a list or a part of it; the last page has `found`."""
        seen: set[str] = set()
        total = quiet = 0
        whole = (part.first, part.last) == ALL_YEARS
        for turn in itertools.count():
            known = len(seen)
            for offset in itertools.count(0, PAGE_SIZE):
                ids, albums, count = await self._page(part, offset)
                total = max(total, count)
                seen |= ids
                pieces = _split(part) if total > PAGE_SIZE else ()
                yield Page(albums, lists=pieces, total=total)
                if pieces:
                    return
                if offset + PAGE_SIZE >= min(total, _LAST_OFFSET):
                    break
            # A search that ran out of its time counts too few. The count of a part is checked
            # against that of the list. A list without parts is asked twice, and so is every part
            # if only some years are read, as the count of the list says nothing then.
            if len(seen) >= total and (turn or not (whole or self._limited)):
                break
            quiet = 0 if len(seen) > known else quiet + 1
            if quiet >= _QUIET_TURNS:
                break
        yield Page(total=total, found=len(seen))

    async def _page(self, part: List, offset: int) -> tuple[set[str], list[Album], int]:
        """Returns the ids of a page, its albums, and the number of all matches."""
        flag, id_field, name_field = _FIELDS[part.kind]
        is_id = part.kind != "country" and MBID.fullmatch(part.key)
        clause = f"{id_field}:{part.key}" if is_id else f"{name_field}:{_phrase(part.key)}"
        of_releases = part.kind in ("label", "country")
        field = "date" if of_releases else "firstreleasedate"
        query = f"{clause} AND primarytype:album{_dates(part, field)}"
        resource = "release" if of_releases else "release-group"
        least = self._totals.get(query, 0)
        found, count = await self._get(
            resource, offset, f"{resource}s", "count", least, query=query
        )
        items, total = dicts(found), count or 0
        self._totals[query] = total
        ids = {key for item in items if (key := mbid(item))}
        if part.kind in ("artist", "label") and not is_id:  # the search also finds longer names
            items = [item for item in items if normalize_genre(part.key) in _names(item)]
        if of_releases:
            groups = {key for item in items if (key := mbid(item.get("release-group")))}
            items = await self._groups(groups)
        lists = () if part.kind == "genre" else (list_label(flag, part.key),)
        listed = part.key if part.kind == "genre" else None
        albums = [parse_album(item, frozenset(self.genres), lists, listed) for item in items]
        return ids, [album for album in albums if album is not None], total

    async def _groups(self, keys: set[str]) -> list[dict[str, Any]]:
        """Returns release groups by id. One that is not found, however often, has been merged."""
        found: dict[str, dict[str, Any]] = {}
        quiet = 0
        while (missing := sorted(keys - {*found})) and quiet < _QUIET_TURNS:
            query = f"rgid:({' OR '.join(missing)})"
            items, _ = await self._get("release-group", 0, "release-groups", "count", query=query)
            new = {key: item for item in dicts(items) if (key := mbid(item)) in missing}
            quiet = 0 if new else quiet + 1
            found |= new
        return [*found.values()]

    async def _get(
        self, path: str, offset: int, items: str, count: str, least: int = 0, **query: str
    ) -> tuple[list[Any], int | None]:
        """Returns the items of a page and the total over all pages, None if unknown.

        Args:
          path: the path below the API's root.
          offset: the offset of the page.
          items: the name of the list of items.
          count: the name of the total.
          least: an earlier total: if there are fewer, the search ran out of its time.
          **query: further query parameters.
        """

        async def read(answer: Answer) -> dict[str, Any]:
            value = await read_json(answer)
            if not isinstance(value.get(items), list):
                raise FetchError("malformed_json")
            # Albums may lack a field, but a genre that lost its name would be refused.
            if items == "genres" and not all(
                normalize_genre(g.get("name")) for g in dicts(value[items])
            ):
                raise FetchError("malformed_json")
            total = natural(value.get(count)) or 0
            if total < least or (not value[items] and offset < total):
                raise FetchError("short_answer")
            return value

        url = URL(f"{self.api}/{path}").with_query(
            query | {"limit": PAGE_SIZE, "offset": offset, "fmt": "json"}
        )
        try:
            value = await self.client.fetch(str(url), read, max_bytes=MAX_BYTES)
        except FetchError as error:
            if error.reason == "short_answer":  # the earlier total may be wrong
                self._totals.clear()
            raise
        return value[items][:PAGE_SIZE], natural(value.get(count))

    def cover_urls(self, cover: Cover) -> list[str]:
        """Returns the URLs of an album's front cover, the best first."""
        sides = [self._side] if self._side <= 500 else [self._side, 500]
        return [f"{self.covers}/release-group/{cover.key}/front-{side}" for side in sides]

    def release_of(self, urls: tuple[str, ...]) -> str | None:
        """Returns the id of the release that a cover is of, from the URLs that led to it."""
        found = [match[1] for url in urls[1:] if (match := _ITEM.search(url))]
        return found[0] if found and MBID.fullmatch(found[0]) else None


def _split(part: List) -> tuple[List, ...]:
    """Returns the parts of a list: its decades and unknown years, or single years; or none."""
    first, last = part.first, part.last
    if (first, last) == ALL_YEARS:
        ranges = [UNDATED, *((a, b - 1) for a, b in itertools.pairwise(_SPLITS))]
    elif first == last:
        return ()
    else:
        # The first and the last range reach as far as the part does.
        low, high = max(first, MIN_YEAR), min(last, datetime.date.today().year)
        years = range(low, max(low, high) + 1)
        ranges = [
            (first if year == years[0] else year, last if year == years[-1] else year)
            for year in years
        ]
        if len(ranges) == 1:
            return ()
    return tuple(List(part.kind, part.key, *span, part.label) for span in ranges)


def _dates(part: List, field: str) -> str:
    """Returns the clause of a query that selects the years of a part."""
    if (part.first, part.last) == ALL_YEARS:
        return ""
    if (part.first, part.last) == UNDATED:
        return f" AND NOT {field}:[* TO *]"
    first = "*" if part.first == _SPLITS[0] else f"{part.first:04d}"
    last = "*" if part.last == _SPLITS[-1] - 1 else f"{part.last:04d}"
    return f" AND {field}:[{first} TO {last}]"


def _phrase(name: str) -> str:
    """Returns a name as an escaped, quoted phrase in Lucene query syntax."""
    escaped = name.replace("\\", r"\\").replace('"', r"\"")
    return f'"{escaped}"'


def _names(item: dict[str, Any]) -> set[str | None]:
    """Returns the normalised names of an album's artists or of a release's labels."""
    credits = [(part, part.get("artist")) for part in dicts(item.get("artist-credit"))]
    labels = [(part.get("label"),) for part in dicts(item.get("label-info"))]
    found = [named for group in (labels or credits) for named in group]
    return {normalize_genre(named.get("name")) for named in dicts(found)}
