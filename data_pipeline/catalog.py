"""The catalogue of a collection: known albums, pending jobs and the reasons for failures.

A crawl keeps all its state in one SQLite file, `covers.db`. Every change is a transaction, so a
process can be killed at any point and the next one continues from there.
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

# "DacC": PRAGMA application_id, which tells a catalogue from any other SQLite file.
_APPLICATION_ID = 0x44616343
_VERSION = 1

# How long to wait for another process that holds a transaction, such as an SQLite prompt.
_BUSY_S = 30.0

# Album ids arrive in random order, so inserts touch the whole index. A bounded cache holds part of
# it in memory, and changes are checkpointed 32 MB at a time.
_CACHE_KIB = 16 * 1024
_CHECKPOINT_PAGES = 8000

# A failed job is retried after 1, 2, 4 and 8 hours, then only with --retry_failed.
_RETRY_S = 3600.0
_MAX_TRIES = 5

# A job has one of four states. `waiting`: ready to run. `done`: finished; a cover is on disk.
# `failed`: has a reason and, if a retry may help, a time for it. `noted`: recorded but not to be
# run: a genre or artist that is not to be listed, a cover outside the wanted years. Albums have no
# job of their own, only their covers do.
_JOB = """
  state TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'done', 'failed', 'noted')),
  reason TEXT,
  tries INTEGER NOT NULL DEFAULT 0,
  failed_at REAL,  -- Unix time, like all times here
  retry_at REAL,
  again INTEGER NOT NULL DEFAULT 0  -- put back by --retry_failed
"""
# A list that a source gives page by page: a genre, or the albums of an artist.
_LISTING = f"""
  id INTEGER PRIMARY KEY,
  key TEXT NOT NULL UNIQUE,  -- the genre's name, or the artist's id at the source
  next INTEGER NOT NULL DEFAULT 0,  -- offset of the next page
  total INTEGER,  -- length of the list, according to the source
  {_JOB}
