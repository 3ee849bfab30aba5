"""Which of the known albums are wanted: a query over the catalogue that can be run again, offline.

What is listed and what is fetched stays known whatever is chosen, so a choice can be widened and
narrowed at will.
"""

import json
import time
from collections import Counter
from dataclasses import dataclass

from data_pipeline.albums import ALL_YEARS
from data_pipeline.catalog import READY, Catalog

STUDIO = "studio"  # among the types: an album without a secondary type
OTHER_LISTS = ("artists", "labels", "countries")


@dataclass(frozen=True)
class Choice:
    """What is wanted."""

    genres: tuple[str, ...] = ()  # normalised names
    artists: tuple[str, ...] = ()  # names, or ids at the source
    labels: tuple[str, ...] = ()  # names, or ids at the source
    countries: tuple[str, ...] = ()  # ISO 3166-1 codes
    # Years of release, 0 for any; with one of them, albums of unknown year are left out.
    since: int = 0
    until: int = 0
    types: tuple[str, ...] = ()  # that an album may have, and `STUDIO`; empty for all
    # How many covers to choose for each genre (and artist, label, country); 0 for all. An album
    # with several genres counts for each, so frequent genres can end up with more.
    per_genre: int = 0
    limit: int = 0  # how many covers to choose in all, as evenly as possible; 0 for all
    doubles: bool = True  # whether to choose covers that are nearly the same as another one

    @property
    def wanted(self) -> list[str]:
        """The labels of all wanted lists."""
        others = [
            list_label(kind, key) for kind in OTHER_LISTS for key in sorted(getattr(self, kind))
        ]
        return [*self.genres, *others]

    @property
    def years(self) -> tuple[int, int]:
        """The first and the last wanted year; a first year of 0 includes albums of unknown year."""
        unlimited = not self.since and not self.until
        return (0 if unlimited else self.since or 1), self.until or ALL_YEARS[1]


def list_label(kind: str, key: str) -> str:
    """Returns the label of a list that is no genre: no genre begins like that."""
    return f"={kind}={key}"


# Failed covers are left to the next run, unless their next try is due. Keys are random, so their
# order is a fair draw; covers that are stored come first, so that a choice hardly changes.
_WANTED = f"""
  SELECT id, key, label, state <> 'done' AS missing, cluster
  FROM labels JOIN albums ON albums.id = labels.album
  WHERE id > :after AND label IN (SELECT value FROM json_each(:labels))
    AND (state = 'done' OR {READY})
    AND coalesce(release_year, 0) BETWEEN :first AND :last
    AND (:types = '[]' OR NOT EXISTS (
      SELECT value FROM json_each(iif(albums.types = '[]', '["studio"]', albums.types))
      EXCEPT SELECT value FROM json_each(:types)))
"""
# Of nearly identical covers, the first of those that are wanted: the first of all may not be.
_WITHOUT_DOUBLES = f"""
  WITH wanted AS ({_WANTED})
  SELECT * FROM wanted WHERE cluster IS NULL OR id IN (SELECT id FROM (
    SELECT id, row_number() OVER (PARTITION BY cluster ORDER BY missing, id) AS place
    FROM wanted WHERE cluster IS NOT NULL) WHERE place = 1)
"""
_CHOSEN = """
  SELECT id FROM (
    SELECT id, key, row_number() OVER (PARTITION BY label ORDER BY missing, key) AS place
    FROM ({wanted})
  ) WHERE place <= :per_genre GROUP BY id ORDER BY min(place), key LIMIT :limit
"""


def _wanted(choice: Choice) -> str:
    return _WANTED if choice.doubles else _WITHOUT_DOUBLES


def _values(choice: Choice) -> dict[str, object]:
    first, last = choice.years
    return {
        "now": time.time(),
        "labels": json.dumps(choice.wanted),
        "types": json.dumps(choice.types),
        "first": first,
        "last": last,
        "after": 0,
    }


def choose(catalog: Catalog, choice: Choice) -> int:
    """Marks the chosen albums in the catalogue; returns their number."""
    limits = {"per_genre": choice.per_genre or 1 << 60, "limit": choice.limit or -1}
    query = _CHOSEN if choice.per_genre or choice.limit else "SELECT DISTINCT id FROM ({wanted})"
    with catalog.db as db:
        db.execute("CREATE TEMP TABLE IF NOT EXISTS picks (id INTEGER PRIMARY KEY)")
        db.execute("DELETE FROM picks")
        query = query.format(wanted=_wanted(choice))
        db.execute(f"INSERT INTO picks {query}", _values(choice) | limits)
        db.execute("UPDATE albums SET chosen = NOT chosen WHERE chosen <> (id IN picks)")
        return db.execute("SELECT count(*) FROM picks").fetchone()[0]


def count_labels(catalog: Catalog, choice: Choice, after: int = 0) -> Counter[str]:
    """Returns how many albums could be chosen for each wanted label.

    Args:
      catalog: the catalogue.
      choice: what is wanted.
      after: count only albums with row ids above it.
    """
    rows = catalog.db.execute(
        f"SELECT label, count(*) FROM ({_wanted(choice)}) GROUP BY label",
        _values(choice) | {"after": after},
    )
    return Counter(dict(rows.fetchall()))
