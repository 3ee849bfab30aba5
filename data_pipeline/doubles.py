"""Finds covers that are nearly the same picture: reissues, remasters, other scans.

A cover's fingerprint is a difference hash of 256 bits: whether each cell of a 16 x 16 grid is
brighter than the next one (N. Krawetz, "Kind of Like That", 2013). It survives other sizes and
compressions.
"""

from array import array

import numpy as np
from PIL import Image

from data_pipeline.catalog import Catalog

GRID = 16
MAX_DISTANCE = 20  # bits of 256; unrelated pictures differ in about 128
# Plain pictures have the same few bits whatever they show, so they are not compared.
MIN_BITS = 24

# Pictures are compared with their neighbours in this many orders of their fingerprints, each of
# which begins at another bit. That takes seconds for 600,000, not hours.
_ORDERS = 8
_NEIGHBOURS = 4


def fingerprint(picture: Image.Image) -> bytes:
    """Returns the fingerprint of a decoded picture: 32 bytes."""
    grey = picture.convert("L").resize((GRID + 1, GRID), Image.Resampling.BOX)
    levels = np.asarray(grey, np.int16)  # [16, 17]
    return np.packbits(levels[:, :-1] > levels[:, 1:]).tobytes()


def mark_doubles(catalog: Catalog) -> None:
    """Notes in the catalogue which stored covers are nearly the same."""
    numbers, found = array("q"), bytearray()
    query = "SELECT id, fingerprint FROM albums WHERE state = 'done' ORDER BY id"
    for number, bits in catalog.db.execute(query):
        numbers.append(number)
        found += bits
    hashes = np.frombuffer(found, np.uint8).reshape(-1, 32)
    first = first_alike(hashes)
    doubles = [(numbers[j], numbers[i]) for i, j in enumerate(first.tolist()) if i != j]
    firsts = [(number, number) for number in {number for number, _ in doubles}]
    with catalog.db as db:
        db.execute("UPDATE albums SET cluster = NULL WHERE cluster IS NOT NULL")
        db.executemany("UPDATE albums SET cluster = ? WHERE id = ?", doubles + firsts)


def first_alike(hashes: np.ndarray) -> np.ndarray:
    """Returns, for each picture, the first one that it is a double of, or itself.

    Args:
      hashes: the fingerprints, `[N, 32]` uint8.

    Returns:
      Indices, `[N]` int64. Doubles of doubles are doubles of the same first picture.
    """
    words = np.ascontiguousarray(hashes).view(np.uint64)  # [N, 4]
    bits = np.bitwise_count(words).sum(axis=1, dtype=np.int64)
    (telling,) = np.nonzero((bits >= MIN_BITS) & (bits <= 256 - MIN_BITS))
    pairs = []
    for shift in range(0, 32, 32 // _ORDERS):
        rolled = np.roll(hashes[telling], -shift, axis=1).view(">u8")  # [N, 4]
        order = telling[np.lexsort(rolled.T[::-1])]
        for step in range(1, min(_NEIGHBOURS, len(order) - 1) + 1):
            one, other = order[:-step], order[step:]
            apart = np.bitwise_count(words[one] ^ words[other]).sum(axis=1, dtype=np.int64)
            close = apart <= MAX_DISTANCE
            pairs.append(np.stack([one[close], other[close]]))
    first = np.arange(len(hashes))
    if not pairs:
        return first
    one, other = np.concatenate(pairs, axis=1)
    while True:  # each round hands the smallest index on by one link
        least = np.minimum(first[one], first[other])
        before = first.copy()
        np.minimum.at(first, one, least)
        np.minimum.at(first, other, least)
        first = first[first]
        if (first == before).all():
            return first
