"""MusicBrainz: the list of genres and the search for release groups and releases.

As in the real search, all matches of a query tie and each replica has an order of its own, so pages
by offset overlap and miss albums.
"""

import datetime
import functools
import itertools
import re
import time
from typing import Any

import numpy as np
from aiohttp import web

from tests.cover_services.answers import Answer
from tests.cover_services.catalogue import Album, Catalogue
from tests.cover_services.ids import make_mbid, stable_hash
from tests.cover_services.options import Options

# What MusicBrainz asks every User-Agent to contain: an email address or a URL.
_CONTACT = re.compile(r"[^\s@]+@[^\s@]+\.\w+|https?://\S|www\.\w")
# Odd numbers whose multiples modulo 2**32 are the orders of the replicas.
_SCATTER = np.array([1, 0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D], np.uint32)
_CLAUSE = re.compile(
    r"""\s*(?P<no>NOT\s+)?(?P<field>\w+):
    (?: "(?P<phrase>(?:[^"\\]|\\.)*)"
      | \[(?P<first>[\d*-]+)[ ]TO[ ](?P<last>[\d*-]+)\]
      | \((?P<words>[^()]*)\)
      | (?P<word>(?:[^\s"\[\]():\\]|\\.)+)
    )\s*(?P<more>AND\s|$)""",
    re.VERBOSE,
)


class MusicBrainz:
    """MusicBrainz's web service."""

    def __init__(self, catalogue: Catalogue, options: Options):
        self._catalogue, self._options = catalogue, options
        self._allowance, self._allowance_time = float("inf"), 0.0
        self._find = functools.lru_cache(64)(self._search)  # each page repeats the query
        self._searches = itertools.count()

    async def answer(self, request: web.BaseRequest) -> Answer:
        """Answers /ws/2/genre/all, /ws/2/release-group?query=... and /ws/2/release?query=..."""
        if not self._within_rate():
            error = {"error": "Your requests are exceeding the allowable rate limit."}
            return Answer(503, error, {"Retry-After": "1"})
        if not _CONTACT.search(request.headers.get("User-Agent", "")):
            error = {"error": "Your User-Agent must name the application and a contact."}
            return Answer(403, error)
        query = request.query
        try:
            limit, offset = int(query.get("limit", 25)), int(query.get("offset", 0))
        except ValueError:
            return Answer(400, {"error": "limit and offset must be integers"})
        limit, offset = min(max(limit, 1), 100), max(offset, 0)
        resource = request.path.removeprefix("/ws/2/")
        if request.method != "GET" or resource not in ("genre/all", "release-group", "release"):
            return Answer(404, {"error": "Not Found"})
        if query.get("fmt") != "json":
            return Answer(406, {"error": "only fmt=json is spoken here"})
        if resource == "genre/all":
            return self._genres(limit, offset)
        return self._searched(resource, query.get("query", ""), limit, offset)

    def _within_rate(self) -> bool:
        rate = self._options.musicbrainz_rate
        if rate is None:
            return True
        now = time.monotonic()
        # A bucket of slightly more than one second's requests tolerates the jitter of a network.
        earned = rate * (now - self._allowance_time)
        self._allowance = min(self._allowance + earned, max(1.0, rate) + 0.2)
        self._allowance_time = now
        if self._allowance < 1:
            return False
        self._allowance -= 1
        return True

    def _genres(self, limit: int, offset: int) -> Answer:
        names = sorted(self._catalogue.genres)
        genres = [
            {"id": make_mbid("genre", i), "name": names[i], "disambiguation": ""}
            for i in range(offset, min(offset + limit, len(names)))
        ]
        counts = {"genre-count": len(names), "genre-offset": offset}
        return Answer(200, counts | {"genres": genres})

    def _searched(self, resource: str, query: str, limit: int, offset: int) -> Answer:
        albums = self._find(query)
        if albums is None:
            return Answer(400, {"error": "The query could not be parsed."})
        replica = stable_hash("replica", next(self._searches)) % self._options.replicas
        order = np.argsort(albums.astype(np.uint32) * _SCATTER[replica], kind="stable")
        page = [self._catalogue.album(n) for n in albums[order[offset : offset + limit]].tolist()]
        describe = _release_group if resource == "release-group" else _release
        created = datetime.datetime.now(datetime.UTC).isoformat()
        counts = {"created": created, "count": len(albums), "offset": offset}
        return Answer(200, counts | {f"{resource}s": [describe(album) for album in page]})

    def _search(self, query: str) -> np.ndarray | None:
        """Returns the numbers of the albums that match a query; None if it cannot be parsed."""
        found, position, more = np.arange(len(self._catalogue), dtype=np.int32), 0, True
        while more:
            clause = _CLAUSE.match(query, position)
            if clause is None:
                return None
            position, more = clause.end(), bool(clause["more"])
            value = re.sub(r"\\(.)", r"\1", clause["phrase"] or clause["word"] or "").lower()
            match clause["field"]:
                case "tag":
                    matching = self._tagged(value)
                case "primarytype":
                    matching = found if value == "album" else found[:0]
                case "firstreleasedate" | "date" if clause["first"]:
                    matching = self._catalogue.released(found, clause["first"], clause["last"])
                case "arid":
                    artist = self._catalogue.find_artist(value)
                    matching = [] if artist is None else self._catalogue.albums_of_artist(artist)
                case "rgid" if clause["words"]:
                    numbers = map(self._catalogue.find_album, clause["words"].split(" OR "))
                    matching = sorted(number for number in numbers if number is not None)
                case "artist" | "label" | "country" as field:
                    matching = [a.number for a in self._catalogue if value in _texts(a, field)]
                case _:
                    return None
            found = found[np.isin(found, matching, assume_unique=True, invert=bool(clause["no"]))]
        return found

    def _tagged(self, tag: str) -> np.ndarray:
        if not self._options.partial_tags:
            return self._catalogue.albums_of_genre(tag)
        part = re.compile(rf"(?<!\w){re.escape(tag)}(?!\w)")
        genres = [genre for genre in self._catalogue.genres if part.search(genre)]
        found = [self._catalogue.albums_of_genre(genre) for genre in genres]
        return np.unique(np.concatenate([np.empty(0, np.int32), *found]))


def _texts(album: Album, field: str) -> list[str]:
    """Returns the values of a field in lower case."""
    names = [artist.name.lower() for artist in album.artists]
    return names if field == "artist" else [getattr(album, field).lower()]


def _release(album: Album) -> dict[str, Any]:
    """Returns the only release of an album."""
    return {
        "id": make_mbid("release", album.number),
        "title": album.title,
        "country": album.country,
        "label-info": [{"label": {"name": album.label}}],
        "release-group": {"id": album.mbid, "title": album.title, "primary-type": "Album"},
    }


def _release_group(album: Album) -> dict[str, Any]:
    last = len(album.artists) - 1
    group = {
        "id": album.mbid,
        "title": album.title,
        "primary-type": "Album",
        "secondary-types": list(album.types),
        "artist-credit": [
            {"name": artist.name, "artist": {"id": artist.mbid, "name": artist.name}}
            | ({"joinphrase": album.joinphrase} if i < last else {})
            for i, artist in enumerate(album.artists)
        ],
        "tags": [{"count": 1 + i, "name": genre} for i, genre in enumerate(album.genres)],
    }
    # An unknown date is an empty string for some albums and missing for others.
    if album.release_date or album.number % 2:
        group["first-release-date"] = album.release_date or ""
    return group
