"""Exports cover URLs for img2dataset, which downloads them on a cluster."""

import itertools
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from dac.errors import UserError
from dac.files import write_lines
from data_pipeline.catalog import Cover, read_covers

COLUMNS = ("url", "album_id", "genres", "release_year", "artist", "title")
_ROWS = 10_000  # rows per Parquet group, which is held in memory


def write_urls(file: Path, folder: Path, source: str, cover_url: Callable[[Cover], str]) -> int:
    """Writes a row for each known cover of a collection, stored or not, atomically.

    Args:
      file: the file to write, .jsonl or .parquet.
      folder: the collection's folder.
      source: the name of the collection's source.
      cover_url: returns the URL of a cover.

    Returns:
      The number of rows.

    Raises:
      UserError: the file has another ending, pyarrow is missing, or there is no such collection.
    """
    count = 0

    def rows() -> Iterator[dict[str, Any]]:
        nonlocal count
        for cover, fields in read_covers(folder, source):
            count += 1
            row = {"url": cover_url(cover)} | fields
            yield {name: row.get(name) for name in COLUMNS}

    if file.suffix == ".jsonl":
        write_lines(file, (json.dumps(row, ensure_ascii=False) + "\n" for row in rows()))
    elif file.suffix == ".parquet":
        _write_parquet(file, rows())
    else:
        raise UserError(f"--export_urls={file} must end in .jsonl or .parquet")
    return count


def _write_parquet(file: Path, rows: Iterator[dict[str, Any]]) -> None:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise UserError(
            "writing Parquet needs pyarrow: run pip install pyarrow, or write a .jsonl file"
        ) from error
    others = {"genres": pa.list_(pa.string()), "release_year": pa.int32()}
    schema = pa.schema([(name, others.get(name, pa.string())) for name in COLUMNS])
    temporary = file.with_name(f"{file.name}.part")
    with pq.ParquetWriter(temporary, schema) as writer:
        while group := list(itertools.islice(rows, _ROWS)):
            writer.write_table(pa.Table.from_pylist(group, schema))
    os.replace(temporary, file)
