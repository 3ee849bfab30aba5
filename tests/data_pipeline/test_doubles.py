import io

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from data_pipeline.doubles import MAX_DISTANCE, fingerprint, first_alike
from tests.cover_services.covers import cover_jpeg


def opened(number, side=None, quality=60, crop=0):
    picture = Image.open(io.BytesIO(cover_jpeg(number, 200))).convert("RGB")
    if side is None:
        return picture
    picture = picture.crop((crop, crop, 200 - crop, 200 - crop)).resize((side, side))
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=quality)
    return Image.open(data)


def test_other_sizes_and_compressions_are_doubles_and_other_pictures_are_not():
    pictures = [opened(n) for n in range(30)]
    pictures += [opened(n, side=150, quality=50) for n in range(10)]
    pictures += [opened(n, side=500, crop=1) for n in range(10)]
    pictures += [Image.new("RGB", (200, 200), colour) for colour in ("black", "white", "navy")]
    hashes = np.stack([np.frombuffer(fingerprint(p), np.uint8) for p in pictures])
    first = first_alike(hashes)
    assert first[:30].tolist() == [*range(30)]
    assert (first[30:50] == np.tile(np.arange(10), 2)).sum() >= 18
    assert first[50:].tolist() == [50, 51, 52]  # plain pictures are never doubles


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 60), st.integers(0, 6))
def test_doubles_are_those_of_a_plain_comparison(seed, count, bits):
    """Few bits apart: all pairs are found, and doubles of doubles are of the same picture."""
    rng = np.random.default_rng(seed)
    hashes = rng.integers(0, 256, (count, 32), np.uint8)
    for i in range(1, count, 3):
        flips = np.zeros(256, np.uint8)
        flips[rng.choice(256, bits, replace=False)] = 1
        hashes[i] = hashes[rng.integers(i)] ^ np.packbits(flips)
    apart = np.unpackbits(hashes[:, None] ^ hashes[None], axis=2).sum(axis=2)
    expected = [*range(count)]
    for _ in range(count):
        for i in range(count):
            alike = np.nonzero(apart[i] <= MAX_DISTANCE)[0]
            expected[i] = min(expected[j] for j in alike)
    assert first_alike(hashes).tolist() == expected
