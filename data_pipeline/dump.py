"""Lists albums from MusicBrainz's dumps, without a search: for large collections.

`release-group.tar.xz` of the JSON dump (https://musicbrainz.org/doc/MusicBrainz_Database/Download)
has one release group a line. With the tables of the Cover Art Archive's index
(`mbdump-cover-art-archive.tar.bz2`) and those of releases (`mbdump.tar.bz2`, both of the PostgreSQL
dump), albums without a cover are known, too, and need no request.
"""

import itertools
import json
import lzma
import re
import tarfile
import time
from collections.abc import Collection, Iterator
from pathlib import Path

from dac.errors import UserError
from data_pipeline.albums import Album
from data_pipeline.answers import dicts
from data_pipeline.catalog import Catalog
from data_pipeline.choice import Choice, list_label
from data_pipeline.folder import normalize_genre
from data_pipeline.options import unknown_name
from data_pipeline.progress import Progress
from data_pipeline.release_groups import parse_album

ALBUMS_FILE = "release-group.tar.xz"
INDEX_FILE = "mbdump-cover-art-archive.tar.bz2"
TABLES_FILE = "mbdump.tar.bz2"

_MAX_LINE = 16_000_000  # bytes; real ones have a few thousand
_BATCH = 5_000  # albums a transaction
_TELLING = 20_000  # albums, read in seconds, that have all but rare genres
_FRONT = b"1"  # in cover_art_archive.art_type

# The tables that are needed of each archive, with the columns to keep.
_TABLES = {
    INDEX_FILE: {
        "mbdump/cover_art_archive.cover_art": (0, 1),  # id, release
        "mbdump/cover_art_archive.cover_art_type": (0, 1),  # id, type_id
    },
    TABLES_FILE: {
        "mbdump/release": (0, 4),  # id, release_group
        "mbdump/release_group": (0, 1),  # id, gid
    },
}


