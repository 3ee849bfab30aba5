"""MusicBrainz's description of an album, a release group: the same in its answers and its dumps."""

import re
from typing import Any

from data_pipeline.albums import Album
from data_pipeline.answers import dicts
from data_pipeline.folder import clean_text, normalize_genre, parse_year

MBID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def parse_album(
    item: dict[str, Any],
    genres: frozenset[str],
    lists: tuple[str, ...] = (),
    listed: str | None = None,
) -> Album | None:
    """Returns the album that a release group describes, None if it has no valid id.

    Args:
      item: the release group, of the web service or of a dump.
      genres: the names of all genres.
      lists: the labels of the lists that the album is on.
      listed: the genre that was searched for, for albums that come without tags.
    """
    key = mbid(item)
    if key is None:
        return None
    tags = {normalize_genre(tag.get("name")) for tag in dicts(item.get("tags")) if _is_voted(tag)}
    if "tags" not in item and listed is not None:
        tags.add(listed)
    types = item.get("secondary-types")
    credit = "".join(
        f"{part.get('name') or ''}{part.get('joinphrase') or ''}"
        for part in dicts(item.get("artist-credit"))
    )
    return Album(
        key=key,
        title=clean_text(item.get("title")),
        artist=clean_text(credit),
        release_year=parse_year(item.get("first-release-date")),
        genres=tuple(sorted(genres & tags)),
        types=tuple(
            sorted({name for value in types if (name := normalize_genre(value))})
            if isinstance(types, list)
            else ()
        ),
        lists=lists,
    )


def mbid(item: Any) -> str | None:
    """Returns the id of an item if it is valid, and so safe in a path; else None."""
    value = item.get("id") if isinstance(item, dict) else None
    return value if isinstance(value, str) and MBID.fullmatch(value) else None


def _is_voted(tag: dict[str, Any]) -> bool:
    """Returns whether a tag has more votes for it than against it."""
    count = tag.get("count")
    return not isinstance(count, int) or count > 0
