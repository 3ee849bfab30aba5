"""Ids of MusicBrainz and Spotify for numbered items, and the hash behind all that looks random."""

import functools
import hashlib
import re
import uuid

# Ids look random, yet encode their number, so 600,000 of them need no lookup table: multiplication
# by an odd constant scatters the number over 32 bits, and its inverse recovers it.
_SCATTER = 0x9E3779B1
_GATHER = pow(_SCATTER, -1, 1 << 32)
_BASE62 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def stable_hash(*parts: object) -> int:
    """Returns 64 bits that depend only on the parts; the same in every process."""
    text = "\0".join(map(str, parts))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


def make_mbid(kind: str, number: int) -> str:
    """Returns the MusicBrainz id of the item with this number, among those of its kind."""
    low = stable_hash("id", kind, number)
    scattered = (number + len(kind)) * _SCATTER % (1 << 32)
    return str(uuid.UUID(int=scattered << 96 | low << 32 | low >> 32, version=4))


def make_spotify_id(mbid: str) -> str:
    """Returns the Spotify id of the item with this MusicBrainz id."""
    number = uuid.UUID(mbid).int
    digits = []
    for _ in range(22):
        number, digit = divmod(number, 62)
        digits.append(_BASE62[digit])
    return "".join(reversed(digits))


def number_of(kind: str, any_id: str) -> int | None:
    """Returns the number behind a MusicBrainz or Spotify id; None if no item has that id."""
    if re.fullmatch(r"[0-9A-Za-z]{22}", any_id):
        value = functools.reduce(lambda total, digit: total * 62 + _BASE62.index(digit), any_id, 0)
        if value >= 1 << 128:
            return None
        any_id = str(uuid.UUID(int=value))
    if not re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", any_id):
        return None
    number = int(any_id[:8], 16) * _GATHER % (1 << 32) - len(kind)
    return number if number >= 0 and make_mbid(kind, number) == any_id else None
