"""Stores covers on disk: checks them, then writes the original bytes atomically."""

import hashlib
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from data_pipeline.albums import Cover, Stored
from data_pipeline.answers import Answer, FetchError
from data_pipeline.doubles import fingerprint
from data_pipeline.pictures import PictureError, decode, open_picture

IMAGES_FOLDER = "images"
PARTIAL_FOLDER = "partial"  # for files being written; leftovers are deleted
MAX_BYTES = 20_000_000
MIN_SIDE = 16  # pixels; anything smaller is a placeholder

_FORMATS = {
    "image/jpeg": "JPEG",
    "image/jpg": "JPEG",
    "image/png": "PNG",
    "image/webp": "WEBP",
    "image/gif": "GIF",
}
_SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "GIF": ".gif"}

# Decoding at a fraction of the size still reads the whole JPEG, in a third of the time.
_CHECK_SIZE = 32


def prepare(folder: Path) -> None:
    """Creates the folders of a collection and deletes partly written files."""
    for part in (IMAGES_FOLDER, PARTIAL_FOLDER):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for left in (folder / PARTIAL_FOLDER).iterdir():
        left.unlink()


def store(folder: Path, key: str, answer: Answer) -> Stored:
    """Writes an album's cover to `images/ab/KEY.jpg`, where `ab` is one of 256 subfolders.

    Args:
      folder: the collection's folder, prepared by `prepare`.
      key: the album's key, safe as a file name.
      answer: the response with the picture.

    Raises:
      FetchError: the body is not a picture of its content type, is broken, too large or too small.
      OSError: the file cannot be written.
    """
    kind = _FORMATS.get(answer.type)
    if kind is None:
        raise FetchError("wrong_type")
    name = _file_name(key, kind)
    stored = _check(answer.body, name, kind)
    partial = folder / PARTIAL_FOLDER / os.path.basename(name)
    partial.write_bytes(answer.body)
    final = folder / name
    try:
        os.replace(partial, final)
    except FileNotFoundError:  # the subfolder does not exist yet
        final.parent.mkdir(exist_ok=True)
        os.replace(partial, final)
    return stored


def find(folder: Path, cover: Cover) -> Stored | None:
    """Returns the checked cover of an album if it is on disk already, else None.

    A process that is killed after writing a file, but before noting it, leaves such covers. A file
    that was stored before, and is not the same any more, does not count.
    """
    for kind in _SUFFIXES:
        name = _file_name(cover.key, kind)
        try:
            stored = _check((folder / name).read_bytes(), name, kind)
            since = (folder / name).stat().st_mtime
        except (OSError, FetchError):
            continue
        if cover.sha256 in (None, stored.sha256):
            return replace(stored, found_from=since)
    return None


def delete(folder: Path, keys: Iterable[str]) -> None:
    """Deletes all files of albums' covers."""
    for key in keys:
        for kind in _SUFFIXES:
            (folder / _file_name(key, kind)).unlink(missing_ok=True)


def size_of(file: Path) -> int | None:
    """Returns the size of a file in bytes, None if there is none."""
    try:
        return os.path.getsize(file)
    except OSError:
        return None


def _file_name(key: str, kind: str) -> str:
    # Not a prefix of the id: Spotify's ids are case-sensitive, and some file systems are not.
    shard = hashlib.sha256(key.encode()).hexdigest()[:2]
    return f"{IMAGES_FOLDER}/{shard}/{key}{_SUFFIXES[kind]}"


def _check(data: bytes, name: str, kind: str) -> Stored:
    """Returns the properties of a picture; raises `FetchError` if broken or not of this kind."""
    try:
        picture = open_picture(data)
        width, height = picture.size
        if picture.format != kind:
            raise FetchError("wrong_type")
        if min(width, height) < MIN_SIDE:
            raise FetchError("too_small")
        decode(picture, _CHECK_SIZE)
        if picture.mode not in ("L", "RGB"):
            picture = picture.convert("RGBA").convert("RGB")
    except PictureError as error:
        raise FetchError(error.reason) from error
    sha256 = hashlib.sha256(data).digest()
    return Stored(name, len(data), width, height, sha256, fingerprint(picture))