"""
_SCHEMA = f"""
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE genres ({_LISTING}) STRICT;
CREATE TABLE artists ({_LISTING},
  name TEXT,
  related INTEGER NOT NULL DEFAULT 0  -- 1 while its related artists are to be requested
) STRICT;
CREATE TABLE albums (
  id INTEGER PRIMARY KEY,
  key TEXT NOT NULL UNIQUE,  -- the album's id at the source
  title TEXT,
  artist TEXT,  -- as credited; may join several names
  release_year INTEGER
) STRICT;
CREATE TABLE covers (
  album INTEGER PRIMARY KEY REFERENCES albums (id),
  url TEXT,  -- NULL if the source derives it from the album's id
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
-- Kept by triggers, so that progress reports stay cheap at any size.
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

# An album has its own genres and those of its artists. Duplicate files are searched only here: an
# index of their hashes, which come in random order, would dominate the cost of storing a cover.
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
    """A list at the source and the page to read next.

    Attributes:
      table: "genres" or "artists".
      id: the row id in the catalogue.
      key: the genre's name, or the artist's id at the source.
      next: the offset of the next page.
      related: whether the artist's related artists are still to be requested.
    """

    table: str
    id: int
    key: str
    next: int
    related: bool = False


@dataclass(frozen=True, slots=True)
class Artist:
    """An artist as a source describes it.

    Attributes:
      key: the id at the source, safe as a file name.
      name: the name, None if unknown.
      genres: the normalised genres.
      listed: whether the artist's albums are to be listed.
      related: whether the related artists are to be requested.
    """

    key: str
    name: str | None = None
    genres: tuple[str, ...] = ()
    listed: bool = False
    related: bool = False


@dataclass(frozen=True, slots=True)
class Album:
    """An album as a source describes it.

    Attributes:
      key: the id at the source, safe as a file name.
      title: the title, None if unknown.
      artist: the artist as credited, None if unknown.
      release_year: the year, None if unknown.
      genres: the normalised genres that the source gives for the album itself.
      artists: the keys of the artists.
      cover_url: the cover's URL, None if it follows from the id.
      has_cover: False if the source says that there is no cover.
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
    """One page of a listing.

    Attributes:
      albums: the albums on the page, new or known.
      artists: the artists on the page, new or known.
      next: the offset of the next page, None at the end of the listing.
      total: the length of the listing, None if unknown.
    """

    albums: Sequence[Album] = ()
    artists: Sequence[Artist] = ()
    next: int | None = None
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Cover:
    """A cover to fetch: the album's row id and key, and the URL, None if the key implies it."""

    album: int
    key: str
    url: str | None


@dataclass(frozen=True, slots=True)
class Stored:
    """A checked cover on disk: file name in the collection, size in bytes and pixels, hash."""

    file_name: str
    bytes: int
    width: int
    height: int
    sha256: bytes


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job failed, in one word, and whether a retry may succeed."""

    reason: str
    retry: bool


class Catalog:
    """A collection's catalogue, opened for one crawl; a lock keeps other crawls out.

    Not thread-safe.
    """

    def __init__(self, folder: Path, source: str):
        """Opens the catalogue of a collection, or creates it.

        Args:
          folder: the collection's folder, created if missing.
          source: the name of the source.

        Raises:
          UserError: the folder or its catalogue cannot be used, has another source or is locked.
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
        """Closes the file and releases the lock."""
        self._open.close()

    # Settings and pauses ------------------------------------------------------------------------

    def setting(self, name: str, default: Any = None) -> Any:
        """Returns a saved setting, or the default."""
        return _setting(self._db, name, default)

    def remember(self, settings: Mapping[str, Any]) -> None:
        """Saves settings; the values must be JSON-serialisable."""
        with self._db:
            self._remember(settings)

    def _remember(self, settings: Mapping[str, Any]) -> None:
        self._db.executemany(
            "INSERT INTO settings VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
            [(name, json.dumps(value)) for name, value in settings.items()],
        )

    def pause(self, host: str, seconds: float) -> None:
        """Saves a pause that a host asked for, starting now."""
        now = time.time()
        with self._db:
            self._db.execute(
                "INSERT INTO pauses VALUES (?, ?, ?) ON CONFLICT DO UPDATE "
                "SET since = excluded.since, until = excluded.until "
                "WHERE excluded.until > until OR since > excluded.since",
                (host, now, now + seconds),
            )

    def pauses(self) -> dict[str, float]:
        """Returns the remaining pause of each paused host, in seconds."""
        now = time.time()
        rows = self._db.execute("SELECT host, since, until FROM pauses")
        # If the clock was set back, a pause must not become longer than it was.
        left = {host: min(until - now, until - since) for host, since, until in rows}
        return {host: seconds for host, seconds in left.items() if seconds > 0}

    # Listings -----------------------------------------------------------------------------------

    def ask(self, genres: Iterable[str]) -> None:
        """Requests genres: their albums will be listed."""
        with self._db:
            self._db.executemany(
                "INSERT INTO genres (key) VALUES (?) "
                "ON CONFLICT DO UPDATE SET state = 'waiting' WHERE state = 'noted'",
                [(genre,) for genre in genres],
            )

    def genres(self) -> frozenset[str]:
        """Returns the names of the requested genres."""
        return frozenset(
            name for (name,) in self._db.execute("SELECT key FROM genres WHERE state <> 'noted'")
        )

    def change_years(self, since: int | None, until: int | None) -> None:
        """Changes the wanted release years and restarts all listings.

        Pending covers outside these years become `noted`, with the reason "other_years".
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
        self, busy: Iterable[tuple[str, int]], only_retries: bool = False, broad: bool = True
    ) -> Listing | None:
        """Returns the listing to read next, None if nothing is left.

        Artists come before genres, except that `broad` puts the first page of each genre first.

        Args:
          busy: the table and row id of each listing in progress.
          only_retries: whether to return only listings that `retry_failed` put back.
          broad: if True, the least-read listing comes first, so that a crawl that ends early has
            albums of each. If False, the most-read one does, so that lists change less while
            they are read.
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
                (only_retries, len(busy) + 1),
            )
            for number, key, offset, wants_related in rows:
                if (table, number) not in busy:
                    return Listing(table, number, key, offset, bool(wants_related))
        return None

    def store_page(self, listing: Listing, page: Page, settings: Mapping[str, Any]) -> None:
        """Stores a page, with settings to save in the same transaction."""
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
            # A listing that was restarted may be shorter than before.
            self._db.execute(
                f"UPDATE {listing.table} SET next = coalesce(?, next), "
                "total = coalesce(?, total), state = ?, reason = NULL, tries = 0, retry_at = NULL "
                "WHERE id = ?",
                (page.next, page.total, "waiting" if page.next is not None else "done", listing.id),
            )
            self._remember(settings)

    def _genre_ids(self, names: set[str]) -> dict[str, int]:
        """Returns the row ids of genres by name, adding the new ones as `noted`."""
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
        # RETURNING gives no row after DO NOTHING, so a conflict always updates.
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
        # An album without a cover on one list may have a cover URL on another.
        found = "url IS NULL AND excluded.url IS NOT NULL AND reason = 'no_cover'"
        self._db.execute(
            "INSERT INTO covers (album, url, state, reason) VALUES (?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET url = coalesce(excluded.url, url), "
            f"state = CASE WHEN {found} THEN 'waiting' ELSE state END, "
            f"reason = CASE WHEN {found} THEN NULL ELSE reason END WHERE state <> 'done'",
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
        """Marks a listing as failed."""
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

    def waiting_covers(self, after: int, count: int, only_retries: bool) -> list[Cover]:
        """Returns up to `count` covers to fetch, of albums with row ids above `after`."""
        rows = self._db.execute(
            "SELECT covers.album, albums.key, covers.url FROM covers "
            "JOIN albums ON albums.id = covers.album "
            "WHERE covers.state = 'waiting' AND covers.album > ? AND covers.again >= ? "
            "ORDER BY covers.album LIMIT ?",
            (after, only_retries, count),
        )
        return [Cover(*row) for row in rows]

    def find_unstored(self, key: str) -> Cover | None:
        """Returns the cover of a known album unless it is stored already."""
        row = self._db.execute(
            "SELECT covers.album, albums.key, covers.url FROM albums "
            "JOIN covers ON covers.album = albums.id "
            "WHERE albums.key = ? AND covers.state <> 'done'",
            (key,),
        ).fetchone()
        return None if row is None else Cover(*row)

    def store_covers(self, results: Iterable[tuple[Cover, Stored | Failure]]) -> None:
        """Marks covers as stored or failed."""
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
        """Puts back covers whose files are missing or have another size; returns how many.

        A killed process leaves no such files, but a power cut or a user may.
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
        """Puts back the failed jobs that are due for a retry."""
        now = time.time()
        with self._db:
            for table in ("genres", "artists", "covers"):
                # A failure in the future means that the clock was set back.
                self._db.execute(
                    f"UPDATE {table} SET state = 'waiting', reason = NULL, retry_at = NULL "
                    "WHERE retry_at IS NOT NULL AND (retry_at <= ? OR failed_at > ?)",
                    (now, now),
                )

    def retry_failed(self, reason: str | None) -> None:
        """Puts back all failed jobs, or those with one reason.

        Raises:
          UserError: no failed job has that reason.
        """
        tallies = self.tallies()
        reasons = {why for (_, state, why), n in tallies.items() if state == "failed" and n}
        if reason is not None and reason not in reasons:
            known = ", ".join(sorted(reasons)) or "none"
            raise UserError(
                f"--retry_failed={reason}: nothing failed for this reason; known reasons: {known}"
            )
        with self._db:
            for table in ("genres", "artists", "covers"):
                self._db.execute(
                    f"UPDATE {table} SET state = 'waiting', reason = NULL, retry_at = NULL, "
                    "again = 1 WHERE state = 'failed' AND coalesce(?, reason) = reason",
                    (reason,),
                )

    # Reports ------------------------------------------------------------------------------------

    def tallies(self) -> dict[tuple[str, str, str], int]:
        """Returns the number of jobs by table, state and reason ("" for none)."""
        return read_tallies(self._db)

    def unlisted(self) -> int:
        """Estimates how many albums are still to be listed."""
        return count_unlisted(self._db)


def _lock(folder: Path) -> IO[str]:
    """Creates a folder and locks it until the returned file is closed.

    Raises:
      UserError: the folder cannot be used, or another process holds the lock.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK_FILE).open("w")
    except OSError as error:
        raise UserError(
            f"the folder {folder} cannot be used ({error.strerror}); choose another with --out"
        ) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise UserError(
            f"another process is collecting into {folder}; check it with --status, or choose "
            "another folder with --out"
        ) from error
    return file


