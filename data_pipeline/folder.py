"""Reads a collection on disk: pictures and a `metadata.jsonl` (ImageFolder convention).

The file is untrusted: invalid fields count as missing, unusable lines are reported with a reason,
and no line can read a file outside the folder.
"""

import functools
import json
import os
import re
import stat
import unicodedata
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dac.covers.conditions import MAX_YEAR, MIN_YEAR

METADATA_FILE = "metadata.jsonl"
ATTRIBUTION_FILE = "ATTRIBUTION.md"

CONVENTION = (
    f"a folder of pictures with a {METADATA_FILE}: one JSON object per line, with file_name and, "
    "if known, album_id, genres (a list), release_year, artist and title"
)

# "1988", "1988-05", "1988-05-01" and "1988-05-01T00:00:00Z".
_DATE = re.compile(r"([0-9]{4})(-[0-9]{2}){0,2}(T.*)?")


@dataclass(frozen=True, slots=True)
class CoverRecord:
    """An album and its picture; what is unknown is None or empty."""

    path: str  # of the picture, an existing file inside the collection's folder
    file_name: str  # the picture's name in `metadata.jsonl`
    line: int  # the line number in `metadata.jsonl`, from 1
    album_id: str  # unique in the collection
    # Normalised, without duplicates. An empty list in `metadata.jsonl` is read as a missing one,
    # because nobody records that an album has no genre.
    genres: tuple[str, ...] = ()
    release_year: int | None = None  # in [`MIN_YEAR`, `MAX_YEAR`]
    artist: str | None = None
    title: str | None = None
    same_as: str | None = None  # the id of another album with the same picture
    similar_to: str | None = None  # the id of another album with nearly the same picture


@dataclass(frozen=True, slots=True)
class Skipped:
    """A line that cannot be used, or whose picture cannot be used."""

    file_name: str | None  # the picture's name in the line, None if it has none
    line: int  # the line number in `metadata.jsonl`, from 1
    reason: str  # one word, such as "malformed_json", "outside_folder" or "missing"

    def as_json(self) -> str:
        """Returns the line as a JSON object."""
        return json.dumps(asdict(self))


def read_folder(folder: str | os.PathLike[str]) -> Iterator[CoverRecord | Skipped]:
    """Yields a record or a reason for each line of `metadata.jsonl`, in order; reads no pictures.

    Blank lines are ignored. Of several lines for the same file or album, only the first is used.

    Raises:
      FileNotFoundError: the folder is missing or has no `metadata.jsonl`.
    """
    metadata = Path(folder, METADATA_FILE)
    if not metadata.is_file():
        missing = METADATA_FILE if os.path.isdir(folder) else "such folder"
        raise FileNotFoundError(f"No {missing}: {metadata}. A collection is {CONVENTION}.")

    root = os.path.realpath(folder)
    seen_paths: set[str] = set()
    seen_albums: set[str] = set()
    with metadata.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            fields = _parse(line)
            if isinstance(fields, str):
                yield Skipped(None, number, fields)
                continue
            file_name = fields.get("file_name")
            if not isinstance(file_name, str) or not file_name.strip():
                yield Skipped(None, number, "no_file_name")
                continue
            path, reason = _locate(root, file_name)
            if reason is None and path in seen_paths:
                reason = "duplicate_file"
            if reason is None:
                album_id = _album_id(fields.get("album_id"), file_name, seen_albums)
                if album_id in seen_albums:
                    reason = "duplicate_album"
            if reason is not None:
                yield Skipped(file_name, number, reason)
                continue
            seen_paths.add(path)
            seen_albums.add(album_id)
            yield CoverRecord(
                path=path,
                file_name=file_name,
                line=number,
                album_id=album_id,
                genres=_genres(fields.get("genres")),
                release_year=parse_year(fields.get("release_year")),
                artist=clean_text(fields.get("artist")),
                title=clean_text(fields.get("title")),
                same_as=_given_id(fields.get("same_as")),
                similar_to=_given_id(fields.get("similar_to")),
            )


def clean_text(value: Any) -> str | None:
    """Returns text in NFC, on one line, without control characters; None if nothing is left."""
    if not isinstance(value, str):
        return None
    if not value.isprintable():  # Skips the slow path for nearly all text.
        # JSON can contain lone surrogates (Cs), which UTF-8 cannot encode.
        value = "".join(" " if unicodedata.category(c) in ("Cc", "Cs") else c for c in value)
    return " ".join(unicodedata.normalize("NFC", value).split()) or None


def normalize_genre(name: Any) -> str | None:
    """Returns the canonical spelling of a genre: cleaned and case-folded; None if empty."""
    return _normalize_genre(name) if isinstance(name, str) else None


@functools.lru_cache(maxsize=4096)
def _normalize_genre(name: str) -> str | None:
    # Folds the decomposed form: Unicode's canonical caseless matching (D145).
    return clean_text(unicodedata.normalize("NFD", clean_text(name) or "").casefold())


def parse_year(value: Any) -> int | None:
    """Returns the year from a whole number or an ISO date, None if invalid or out of range."""
    if isinstance(value, str):
        date = _DATE.fullmatch(value.strip())
        value = int(date[1]) if date else None
    if isinstance(value, float) and value.is_integer():  # Tables with gaps store years as floats.
        value = int(value)
    return value if isinstance(value, int) and MIN_YEAR <= value <= MAX_YEAR else None


def _parse(line: bytes) -> dict[str, Any] | str:
    """Returns the JSON object on a line, or the reason why there is none."""
    try:
        fields = json.loads(line.decode("utf-8-sig"))
    except (ValueError, RecursionError):  # UnicodeDecodeError is a ValueError.
        return "malformed_json"
    return fields if isinstance(fields, dict) else "not_an_object"


def _locate(root: str, file_name: str) -> tuple[str, str | None]:
    """Returns a picture's real path and, if it must not be read, the reason."""
    try:
        path = os.path.realpath(os.path.join(root, file_name))
        if os.path.isabs(file_name) or os.path.commonpath([root, path]) != root:
            return path, "outside_folder"
        # Devices and pipes could block the build forever.
        return path, None if stat.S_ISREG(os.stat(path).st_mode) else "not_a_file"
    except FileNotFoundError:
        return "", "missing"
    except (OSError, ValueError):  # Null bytes, surrogates, long names, permissions.
        return "", "unreadable"


def _album_id(value: Any, file_name: str, taken: set[str]) -> str:
    """Returns the given id, or the file's stem, or its full name if the stem is taken."""
    given = _given_id(value)
    if given is not None:
        return given
    stem = clean_text(Path(file_name).stem)
    return stem if stem is not None and stem not in taken else clean_text(file_name) or ""


def _given_id(value: Any) -> str | None:
    """Returns an id, which may be a whole number; None if there is none."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return clean_text(value)


def _genres(value: Any) -> tuple[str, ...]:
    """Returns the distinct genres in a list; a plain string counts as a list of one."""
    names = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    genres = (normalize_genre(name) for name in names if isinstance(name, str))
    return tuple(dict.fromkeys(genre for genre in genres if genre is not None))
