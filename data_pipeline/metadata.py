"""Writes what a collection holds: `metadata.jsonl`, `ATTRIBUTION.md`, lists of URLs."""

import itertools
import json
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from dac.errors import UserError
from dac.files import write_lines, write_text
from data_pipeline import musicbrainz, spotify
from data_pipeline.albums import Cover
from data_pipeline.catalog_file import open_to_read, read_setting
from data_pipeline.folder import ATTRIBUTION_FILE, METADATA_FILE

URL_COLUMNS = ("url", "album_id", "genres", "release_year", "artist", "title")
_ROWS = 10_000  # rows per Parquet group, which is held in memory

_PAGES = {"musicbrainz": musicbrainz.ALBUM_PAGE, "spotify": spotify.ALBUM_PAGE}
_ATTRIBUTIONS = {
    "musicbrainz": """# Where this collection is from

- Covers: the [Cover Art Archive](https://coverartarchive.org), a project of the Internet Archive
  and MusicBrainz. **They belong to their owners**, mostly record labels and artists. Nobody has
  licensed them to you; whether you may use them depends on where you are and what for.
- Albums, artists, years and types: [MusicBrainz](https://musicbrainz.org), public domain (CC0 1.0).
- Genres: the votes of MusicBrainz's users, CC BY-NC-SA 3.0: name MusicBrainz, no commercial use,
  and pass them on under the same licence.

Each line of `metadata.jsonl` has the page of the album, the address of the picture and the day it
was fetched.
""",
    "spotify": f"""# Where this collection is from

Covers, albums, artists and genres: Spotify. Covers belong to their owners. {spotify.TERMS}.

Each line of `metadata.jsonl` has the page of the album, the address of the picture and the day it
was fetched.
""",
}

# The first three columns are of the cover; the others, if known, the fields of its line. A label
# that begins with = is of a list, not a genre.
_COVERS = """
WITH first AS (SELECT sha256, min(id) AS id FROM albums
  WHERE chosen AND state = 'done' GROUP BY sha256 HAVING count(*) > 1),
alike AS (SELECT cluster, min(id) AS id FROM albums
  WHERE chosen AND state = 'done' AND cluster IS NOT NULL GROUP BY cluster)
SELECT albums.id, key, url, file_name, key AS album_id,
  (SELECT json_group_array(label) FROM labels
    WHERE album = albums.id AND label NOT LIKE '=%') AS genres,
  release_year, artist, title, nullif(types, '[]') AS types,
  (SELECT key FROM albums AS same
    WHERE same.id = first.id AND same.id <> albums.id) AS same_as,
  (SELECT key FROM albums AS other
    WHERE other.id = alike.id AND other.sha256 <> albums.sha256) AS similar_to,
  :source AS source, replace(:page, '{{key}}', key) AS page_url, picture_url,
  release AS release_id, date(stored_at, 'unixepoch') AS fetched,
  nullif(lower(hex(albums.sha256)), '') AS sha256
FROM albums LEFT JOIN first ON first.sha256 = albums.sha256
LEFT JOIN alike ON alike.cluster = albums.cluster
WHERE chosen AND {which} ORDER BY albums.id
"""
_JSON = ("genres", "types")


def write_metadata(folder: Path) -> None:
    """Writes `metadata.jsonl` and `ATTRIBUTION.md` from the catalogue, atomically."""
    with closing(open_to_read(folder)) as db:
        source = read_setting(db, "source")
    lines = (
        json.dumps(fields, ensure_ascii=False) + "\n"
        for _, fields in _read_covers(folder, "albums.state = 'done'")
    )
    write_lines(folder / METADATA_FILE, lines)
    write_text(folder / ATTRIBUTION_FILE, _ATTRIBUTIONS[source])


def write_urls(file: Path, folder: Path, cover_urls: Callable[[Cover], list[str]]) -> int:
    """Writes a row for each chosen cover of a collection, stored or not, atomically.

    Args:
      file: the file to write, .jsonl or .parquet.
      folder: the collection's folder.
      cover_urls: returns the URLs of a cover, the best first.

    Returns:
      The number of rows.

    Raises:
      UserError: the file has another ending, or pyarrow is missing.
    """
    count = 0

    def rows() -> Iterator[dict[str, Any]]:
        nonlocal count
        for cover, fields in _read_covers(folder, "albums.reason IS NOT 'no_cover'"):
            count += 1
            row = {"url": next(iter(cover_urls(cover)), "")} | fields
            yield {name: row.get(name) for name in URL_COLUMNS}

    if file.suffix == ".jsonl":
        write_lines(file, (json.dumps(row, ensure_ascii=False) + "\n" for row in rows()))
    elif file.suffix == ".parquet":
        _write_parquet(file, rows())
    else:
        raise UserError(f"--export_urls={file} must end in .jsonl or .parquet")
    return count


def _read_covers(folder: Path, which: str) -> Iterator[tuple[Cover, dict[str, Any]]]:
    """Yields chosen covers with the known fields of their albums."""
    with closing(open_to_read(folder)) as db:
        source = read_setting(db, "source")
        rows = db.execute(_COVERS.format(which=which), {"source": source, "page": _PAGES[source]})
        names = [column[0] for column in rows.description[3:]]
        for row in rows:
            fields = {
                name: json.loads(value) if name in _JSON else value
                for name, value in zip(names, row[3:], strict=True)
                if value is not None
            }
            yield Cover(*row[:3]), fields


def _write_parquet(file: Path, rows: Iterator[dict[str, Any]]) -> None:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise UserError(
            "writing Parquet needs pyarrow: run pip install pyarrow, or write a .jsonl file"
        ) from error
    others = {"genres": pa.list_(pa.string()), "release_year": pa.int32()}
    schema = pa.schema([(name, others.get(name, pa.string())) for name in URL_COLUMNS])
    temporary = file.with_name(f"{file.name}.part")
    with pq.ParquetWriter(temporary, schema) as writer:
        while group := list(itertools.islice(rows, _ROWS)):
            writer.write_table(pa.Table.from_pylist(group, schema))
    os.replace(temporary, file)
