"""The catalogue of a collection: what is known, what is still to fetch, why something failed.

One SQLite file, `covers.db`, is all that a crawl remembers. Each change is a transaction, so that a
process killed at any point leaves a catalogue that the next one continues from.
"""

import fcntl
import json
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from dac.errors import UserError
from dac.files import write_lines
from data_pipeline.folder import METADATA_FILE

CATALOG_FILE = "covers.db"
LOCK_FILE = "covers.lock"

# "DacC": marks the file as a catalogue (PRAGMA application_id), so that no other is taken for one.
_APPLICATION_ID = 0x44616343
_VERSION = 1

# How long a transaction of another process (a reader at a prompt, say) is waited for.
_BUSY_S = 30.0

# The ids of albums come in no order, so that their index changes all over: part of it is kept in
# memory, which must not grow for ever, and 32 MB of changes are written to the file at a time.
_CACHE_KIB = 16 * 1024
_CHECKPOINT_PAGES = 8000

# A failed job is taken up again after an hour, two, four, eight; then only by --retry_failed.
_RETRY_S = 3600.0
_MAX_TRIES = 5

# Jobs are in one of four states. `waiting`: to be done, now. `done`: for covers, stored on disk.
# `failed`: with a reason, and a time to try again unless that is pointless. `noted`: a genre that
# only names albums, an artist whose albums are not to be listed, a cover of other years than are
# wanted. An album has no job of its own: what is left to do for it is its cover.
_JOB = """
  state TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'done', 'failed', 'noted')),
  reason TEXT,
  tries INTEGER NOT NULL DEFAULT 0,
  failed_at REAL,  -- seconds since 1970, as all times here
  retry_at REAL,
  again INTEGER NOT NULL DEFAULT 0  -- asked for by --retry_failed
"""
# What a source lists page by page: a genre, the albums of an artist.
_LISTING = f"""
  id INTEGER PRIMARY KEY,
  key TEXT NOT NULL UNIQUE,  -- the genre's name, the source's id of the artist
  next INTEGER NOT NULL DEFAULT 0,  -- where the next page begins
  total INTEGER,  -- length of the list, as the source counts
  {_JOB}
"""
_SCHEMA = f"""
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE genres ({_LISTING}) STRICT;
CREATE TABLE artists ({_LISTING},
  name TEXT,
  related INTEGER NOT NULL DEFAULT 0  -- whether its related artists are still to be asked for
) STRICT;
CREATE TABLE albums (
  id INTEGER PRIMARY KEY,
  key TEXT NOT NULL UNIQUE,  -- the source's id
  title TEXT,
  artist TEXT,  -- as credited: several names may be joined
  release_year INTEGER
) STRICT;
CREATE TABLE covers (
  album INTEGER PRIMARY KEY REFERENCES albums (id),
  url TEXT,  -- NULL where the source makes it from the album's id
  {_JOB},
  file_name TEXT,
  bytes INTEGER,
  width INTEGER,
  height INTEGER,
  sha256 BLOB,
  stored_at REAL
) STRICT;
CREATE TABLE artist_genres (artist INTEGER, genre INTEGER, PRIMARY KEY (artist, genre))
  STRICT, WITHOUT ROWID;
CREATE TABLE album_genres (album INTEGER, genre INTEGER, PRIMARY KEY (album, genre))
  STRICT, WITHOUT ROWID;
CREATE TABLE album_artists (album INTEGER, artist INTEGER, PRIMARY KEY (album, artist))
  STRICT, WITHOUT ROWID;
CREATE TABLE pauses (host TEXT PRIMARY KEY, since REAL NOT NULL, until REAL NOT NULL)
  STRICT, WITHOUT ROWID;
-- Counted by triggers, so that progress costs nothing at any size.
CREATE TABLE tallies (job TEXT, state TEXT, reason TEXT, n INTEGER NOT NULL,
  PRIMARY KEY (job, state, reason)) STRICT, WITHOUT ROWID;
CREATE INDEX genres_waiting ON genres (next, id) WHERE state = 'waiting';
CREATE INDEX artists_waiting ON artists (next, id) WHERE state = 'waiting';
CREATE INDEX covers_waiting ON covers (album) WHERE state = 'waiting';
CREATE INDEX covers_retry ON covers (retry_at) WHERE retry_at IS NOT NULL;
"""
_COUNT = """
CREATE TRIGGER {job}_added AFTER INSERT ON {job} BEGIN
  INSERT INTO tallies VALUES ('{job}', NEW.state, coalesce(NEW.reason, ''), 1)
    ON CONFLICT DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER {job}_changed AFTER UPDATE OF state, reason ON {job} BEGIN
  UPDATE tallies SET n = n - 1
    WHERE job = '{job}' AND state = OLD.state AND reason = coalesce(OLD.reason, '');
  INSERT INTO tallies VALUES ('{job}', NEW.state, coalesce(NEW.reason, ''), 1)
    ON CONFLICT DO UPDATE SET n = n + 1;
END;
"""