def read_setting(folder: Path, name: str) -> Any:
    """Returns a saved setting of a collection, None if there is none.

    Raises:
      UserError: there is no such collection.
    """
    with closing(open_to_read(folder)) as db:
        return _setting(db, name, None)


def open_to_read(folder: Path) -> sqlite3.Connection:
    """Opens a collection's catalogue for reading, even while a crawl writes to it.

    Raises:
      UserError: there is no catalogue.
    """
    file = folder / CATALOG_FILE
    if not file.is_file():
        raise UserError(
            f"there is no collection in {folder} (no {CATALOG_FILE}); start one with --genres"
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
    """Yields all known covers of a collection, stored or not, with their albums' fields.

    Raises:
      UserError: there is no such collection, or it has another source.
    """
    with closing(open_to_read(folder)) as db:
        _check_source(db, folder, source)
    for cover, _, fields in _read_covers(
        folder, "covers.state <> 'noted' AND covers.reason IS NOT 'no_cover'"
    ):
        yield cover, fields


def _read_covers(folder: Path, which: str) -> Iterator[tuple[Cover, str, dict[str, Any]]]:
    """Yields covers with their file names and the known fields of their albums."""
    with closing(open_to_read(folder)) as db:
        for row in db.execute(_COVERS.format(which=which)):
            album, key, url, file_name, year, artist, title, genres, same = row
            known = {"release_year": year, "artist": artist, "title": title, "same_as": same}
            fields = {"album_id": key, "genres": json.loads(genres)}
            fields |= {name: value for name, value in known.items() if value is not None}
            yield Cover(album, key, url), file_name, fields


def read_tallies(db: sqlite3.Connection) -> dict[tuple[str, str, str], int]:
    """Returns the number of jobs by table, state and reason ("" for none)."""
    rows = db.execute("SELECT job, state, reason, n FROM tallies WHERE n > 0")
    return {(job, state, reason): n for job, state, reason, n in rows}


def count_unlisted(db: sqlite3.Connection) -> int:
    """Estimates how many albums are still to be listed.

    Lists of unknown length count with the mean length. Albums are taken to be on several lists as
    often as in what was read so far.
    """
    lists = "genres"
    if db.execute(
        "SELECT 1 FROM tallies WHERE job = 'artists' AND state <> 'noted' AND n > 0"
    ).fetchone():
        lists = "artists"  # this source lists albums by artist
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
    """Returns how many covers were stored recently, and how many seconds ago the first was.

    Args:
      db: the catalogue.
      seconds: how far to look back.
    """
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
            f"{folder} is a collection of {found}, not of {source}, and their album ids differ; "
            "choose another folder with --out"
        )


def _connect(file: Path, mode: str) -> sqlite3.Connection:
    """Opens the file of a catalogue.

    Raises:
      UserError: the file is not a catalogue, or has a later version.
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
            f"{file} cannot be read as a catalogue ({error}); move it away to start over"
        ) from error
    if not empty and kind != _APPLICATION_ID:
        db.close()
        raise UserError(
            f"{file} is not a catalogue of Duck and Cover; choose another folder with --out"
        )
    if version > _VERSION:
        db.close()
        raise UserError(f"{file} was made by a later version; update Duck and Cover")
    return db


def _size(file: Path) -> int | None:
    try:
        return os.path.getsize(file)
    except OSError:
        return None
