"""The file of a catalogue: its schema, how it is locked and opened."""

import fcntl
import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import IO, Any

from dac.errors import UserError
from data_pipeline.cli import warn

CATALOG_FILE = "covers.db"
LOCK_FILE = "covers.lock"

# "DacC": PRAGMA application_id, which tells a catalogue from any other SQLite file.
_APPLICATION_ID = 0x44616343
_VERSION = 2

# How long to wait for another process that holds a transaction, such as an SQLite prompt.
_BUSY_S = 30.0

# Album ids arrive in random order, so inserts touch the whole index. A bounded cache holds part of
# it in memory, and changes are checkpointed 32 MB at a time.
_CACHE_KIB = 16 * 1024
_CHECKPOINT_PAGES = 8000

# A failed job has a reason and, if a retry may help, a time for it.
_JOB = """
  state TEXT NOT NULL DEFAULT 'waiting'
    CHECK (state IN ('waiting', 'done', 'failed', 'removed')),
  reason TEXT,
  tries INTEGER NOT NULL DEFAULT 0,
  failed_at REAL,  -- Unix time, like all times here
  retry_at REAL
"""
_SCHEMA = f"""
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE pauses (host TEXT PRIMARY KEY, since REAL NOT NULL, until REAL NOT NULL)
  STRICT, WITHOUT ROWID;
-- What a source can be asked for: the albums of a genre, or those of a range of years.
CREATE TABLE lists (
  id INTEGER PRIMARY KEY,
  kind TEXT NOT NULL,
  key TEXT NOT NULL,  -- a name, or an id at the source
  first INTEGER NOT NULL,  -- years of release; 0 to 9999 for all, 0 to 0 for unknown ones
  last INTEGER NOT NULL,
  label TEXT,  -- NULL if it is of an artist, whose genres tell whether it is wanted
  parent INTEGER REFERENCES lists (id),  -- the list that this is a part of
  next INTEGER NOT NULL DEFAULT 0,  -- offset of the next page
  total INTEGER,  -- length, according to the source
  found INTEGER,  -- how many different albums it gave
  {_JOB},
  UNIQUE (kind, key, first, last)
) STRICT;
CREATE INDEX lists_waiting ON lists (id) WHERE state IN ('waiting', 'failed');
CREATE INDEX lists_parts ON lists (parent) WHERE parent IS NOT NULL;
CREATE TABLE artists (key TEXT PRIMARY KEY, genres TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE albums (
  id INTEGER PRIMARY KEY,
  key TEXT NOT NULL UNIQUE,  -- the album's id at the source
  title TEXT,
  artist TEXT,  -- as credited; may join several names
  release_year INTEGER,
  types TEXT NOT NULL DEFAULT '[]',  -- JSON lists, all four
  genres TEXT NOT NULL DEFAULT '[]',
  artists TEXT NOT NULL DEFAULT '[]',  -- keys of artists whose genres are the album's, too
  lists TEXT NOT NULL DEFAULT '[]',  -- labels of the lists that are no genres
  url TEXT,  -- of the cover; NULL if it follows from the key
  chosen INTEGER NOT NULL DEFAULT 0,
  -- The cover:
  {_JOB},
  file_name TEXT,
  bytes INTEGER,
  width INTEGER,
  height INTEGER,
  sha256 BLOB,
  fingerprint BLOB,
  cluster INTEGER,  -- the first of the albums with nearly the same cover, if there are others
  release TEXT,  -- the edition that the cover is of
  picture_url TEXT,
  stored_at REAL
) STRICT;
CREATE INDEX albums_waiting ON albums (id) WHERE chosen AND state IN ('waiting', 'failed');
-- An album's own genres, those of its artists, and the other lists that it is on.
CREATE VIEW labels AS SELECT albums.id AS album, value AS label FROM albums, json_each((
  SELECT json_group_array(value) FROM (
    SELECT value FROM json_each(albums.genres) UNION SELECT value FROM json_each(albums.lists)
    UNION SELECT genre.value FROM json_each(albums.artists) AS artist
      JOIN artists ON artists.key = artist.value, json_each(artists.genres) AS genre)));
"""


def lock(folder: Path) -> IO[str]:
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


def open_to_write(folder: Path, source: str, renew: bool) -> sqlite3.Connection:
    """Opens a collection's catalogue, or creates it; moves one of an earlier version aside.

    Raises:
      UserError: the file cannot be used, has another source, or has an earlier version although
        it is not to be renewed.
    """
    file = folder / CATALOG_FILE
    settings: dict[str, Any] = {"source": source}
    db = _connect(file, "rwc")
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version:
        _check_source(db, folder, source)
    if 0 < version < _VERSION:
        with closing(db):
            if not renew:
                raise UserError(f"{file} was made by an earlier version; give --genres to renew it")
            since, until = read_setting(db, "years", (None, None))
            settings["choice"] = {"since": since or 0, "until": until or 0}
            settings["size"] = read_setting(db, "size")
            # A reader may keep the log file; it must not be taken for that of the new catalogue.
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        os.replace(file, folder / f"covers-{version}.db")
        warn(
            f"{file} was made by an earlier version and is moved aside; its pictures are taken "
            "over, and its years and size"
        )
        db = _connect(file, "rwc")
    db.executescript(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
        f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES};"
        f"PRAGMA cache_size = -{_CACHE_KIB}"
    )
    if version < _VERSION:
        db.executescript(
            f"BEGIN IMMEDIATE; {_SCHEMA}"
            f"PRAGMA application_id = {_APPLICATION_ID}; PRAGMA user_version = {_VERSION};"
        )
        rows = [(name, json.dumps(value)) for name, value in settings.items()]
        db.executemany("INSERT INTO settings VALUES (?, ?)", rows)
        db.commit()
    return db


def open_to_read(folder: Path, source: str | None = None) -> sqlite3.Connection:
    """Opens a collection's catalogue for reading, even while a run writes to it.

    Raises:
      UserError: there is no catalogue, or it has another source than the one given.
    """
    file = folder / CATALOG_FILE
    if not file.is_file():
        raise UserError(
            f"there is no collection in {folder} (no {CATALOG_FILE}); start one with --genres"
        )
    db = _connect(file, "ro")
    if db.execute("PRAGMA user_version").fetchone()[0] < _VERSION:
        db.close()
        raise UserError(f"{file} was made by an earlier version; run with --genres to renew it")
    if source is not None:
        _check_source(db, folder, source)
    return db


def read_setting(db: sqlite3.Connection, name: str, default: Any = None) -> Any:
    """Returns a saved setting, or the default."""
    row = db.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
    return default if row is None else json.loads(row[0])


def _check_source(db: sqlite3.Connection, folder: Path, source: str) -> None:
    found = read_setting(db, "source")
    if found != source:
        db.close()
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