# The genres of an album: its own, and those of its artists. Doubles are looked for when they are
# asked for: an index of hashes, which come in no order, would be most of what a cover costs here.
_COVERS = """
WITH doubles AS (SELECT sha256, min(album) AS first FROM covers
  WHERE state = 'done' GROUP BY sha256 HAVING count(*) > 1)
SELECT albums.id, albums.key, covers.url, covers.file_name,
  albums.release_year, albums.artist, albums.title,
  (SELECT json_group_array(key) FROM (SELECT key FROM genres WHERE id IN (
    SELECT genre FROM album_genres WHERE album = albums.id
    UNION SELECT genre FROM album_artists NATURAL JOIN artist_genres WHERE album = albums.id
  ) ORDER BY key)),
  (SELECT key FROM albums AS first WHERE first.id = doubles.first AND first.id <> covers.album)
FROM covers JOIN albums ON albums.id = covers.album
  LEFT JOIN doubles ON doubles.sha256 = covers.sha256
WHERE {which} ORDER BY covers.album
"""


@dataclass(frozen=True, slots=True)
class Listing:
    """A list at the source, to be read from a page on.

    Attributes:
      table: "genres" or "artists".
      id: in the catalogue.
      key: name of the genre, or the source's id of the artist.
      next: where the next page begins.
      related: whether the artist's related artists are still to be asked for.
    """

    table: str
    id: int
    key: str
    next: int
    related: bool = False


@dataclass(frozen=True, slots=True)
class Artist:
    """What a source tells of an artist.

    Attributes:
      key: the source's id, safe as a file name.
      name: None where unknown.
      genres: normalised.
      listed: whether the albums are to be listed.
      related: whether the related artists are to be asked for.
    """

    key: str
    name: str | None = None
    genres: tuple[str, ...] = ()
    listed: bool = False
    related: bool = False


@dataclass(frozen=True, slots=True)
class Album:
    """What a source tells of an album.

    Attributes:
      key: the source's id, safe as a file name.
      title: None where unknown.
      artist: as credited; None where unknown.
      release_year: None where unknown.
      genres: normalised; only those that the source gives for the album itself.
      artists: keys of its artists.
      cover_url: None where it follows from the id.
      has_cover: False where the source says that there is none.
    """

    key: str
    title: str | None = None
    artist: str | None = None
    release_year: int | None = None
    genres: tuple[str, ...] = ()
    artists: tuple[str, ...] = ()
    cover_url: str | None = None
    has_cover: bool = True


@dataclass(frozen=True, slots=True)
class Page:
    """What one answer of a source tells.

    Attributes:
      albums: new or known.
      artists: new or known.
      next: where the next page of the listing begins; None at its end.
      total: length of the listing, None where untold.
    """

    albums: Sequence[Album] = ()
    artists: Sequence[Artist] = ()
    next: int | None = None
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Cover:
    """A cover to fetch: its album's id in the catalogue, its key, and the URL if one is told."""

    album: int
    key: str
    url: str | None


