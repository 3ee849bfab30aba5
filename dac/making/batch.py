"""Covers for a list of albums: a JSON object a line, in the convention of ImageFolder."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from dac.errors import UserError
from dac.making.save import SUFFIXES
from dac.making.settings import Record, Settings, read_record

MAX_BYTES = 2**28  # of a list
# What a line may have, and the setting that it is. `metadata.jsonl` of a collection has the first
# four; other fields are ignored.
FIELDS = {"genres": "genre", "release_year": "year", "artist": "artist", "title": "title"}
FIELDS |= {name: name for name in ("seed", "truncation", "layout", "font", "ink", "finish")}


@dataclasses.dataclass(frozen=True)
class Job:
    """A cover to make.

    Attributes:
      file: where to, below the folder of the covers.
      cover: its settings.
      line: what is told of the album, as it came.
    """

    file: PurePosixPath
    cover: Settings
    line: dict[str, Any]


def read_jobs(path: Path, base: Settings) -> list[Job]:
    """Reads a list of albums.

    A line may have `file_name` (by default `000000.png`, `000001.png`, ...), `genres` (names, or
    weights by name), `release_year`, `artist`, `title`, and settings of its own. Without `seed`,
    the seed is that of `base` plus the line's number.

    Args:
      path: the file.
      base: what the lines leave open.

    Raises:
      UserError: a line is not valid, or two lines have one `file_name`; the message has its number.
    """
    if not path.is_file():
        raise UserError(f"--batch={path}: there is no such file")
    if path.stat().st_size > MAX_BYTES:
        raise UserError(f"--batch={path} is larger than 256 MiB; split it")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"--batch={path} is not UTF-8 at byte {error.start}") from None
    lines = text.split("\n")  # other ends of lines may stand within a JSON string
    jobs, files = [], set()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            job = _job(json.loads(line), len(jobs), base)
            if job.file in files:
                raise UserError(f"the file_name {str(job.file)!r:.60} is on an earlier line, too")
        except (UserError, ValueError, RecursionError) as error:
            raise UserError(f"--batch={path}, line {number}: {error}") from error
        files.add(job.file)
        jobs.append(job)
    if not jobs:
        raise UserError(f"--batch={path} has no album; write a JSON object a line")
    return jobs


def _job(line: Any, index: int, base: Settings) -> Job:
    if not isinstance(line, dict):
        raise UserError('a line must be a JSON object such as {"genres": ["dub"], "title": "…"}')
    name = line.get("file_name") or f"{index:06d}.png"
    file = PurePosixPath(name) if isinstance(name, str) else PurePosixPath("/")
    plain = "\\" not in str(name) and "\0" not in str(name) and len(str(name)) < 1000
    if file.is_absolute() or ".." in file.parts or ":" in file.parts[0] or not plain:
        raise UserError(f"the file_name {name!r:.60} must be a path below the folder of the covers")
    if file.suffix.lower() not in SUFFIXES:
        raise UserError(f"the file_name {name!r:.60} must end in one of {', '.join(SUFFIXES)}")
    told = {FIELDS[key]: line[key] for key in FIELDS if line.get(key) not in (None, "", [], {})}
    genres = told.get("genre")
    if isinstance(genres, list):
        if not all(isinstance(genre, str) for genre in genres):
            raise UserError(f"genres must be names, not {genres!r:.60}")
        told["genre"] = dict.fromkeys(genres, 1.0)
    told.setdefault("seed", (base.seed + index) % 2**32)
    return Job(file, dataclasses.replace(base, **told), line)


def is_made(job: Job, folder: Path, model: str) -> bool:
    """Whether a cover is there already; a PNG must be of these settings and this generator."""
    path = folder / job.file
    if not path.is_file():
        return False
    if path.suffix.lower() != ".png":
        return True
    try:
        return read_record(path) == Record(model, (job.cover,))
    except UserError:
        return False


def metadata(jobs: Sequence[Job]) -> list[str]:
    """Returns the lines of the folder's `metadata.jsonl`, which make it a collection of covers."""
    return [
        json.dumps({**job.line, "file_name": str(job.file)}, ensure_ascii=False) + "\n"
        for job in jobs
    ]
