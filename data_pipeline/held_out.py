"""Which covers a dataset holds out of training: the split `validation`.

Albums with the same artist credit are on one side, and so are albums that share a picture, or
nearly share one. A joint credit ("King Echo & Friends") counts as an artist of its own. Whether an
artist is held out depends on the name and on the share alone, so it hardly changes as a collection
grows.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dac.covers.conditions import fold_name
from data_pipeline.folder import CoverRecord, Skipped

LEAST = 500  # covers; smaller collections are used whole
AIM = 1000  # covers to hold out, within these shares of a collection
SHARES = (0.05, 0.2)
# An artist with a large part of a collection may fall on either side. If more than this share would
# be held out, nothing is.
MOST = 0.4


@dataclass(frozen=True)
class HeldOut:
    """What a collection holds out."""

    share: float  # about what share of the covers; 0 for none
    same: Mapping[str, str]  # for artists and albums that share a picture: who decides for all

    def __contains__(self, line: CoverRecord | Skipped) -> bool:
        """Returns whether an album is held out; skipped lines are not."""
        if isinstance(line, Skipped):
            return False
        key = _key(line)
        return _place(self.same.get(key, key)) < self.share

    def is_of(self, line: CoverRecord | Skipped, held: bool) -> bool:
        """Returns whether a line is of the held-out covers, or of the others if not `held`."""
        return (line in self) == held


def choose_held_out(records: Iterable[CoverRecord], doubles: Iterable[CoverRecord]) -> HeldOut:
    """Returns what a collection holds out.

    Args:
      records: all albums.
      doubles: all albums once more; read only if albums share pictures.
    """
    links, artists = [], {}
    for record in records:
        key = _key(record)
        artists[key] = artists.get(key, 0) + 1
        links += [(key, other) for other in (record.same_as, record.similar_to) if other]
    count = sum(artists.values())
    least, most = SHARES
    share = min(max(AIM / count, least), most) if count >= LEAST else 0.0
    same = _joined(links, doubles) if share and links else {}
    held = sum(n for key, n in artists.items() if _place(same.get(key, key)) < share)
    return HeldOut(share if 0 < held <= MOST * count else 0.0, same)


def _key(record: CoverRecord) -> str:
    """Returns whose album it is, as far as that is known."""
    artist = fold_name(record.artist or "")
    return f"artist {artist}" if artist else f"album {record.album_id}"


def _place(key: str) -> float:
    """Returns a number in [0, 1) that looks random."""
    digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=7).digest()
    return int.from_bytes(digest) / 2**56


def _joined(links: list[tuple[str, str]], records: Iterable[CoverRecord]) -> dict[str, str]:
    """Returns, for each key that links join to others, the first of them all."""
    wanted = {album for _, album in links}
    key_of = {record.album_id: _key(record) for record in records if record.album_id in wanted}
    parents: dict[str, str] = {}

    def first(key):
        while (parent := parents.get(key, key)) != key:
            key = parent
        return key

    for key, album in links:
        one, other = sorted((first(key), first(key_of.get(album, f"album {album}"))))
        parents[other] = parents[one] = one
    return {key: first(key) for key in parents}