@dataclass(frozen=True, slots=True)
class Stored:
    """A cover on disk, checked: file name in the collection, sizes in bytes and pixels, hash."""

    file_name: str
    bytes: int
    width: int
    height: int
    sha256: bytes


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job failed, in one word, and whether another try may end better."""

    reason: str
    retry: bool


class Catalog:
    """A collection's catalogue, open for one crawl; a lock keeps a second crawl out.

    Not safe for use by several threads at a time.
    """

    def __init__(self, folder: Path, source: str):
        """Opens the catalogue of a collection, or begins one.

        Args:
          folder: of the collection; made where it is missing.
          source: name of the source that the collection is of.

        Raises:
          UserError: the folder or the file in it can't be used, is of another source, or is in use.
        """
        self.folder = folder
        with ExitStack() as stack:
            stack.enter_context(_lock(folder))
            self._db = stack.enter_context(closing(_connect(folder / CATALOG_FILE, "rwc")))
            self._db.executescript(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
                f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES};"
                f"PRAGMA cache_size = -{_CACHE_KIB}"
            )
            if not self._db.execute("PRAGMA user_version").fetchone()[0]:
                self._create(source)
            _check_source(self._db, folder, source)
            self._open = stack.pop_all()

    def _create(self, source: str) -> None:
        counted = "".join(_COUNT.format(job=job) for job in ("genres", "artists", "covers"))
        self._db.executescript(
            f"BEGIN IMMEDIATE; {_SCHEMA} {counted}"
            f"INSERT INTO settings VALUES ('source', '{json.dumps(source)}');"
            f"PRAGMA application_id = {_APPLICATION_ID}; PRAGMA user_version = {_VERSION};"
            "COMMIT"
        )

    def close(self) -> None:
        """Closes the file and lets go of the lock."""
        self._open.close()

    # What the crawl itself remembers ------------------------------------------------------------

    def setting(self, name: str, default: Any = None) -> Any:
        """Returns what is remembered under a name."""
        return _setting(self._db, name, default)

    def remember(self, settings: Mapping[str, Any]) -> None:
        """Remembers values that JSON can hold under their names."""
        with self._db:
            self._remember(settings)

    def _remember(self, settings: Mapping[str, Any]) -> None:
        self._db.executemany(
            "INSERT INTO settings VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
            [(name, json.dumps(value)) for name, value in settings.items()],
        )

    def pause(self, host: str, seconds: float) -> None:
        """Remembers that a host asked for a pause from now on."""
        now = time.time()
        with self._db:
            self._db.execute(
                "INSERT INTO pauses VALUES (?, ?, ?) ON CONFLICT DO UPDATE "
                "SET since = excluded.since, until = excluded.until "
                "WHERE excluded.until > until OR since > excluded.since",
                (host, now, now + seconds),
            )

    def pauses(self) -> dict[str, float]:
        """Returns the seconds that hosts are still to be left alone."""
        now = time.time()
        rows = self._db.execute("SELECT host, since, until FROM pauses")
        # A clock that was set back must not make a pause longer than it ever was.
        left = {host: min(until - now, until - since) for host, since, until in rows}
        return {host: seconds for host, seconds in left.items() if seconds > 0}

    # Listings -----------------------------------------------------------------------------------

    def ask(self, genres: Iterable[str]) -> None:
        """Adds genres to those whose albums are wanted."""
        with self._db:
            self._db.executemany(
                "INSERT INTO genres (key) VALUES (?) "
                "ON CONFLICT DO UPDATE SET state = 'waiting' WHERE state = 'noted'",
                [(genre,) for genre in genres],
            )

    def genres(self) -> frozenset[str]:
        """Returns the names of the genres that were asked for."""
        return frozenset(
            name for (name,) in self._db.execute("SELECT key FROM genres WHERE state <> 'noted'")
        )

    def change_years(self, since: int | None, until: int | None) -> None:
        """Makes the years of release wanted others: all lists begin anew.

        Covers of albums that are not wanted (any more) are noted, for the reason "other_years".
        """
        wanted = (
            "(?1 IS NULL AND ?2 IS NULL) OR album IN (SELECT id FROM albums "
            "WHERE release_year BETWEEN coalesce(?1, 0) AND coalesce(?2, 9999))"
        )
        with self._db:
            self._remember({"years": [since, until]})
            for table in ("genres", "artists"):
                self._db.execute(
                    f"UPDATE {table} SET state = 'waiting', reason = NULL, next = 0, total = NULL, "
                    "again = 0 WHERE state <> 'noted'"
                )
            self._db.execute(
                "UPDATE covers SET state = 'noted', reason = 'other_years', retry_at = NULL, "
                f"again = 0 WHERE (state = 'waiting' OR retry_at IS NOT NULL) AND NOT ({wanted})",
                (since, until),
            )
            self._db.execute(
                "UPDATE covers SET state = 'waiting', reason = NULL "
                f"WHERE reason = 'other_years' AND ({wanted})",
                (since, until),
            )

    def next_listing(
        self, busy: Iterable[tuple[str, int]], again: bool = False, broad: bool = True
    ) -> Listing | None:
        """Returns what to list next, None if nothing is left.

        Artists come before genres, but for the first pages of these if `broad`.

        Args:
          busy: table and id of the listings in work.
          again: whether only what `retry_failed` put back counts.
          broad: whether the list that was read least comes first, so that a crawl that ends early
            has something of each, or the one that was read most, so that a list changes least
            while it is read.
        """
        busy = set(busy)
        order = "next, id" if broad else "next DESC, id DESC"
        tables = [("artists", "related", ""), ("genres", "0", "")]
        if broad:
            tables.insert(0, ("genres", "0", "AND next = 0"))
        for table, related, which in tables:
            rows = self._db.execute(
                f"SELECT id, key, next, {related} FROM {table} "
                f"WHERE state = 'waiting' {which} AND again >= ? ORDER BY {order} LIMIT ?",
                (again, len(busy) + 1),
            )
            for number, key, offset, asks in rows:
                if (table, number) not in busy:
                    return Listing(table, number, key, offset, bool(asks))
        return None

    def store_page(self, listing: Listing, page: Page, settings: Mapping[str, Any]) -> None:
        """Takes in what a page tells, and what the source learned of itself by it."""
        with self._db:
            genres = self._genre_ids(
                {name for a in (*page.albums, *page.artists) for name in a.genres}
            )
            artists = {artist.key: self._store_artist(artist, genres) for artist in page.artists}
            for album in page.albums:
                self._store_album(album, genres, artists, listing)
            if listing.table == "genres":
                self._db.executemany(
                    "INSERT INTO artist_genres VALUES (?, ?) ON CONFLICT DO NOTHING",
                    [(artists[a.key], listing.id) for a in page.artists if a.listed],
                )
            else:
                self._db.execute("UPDATE artists SET related = 0 WHERE id = ?", (listing.id,))
            # What is read from the start again may be shorter than it was.
            self._db.execute(
                f"UPDATE {listing.table} SET next = coalesce(?, next), "
                "total = coalesce(?, total), state = ?, reason = NULL, tries = 0, retry_at = NULL "
                "WHERE id = ?",
                (page.next, page.total, "waiting" if page.next is not None else "done", listing.id),
            )
            self._remember(settings)

    def _genre_ids(self, names: set[str]) -> dict[str, int]:
        """Returns the ids of genres by name, noting those that are new."""
        self._db.executemany(
            "INSERT INTO genres (key, state) VALUES (?, 'noted') ON CONFLICT DO NOTHING",
            [(name,) for name in names],
        )
        rows = (
            self._db.execute("SELECT key, id FROM genres WHERE key = ?", (name,)).fetchone()
            for name in names
        )
        return dict(rows)

    def _store_artist(self, artist: Artist, genres: Mapping[str, int]) -> int:
        # RETURNING gives nothing where a conflict is left alone, hence an update in any case.
        (number,) = self._db.execute(
            "INSERT INTO artists (key, name, state, related) VALUES (?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET name = coalesce(name, excluded.name), "
            "state = CASE WHEN state = 'noted' THEN excluded.state ELSE state END, "
            "related = CASE WHEN state = 'noted' THEN excluded.related ELSE related END "
            "RETURNING id",
            (artist.key, artist.name, "waiting" if artist.listed else "noted", artist.related),
        ).fetchone()
        self._db.executemany(
            "INSERT INTO artist_genres VALUES (?, ?) ON CONFLICT DO NOTHING",
            [(number, genres[name]) for name in artist.genres],
        )
        return number

    def _store_album(
        self,
        album: Album,
        genres: Mapping[str, int],
        artists: Mapping[str, int],
        listing: Listing,
    ) -> None:
        (number,) = self._db.execute(
            "INSERT INTO albums (key, title, artist, release_year) VALUES (?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET title = coalesce(title, excluded.title), "
            "artist = coalesce(artist, excluded.artist), "
            "release_year = coalesce(release_year, excluded.release_year) RETURNING id",
            (album.key, album.title, album.artist, album.release_year),
        ).fetchone()
        # What had no cover when another list told of it may have one.
        told = "url IS NULL AND excluded.url IS NOT NULL AND reason = 'no_cover'"
        self._db.execute(
            "INSERT INTO covers (album, url, state, reason) VALUES (?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET url = coalesce(excluded.url, url), "
            f"state = CASE WHEN {told} THEN 'waiting' ELSE state END, "
            f"reason = CASE WHEN {told} THEN NULL ELSE reason END WHERE state <> 'done'",
            (
                number,
                album.cover_url,
                "waiting" if album.has_cover else "failed",
                None if album.has_cover else "no_cover",
            ),
        )
        named = {genres[name] for name in album.genres}
        credited = {artists[key] for key in album.artists if key in artists}
        if listing.table == "artists":
            credited.add(listing.id)
        for table, ids in (("album_genres", named), ("album_artists", credited)):
            self._db.executemany(
                f"INSERT INTO {table} VALUES (?, ?) ON CONFLICT DO NOTHING",
                [(number, other) for other in ids],
            )

    def fail_listing(self, listing: Listing, failure: Failure) -> None:
        """Notes why a page could not be had."""
        with self._db:
            self._fail(listing.table, "id", listing.id, failure)

    def _fail(self, table: str, column: str, number: int, failure: Failure) -> None:
        now = time.time()
        self._db.execute(
            f"UPDATE {table} SET state = 'failed', reason = ?, failed_at = ?, again = 0, "
            "retry_at = CASE WHEN ? AND tries + 1 < ? THEN ? + ? * (1 << tries) END, "
            f"tries = tries + 1 WHERE {column} = ?",
            (failure.reason, now, failure.retry, _MAX_TRIES, now, _RETRY_S, number),
        )

    # Covers -------------------------------------------------------------------------------------

    def waiting_covers(self, after: int, count: int, again: bool) -> list[Cover]:
        """Returns up to `count` covers that are to be fetched, of albums with ids above `after`."""
        rows = self._db.execute(
            "SELECT covers.album, albums.key, covers.url FROM covers "
            "JOIN albums ON albums.id = covers.album "
            "WHERE covers.state = 'waiting' AND covers.album > ? AND covers.again >= ? "
            "ORDER BY covers.album LIMIT ?",
            (after, again, count),
        )
        return [Cover(*row) for row in rows]

    def find_unstored(self, key: str) -> Cover | None:
        """Returns the cover of an album that the catalogue knows, if it is not on disk for it."""
        row = self._db.execute(
            "SELECT covers.album, albums.key, covers.url FROM albums "
            "JOIN covers ON covers.album = albums.id "
            "WHERE albums.key = ? AND covers.state <> 'done'",
            (key,),
        ).fetchone()
        return None if row is None else Cover(*row)

    def store_covers(self, results: Iterable[tuple[Cover, Stored | Failure]]) -> None:
        """Notes which covers are on disk and why others are not."""
        with self._db:
            for cover, result in results:
                if isinstance(result, Failure):
                    self._fail("covers", "album", cover.album, result)
                    continue
                self._db.execute(
                    "UPDATE covers SET state = 'done', reason = NULL, failed_at = NULL, "
                    "retry_at = NULL, again = 0, file_name = ?, bytes = ?, width = ?, height = ?, "
                    "sha256 = ?, stored_at = ? WHERE album = ?",
                    (
                        result.file_name,
                        result.bytes,
                        result.width,
                        result.height,
                        result.sha256,
                        time.time(),
                        cover.album,
                    ),
                )

    def check_files(self) -> int:
        """Puts covers back whose files are gone or not as long as they were; returns how many.

        A process that is killed leaves none of these; a power cut, or a person, may.
        """
        rows = self._db.execute("SELECT album, file_name, bytes FROM covers WHERE state = 'done'")
        lost = [(album,) for album, name, size in rows if _size(self.folder / name) != size]
        with self._db:
            self._db.executemany(
                "UPDATE covers SET state = 'waiting', sha256 = NULL WHERE album = ?",
                lost,
            )
        return len(lost)

    # Failures -----------------------------------------------------------------------------------

    def retry_due(self) -> None:
        """Puts back the failed jobs whose time to try again has come."""
        now = time.time()
        with self._db:
            for table in ("genres", "artists", "covers"):
                # What failed in the future did so before the clock was set back.
                self._db.execute(
                    f"UPDATE {table} SET state = 'waiting', reason = NULL, retry_at = NULL "
                    "WHERE retry_at IS NOT NULL AND (retry_at <= ? OR failed_at > ?)",
                    (now, now),
                )

    def retry_failed(self, reason: str | None) -> None:
        """Puts back the failed jobs, all or those that failed for one reason.

        Raises:
          UserError: nothing failed for that reason, nor waits for being tried again.
        """
        tallies = self.tallies()
        reasons = {why for (_, state, why), n in tallies.items() if state == "failed" and n}
        if reason is not None and reason not in reasons:
            known = ", ".join(sorted(reasons)) or "none, nothing failed"
            raise UserError(f"nothing failed for the reason {reason!r}; reasons here: {known}")
        with self._db:
            for table in ("genres", "artists", "covers"):
                self._db.execute(
                    f"UPDATE {table} SET state = 'waiting', reason = NULL, retry_at = NULL, "
                    "again = 1 WHERE state = 'failed' AND coalesce(?, reason) = reason",
                    (reason,),
                )

    # Reports ------------------------------------------------------------------------------------

    def tallies(self) -> dict[tuple[str, str, str], int]:
        """Returns how many jobs there are by table, state and reason ("" for none)."""
        return read_tallies(self._db)

    def unlisted(self) -> int:
        """Returns about how many albums are still to be listed."""
        return count_unlisted(self._db)


def _lock(folder: Path) -> IO[str]:
    """Makes a folder and locks it, until the file is closed.

    Raises:
      UserError: it can't be used, or another process holds the lock.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK_FILE).open("w")
    except OSError as error:
        raise UserError(
            f"the folder {folder} can't be used ({error.strerror}); give another --out"
        ) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise UserError(
            f"another process collects into {folder}; see it with --status, or give another --out"
        ) from error
    return file


