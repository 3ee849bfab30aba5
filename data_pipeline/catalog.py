"""The catalogue of a collection: what a source listed, what is chosen, and what was fetched.

All state is in one SQLite file, `covers.db`. Every change is a transaction, so a process can be
killed at any point and the next one continues from there.
"""

import json
import time
from collections.abc import Collection, Iterable, Mapping
from contextlib import ExitStack, closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from data_pipeline.albums import Album, Cover, Failure, List, Page, Stored
from data_pipeline.catalog_file import lock, open_to_write, read_setting

# A failed job is retried after 1, 2, 4 and 8 hours, then only with --retry_failed.
_RETRY_S = 3600.0
_MAX_TRIES = 5

# How often the parts of a list are read again if they gave too few albums.
_MAX_READS = 4

# A job that can be run now. A failure in the future means that the clock was set back.
READY = "(state = 'waiting' OR (retry_at IS NOT NULL AND (retry_at <= :now OR failed_at > :now)))"
_TO_FETCH = f"chosen AND state IN ('waiting', 'failed') AND {READY}"
_READ_AGAIN = """
WITH RECURSIVE parts (id) AS (
  SELECT ?1 UNION SELECT lists.id FROM lists JOIN parts ON lists.parent = parts.id)
UPDATE lists SET
  state = iif(EXISTS (SELECT 1 FROM lists AS part WHERE part.parent = lists.id), 'done', 'waiting'),
  found = iif(EXISTS (SELECT 1 FROM lists AS part WHERE part.parent = lists.id), NULL, found)
WHERE id IN parts AND id <> ?1
"""
_SETS = ("types", "genres", "artists", "lists")
_UNION = """(SELECT json_group_array(value) FROM (
  SELECT value FROM json_each({table}.{name}) UNION SELECT value FROM json_each(excluded.{name})))
"""
# An album without a cover on one list may have a cover URL on another.
_FOUND = "state = 'failed' AND reason = 'no_cover' AND url IS NULL AND excluded.url NOT NULL"
_UPSERT = f"""
INSERT INTO albums (key, title, artist, release_year, {", ".join(_SETS)}, url, state, reason)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
  {", ".join(f"{name} = {_UNION.format(table='albums', name=name)}" for name in _SETS)},
  title = coalesce(title, excluded.title),
  artist = coalesce(artist, excluded.artist),
  release_year = coalesce(release_year, excluded.release_year),
  state = CASE WHEN {_FOUND} THEN 'waiting' ELSE state END,
  reason = CASE WHEN {_FOUND} THEN NULL ELSE reason END,
  url = coalesce(excluded.url, url)
"""
_STORE = """
UPDATE albums SET state = 'done', reason = NULL, failed_at = NULL, retry_at = NULL,
  file_name = :file_name, bytes = :bytes, width = :width, height = :height, sha256 = :sha256,
  fingerprint = :fingerprint,
  release = iif(:found_from IS NULL, :release, release),
  picture_url = iif(:found_from IS NULL, :picture_url, picture_url),
  stored_at = iif(:found_from IS NULL, :now, coalesce(stored_at, :found_from))
WHERE id = :album AND state <> 'removed'
"""