def read_dump(catalog: Catalog, folder: Path, choice: Choice, progress: Progress) -> list[str]:
    """Lists the albums of a dump that have a genre, or a chosen artist.

    A dump that was read to its end is not read again.

    Args:
      catalog: the collection's catalogue.
      folder: the folder with the files of the dump, named as they are published.
      choice: its artists are looked for. The run says early which of its genres the beginning of
        the dump lacks; that there is none of that name is known at its end.
      progress: the progress display.

    Returns:
      The names of all genres in the dump.

    Raises:
      UserError: a file is missing, damaged or not of the dump.
    """
    file, index = folder / ALBUMS_FILE, folder / INDEX_FILE
    if not file.is_file():
        raise UserError(
            f"--musicbrainz_dump={folder} has no {ALBUMS_FILE}; download it from MusicBrainz's "
            "JSON dumps"
        )
    files = [path for path in (file, index, folder / TABLES_FILE) if path.is_file()]
    if index in files and len(files) < 3:
        raise UserError(f"{INDEX_FILE} needs {TABLES_FILE} beside it, which says whose covers")
    seen = [[path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in files]
    identity = [seen, [*choice.artists]]
    if catalog.setting("dump") == identity:
        return catalog.setting("genre_names", [])
    try:
        names = _read_albums(catalog, file, choice, progress)
        if index in files:
            _drop_albums_without_cover(catalog, folder, progress)
    except (tarfile.TarError, lzma.LZMAError, EOFError, OSError, ValueError) as error:
        raise UserError(
            f"the dump in {folder} cannot be read ({error}); download it again"
        ) from error
    catalog.remember({"dump": identity, "genre_names": sorted(names)})
    return sorted(names)


def _read_albums(catalog: Catalog, file: Path, choice: Choice, progress: Progress) -> set[str]:
    names: set[str] = set()
    known = catalog.setting("genre_names", [])
    artists = {normalize_genre(artist): list_label("artists", artist) for artist in choice.artists}
    albums = _albums(file, artists, names)
    count, start = 0, time.monotonic()
    while batch := list(itertools.islice(albums, _BATCH)):
        catalog.store_albums(batch)
        count += len(batch)
        rate = count / (time.monotonic() - start)
        progress.show(f"reading {file.name}: {count:,} albums · {rate:,.0f}/s")
        if count - len(batch) < _TELLING <= count and (
            unknown := unknown_name("genres", choice.genres, names.union(known))
        ):
            progress.say(f"note: {unknown} in the first {count:,} albums of the dump; reading on")
    progress.say(f"{file.name} lists {count:,} albums in {len(names):,} genres")
    return names


def _albums(file: Path, artists: dict[str | None, str], names: set[str]) -> Iterator[Album]:
    """Yields the albums of a dump that are wanted; adds the genres to `names`."""
    members = _members(file, {"mbdump/release-group"})
    _, lines = next(members)
    for line in lines:
        try:
            item = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if not isinstance(item, dict) or item.get("primary-type") != "Album":
            continue
        genres = {normalize_genre(genre.get("name")) for genre in dicts(item.get("genres"))}
        genres.discard(None)
        names |= genres
        lists = ()
        if artists:
            credited = [part.get("artist") for part in dicts(item.get("artist-credit"))]
            told = {artist.get(name) for artist in dicts(credited) for name in ("id", "name")}
            lists = tuple({artists[name] for name in map(normalize_genre, told) if name in artists})
        if (genres or lists) and (
            album := parse_album(item | {"tags": item.get("genres")}, frozenset(genres), lists)
        ):
            yield album


def _drop_albums_without_cover(catalog: Catalog, folder: Path, progress: Progress) -> None:
    """Notes which albums have no front cover in the Cover Art Archive."""
    db = catalog.db
    for archive, tables in _TABLES.items():
        for member, lines in _members(folder / archive, tables):
            name, columns = re.split(r"[./]", member)[-1], tables[member]
            progress.show(f"reading {archive}: {name}", force=True)
            rows = (line.rstrip(b"\n").split(b"\t") for line in lines)
            kept = (
                [fields[column].decode() for column in columns]
                for fields in rows
                if len(fields) > max(columns) and (name != "cover_art_type" or fields[1] == _FRONT)
            )
            db.execute(f"CREATE TEMP TABLE {name} (id INTEGER, other)")
            db.executemany(f"INSERT INTO {name} VALUES (?, ?)", kept)
    progress.show("finding the albums without a cover", force=True)
    with db:
        db.execute(
            "CREATE TEMP TABLE covered AS SELECT DISTINCT release_group.other AS key "
            "FROM cover_art_type JOIN cover_art USING (id) "
            "JOIN release ON release.id = CAST(cover_art.other AS INTEGER) "
            "JOIN release_group ON release_group.id = CAST(release.other AS INTEGER)"
        )
        db.execute(
            "UPDATE albums SET state = 'waiting', reason = NULL, retry_at = NULL, tries = 0 "
            "WHERE state = 'failed' AND reason = 'no_cover' "
            "AND key IN (SELECT key FROM covered)"
        )
        # Albums that a search has listed may be newer than the dump.
        db.execute(
            "UPDATE albums SET state = 'failed', reason = 'no_cover' WHERE state = 'waiting' "
            "AND key IN (SELECT other FROM release_group) "
            "AND key NOT IN (SELECT key FROM covered)"
        )
    for name in ("covered", "cover_art", "cover_art_type", "release", "release_group"):
        db.execute(f"DROP TABLE {name}")


def _members(file: Path, wanted: Collection[str]) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Yields the wanted members of an archive with their lines, decompressed as they are read."""
    left = {*wanted}
    with tarfile.open(file, "r|*") as archive:
        for member in archive:
            stream = archive.extractfile(member) if member.name in left else None
            if stream is not None:
                left.discard(member.name)
                yield member.name, iter(lambda: stream.readline(_MAX_LINE), b"")  # noqa: B023
            if not left:
                return
    raise ValueError(f"{file.name} has no {', '.join(sorted(left))}")