def read_setting(folder: Path, name: str) -> Any:
    """Returns what a collection remembers under a name, None for nothing.

    Raises:
      UserError: there is no collection.
    """
    with closing(open_to_read(folder)) as db:
        return _setting(db, name, None)


def open_to_read(folder: Path) -> sqlite3.Connection:
    """Opens the catalogue of a collection for reading, also while a crawl writes to it.

    Raises:
      UserError: there is none.
    """
    file = folder / CATALOG_FILE
    if not file.is_file():
        raise UserError(
            f"there is no collection in {folder}: it has no {CATALOG_FILE}; begin one with --genres"
        )
    return _connect(file, "ro")


def write_metadata(folder: Path) -> None:
    """Writes `metadata.jsonl` from the catalogue, atomically."""
    covers = _read_covers(folder, "covers.state = 'done'")
    lines = (
        json.dumps({"file_name": file_name} | fields, ensure_ascii=False) + "\n"
        for _, file_name, fields in covers
    )
    write_lines(folder / METADATA_FILE, lines)


def read_covers(folder: Path, source: str) -> Iterator[tuple[Cover, dict[str, Any]]]:
    """Yields the covers that a collection knows of, stored or not, and their albums' fields.

    Raises:
      UserError: there is no such collection, or it is of another source.
    """
    with closing(open_to_read(folder)) as db:
        _check_source(db, folder, source)
    for cover, _, fields in _read_covers(
        folder, "covers.state <> 'noted' AND covers.reason IS NOT 'no_cover'"
    ):
        yield cover, fields