class Catalog:
    """A collection's catalogue, opened for one run; a lock keeps other runs out.

    Not thread-safe.

    Attributes:
      folder: the collection's folder.
      db: the connection.
    """

    def __init__(self, folder: Path, source: str, renew: bool = True):
        """Opens the catalogue of a collection, or creates it.

        Args:
          folder: the collection's folder, created if missing.
          source: the name of the source.
          renew: whether a catalogue of an earlier version may be moved aside. Its pictures stay,
            and are not fetched again once their albums are listed.

        Raises:
          UserError: the folder or its catalogue cannot be used, has another source or is locked.
        """
        self.folder = folder
        with ExitStack() as stack:
            stack.enter_context(lock(folder))
            self.db = stack.enter_context(closing(open_to_write(folder, source, renew)))
            self._open = stack.pop_all()

    def close(self) -> None:
        """Closes the file and releases the lock."""
        self._open.close()

    # Settings and pauses ------------------------------------------------------------------------

    def setting(self, name: str, default: Any = None) -> Any:
        """Returns a saved setting, or the default."""
        return read_setting(self.db, name, default)

    def remember(self, settings: Mapping[str, Any]) -> None:
        """Saves settings; the values must be JSON-serialisable."""
        with self.db:
            self.db.executemany(
                "INSERT INTO settings VALUES (?, ?) "
                "ON CONFLICT DO UPDATE SET value = excluded.value",
                [(name, json.dumps(value)) for name, value in settings.items()],
            )

    def pause(self, host: str, seconds: float) -> None:
        """Saves a pause that a host asked for, starting now."""
        now = time.time()
        with self.db:
            self.db.execute(
                "INSERT INTO pauses VALUES (?, ?, ?) ON CONFLICT DO UPDATE "
                "SET since = excluded.since, until = excluded.until "
                "WHERE excluded.until > until OR since > excluded.since",
                (host, now, now + seconds),
            )

    def pauses(self) -> dict[str, float]:
        """Returns the remaining pause of each paused host, in seconds."""
        now = time.time()
        rows = self.db.execute("SELECT host, since, until FROM pauses")
        # If the clock was set back, a pause must not become longer than it was.
        left = {host: min(until - now, until - since) for host, since, until in rows}
        return {host: seconds for host, seconds in left.items() if seconds > 0}

    # What a source lists ------------------------------------------------------------------------

    def add_lists(self, lists: Iterable[List]) -> None:
        """Adds lists to be read; known ones stay as they are."""
        with self.db:
            self._add_lists(lists)

    def _add_lists(self, lists: Iterable[List], parent: int | None = None) -> None:
        self.db.executemany(
            "INSERT INTO lists (kind, key, first, last, label, parent) VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT DO NOTHING",
            [(part.kind, part.key, part.first, part.last, part.label, parent) for part in lists],
        )

    def next_list(
        self,
        labels: Collection[str],
        years: tuple[int, int],
        busy: Collection[int] = (),
        at_random: bool = False,
    ) -> List | None:
        """Returns a list to read, None if there is none.

        Args:
          labels: the labels that are asked for.
          years: the first and last wanted year of release; a first year of 0 includes unknown ones.
          busy: ids of lists that are being read.
          at_random: whether to return any list. If False, the first one.
        """
        row = self.db.execute(
            "SELECT kind, key, first, last, label, id, next FROM lists "
            f"WHERE state IN ('waiting', 'failed') AND {READY} "
            "AND (label IN (SELECT value FROM json_each(:labels)) OR (label IS NULL AND EXISTS ("
            "SELECT 1 FROM artists, json_each(artists.genres) WHERE artists.key = lists.key "
            "AND value IN (SELECT value FROM json_each(:labels))))) "
            # Releases can be of any year after that of the album.
            "AND (kind IN ('label', 'country') OR (first <= :last AND last >= :first)) "
            "AND id NOT IN (SELECT value FROM json_each(:busy)) "
            f"ORDER BY {'random()' if at_random else 'id'} LIMIT 1",
            {
                "now": time.time(),
                "labels": json.dumps([*labels]),
                "first": years[0],
                "last": years[1],
                "busy": json.dumps([*busy]),
            },
        ).fetchone()
        return None if row is None else List(*row)

    def last_album(self) -> int:
        """Returns the row id of the newest album, 0 if there is none."""
        return self.db.execute("SELECT coalesce(max(id), 0) FROM albums").fetchone()[0]

    def store_page(self, part: List, page: Page) -> None:
        """Stores what a source said."""
        with self.db:
            self.db.executemany(
                "INSERT INTO artists VALUES (?, ?) ON CONFLICT DO UPDATE "
                f"SET genres = {_UNION.format(table='artists', name='genres')}",
                [(key, json.dumps(genres)) for key, genres in page.artists.items()],
            )
            for album in page.albums:
                self._store_album(album)
            self._add_lists(page.lists, part.id)
            self.db.execute(
                "UPDATE lists SET next = ?, total = coalesce(?, total) WHERE id = ?",
                (page.next, page.total, part.id),
            )

    def store_albums(self, albums: Iterable[Album]) -> None:
        """Stores albums that are on no list, in one transaction."""
        with self.db:
            for album in albums:
                self._store_album(album)

    def _store_album(self, album: Album) -> None:
        """Adds an album, or what was not known of it."""
        lists = [json.dumps(getattr(album, name)) for name in _SETS]
        state = ("waiting", None) if album.has_cover else ("failed", "no_cover")
        row = (album.key, album.title, album.artist, album.release_year, *lists, album.url, *state)
        self.db.execute(_UPSERT, row)

    def finish_list(self, part: List, found: int | None) -> None:
        """Marks a list as read.

        Args:
          part: the list.
          found: how many different albums it gave, None if that is not checked.
        """
        with self.db:
            self.db.execute(
                "UPDATE lists SET state = 'done', reason = NULL, retry_at = NULL, "
                "found = max(?1, coalesce(found, 0)) WHERE id = ?2",
                (found, part.id),
            )
            (parent,) = self.db.execute(
                "SELECT parent FROM lists WHERE id = ?", (part.id,)
            ).fetchone()
            self._check_parts(part.id if found is None else parent)

    def _check_parts(self, number: int | None) -> None:
        """Compares a list with its parts once all are read; reads again what does not agree.

        A search that ran out of its time counts too few, for the list or for a part.
        """
        while number is not None:
            parent, total, tries = self.db.execute(
                "SELECT parent, coalesce(total, 0), tries FROM lists WHERE id = ?", (number,)
            ).fetchone()
            unread, found = self.db.execute(
                "SELECT sum(state <> 'done' OR found IS NULL), sum(found) FROM lists "
                "WHERE parent = ?",
                (number,),
            ).fetchone()
            if unread != 0:  # None if there are no parts
                return
            if found < total and tries >= _MAX_READS:
                self.fail("lists", number, Failure("incomplete", False))
                return
            if found == total or tries >= _MAX_READS:
                self.db.execute("UPDATE lists SET found = ? WHERE id = ?", (found, number))
                number = parent
                continue
            self.db.execute("UPDATE lists SET tries = tries + 1 WHERE id = ?", (number,))
            count_again = "UPDATE lists SET state = 'waiting' WHERE id = ?"
            again = _READ_AGAIN if found < total else count_again
            self.db.execute(again, (number,))
            return

    def fail_list(self, part: List, failure: Failure, found: int | None = None) -> None:
        """Marks a list as failed, although it gave `found` albums."""
        with self.db:
            self.db.execute("UPDATE lists SET found = ? WHERE id = ?", (found, part.id))
            self.fail("lists", part.id, failure)

    def fail(self, table: str, number: int, failure: Failure) -> None:
        """Marks a job of a table as failed, in the current transaction."""
        now = time.time()
        self.db.execute(
            f"UPDATE {table} SET state = 'failed', reason = ?, failed_at = ?, "
            "retry_at = CASE WHEN ? AND tries + 1 < ? THEN ? + ? * (1 << tries) END, "
            "tries = tries + 1 WHERE id = ?",
            (failure.reason, now, failure.retry, _MAX_TRIES, now, _RETRY_S, number),
        )

    # Covers -------------------------------------------------------------------------------------

    def count_to_fetch(self) -> int:
        """Returns the number of chosen covers to fetch."""
        query = f"SELECT count(*) FROM albums WHERE {_TO_FETCH}"
        return self.db.execute(query, {"now": time.time()}).fetchone()[0]

    def covers_to_fetch(self, after: int, count: int) -> list[Cover]:
        """Returns up to `count` chosen covers to fetch, of albums with row ids above `after`."""
        rows = self.db.execute(
            f"SELECT id, key, url, sha256 FROM albums WHERE {_TO_FETCH} AND id > :after "
            "ORDER BY id LIMIT :count",
            {"now": time.time(), "after": after, "count": count},
        )
        return [Cover(*row) for row in rows]

    def store_covers(self, results: Iterable[tuple[Cover, Stored | Failure]]) -> None:
        """Marks covers as stored or failed."""
        now = time.time()
        with self.db:
            for cover, result in results:
                if isinstance(result, Failure):
                    self.fail("albums", cover.album, result)
                    continue
                # Nothing is known of a file that was found on disk, but it may have been before.
                self.db.execute(_STORE, asdict(result) | {"now": now, "album": cover.album})