def _read_covers(folder: Path, which: str) -> Iterator[tuple[Cover, str, dict[str, Any]]]:
    """Yields covers, their file names and the known fields of their albums."""
    with closing(open_to_read(folder)) as db:
        for row in db.execute(_COVERS.format(which=which)):
            album, key, url, file_name, year, artist, title, genres, same = row
            known = {"release_year": year, "artist": artist, "title": title, "same_as": same}
            fields = {"album_id": key, "genres": json.loads(genres)}
            fields |= {name: value for name, value in known.items() if value is not None}
            yield Cover(album, key, url), file_name, fields


def read_tallies(db: sqlite3.Connection) -> dict[tuple[str, str, str], int]:
    """Returns how many jobs there are by table, state and reason ("" for none)."""
    rows = db.execute("SELECT job, state, reason, n FROM tallies WHERE n > 0")
    return {(job, state, reason): n for job, state, reason, n in rows}


def count_unlisted(db: sqlite3.Connection) -> int:
    """Returns about how many albums are still to be listed, going by what the lists gave so far.

    Albums that are on several lists are counted once, as far as they were until now.
    """
    lists = "genres"
    if db.execute(
        "SELECT 1 FROM tallies WHERE job = 'artists' AND state <> 'noted' AND n > 0"
    ).fetchone():
        lists = "artists"  # the albums are on the artists' lists
    read, left, unknown, known = db.execute(
        f"""
        SELECT sum(CASE state WHEN 'done' THEN total ELSE min(next, total) END),
          sum(CASE state WHEN 'waiting' THEN max(total - next, 0) END),
          sum(state = 'waiting' AND total IS NULL), count(total)
        FROM {lists} WHERE state <> 'noted'
        """
    ).fetchone()
    if not read:
        return 0
    (albums,) = db.execute("SELECT max(id) FROM albums").fetchone()
    mean = (read + (left or 0)) / known
    return round(((left or 0) + mean * unknown) * (albums or 0) / read)


def count_stored(db: sqlite3.Connection, seconds: float) -> tuple[int, float]:
    """Returns how many covers were stored in the last seconds, and since when, in seconds ago."""
    now = time.time()
    stored, first = db.execute(
        "SELECT count(*), min(stored_at) FROM covers WHERE stored_at BETWEEN ? AND ?",
        (now - seconds, now),
    ).fetchone()
    return stored, now - (first or now)


def _setting(db: sqlite3.Connection, name: str, default: Any) -> Any:
    row = db.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
    return default if row is None else json.loads(row[0])


def _check_source(db: sqlite3.Connection, folder: Path, source: str) -> None:
    found = _setting(db, "source", None)
    if found != source:
        raise UserError(
            f"{folder} is a collection of {found}, not of {source}; give another --out, as the two "
            "know albums under different ids"
        )


def _connect(file: Path, mode: str) -> sqlite3.Connection:
    """Opens a catalogue's file.

    Raises:
      UserError: it is no catalogue, or one of a later version.
    """
    db = None
    try:
        db = sqlite3.connect(
            f"{file.absolute().as_uri()}?mode={mode}",
            uri=True,
            timeout=_BUSY_S,
            check_same_thread=False,
        )
        kind = db.execute("PRAGMA application_id").fetchone()[0]
        version = db.execute("PRAGMA user_version").fetchone()[0]
        empty = not db.execute("SELECT 1 FROM sqlite_schema").fetchone()
    except sqlite3.Error as error:
        if db is not None:
            db.close()
        raise UserError(
            f"{file} can't be read as a catalogue ({error}); move it away to begin anew"
        ) from error
    if not empty and kind != _APPLICATION_ID:
        db.close()
        raise UserError(f"{file} is no catalogue of this program; give another --out")
    if version > _VERSION:
        db.close()
        raise UserError(f"{file} was made by a later version of this program; update it")
    return db


def _size(file: Path) -> int | None:
    try:
        return os.path.getsize(file)
    except OSError:
        return None
