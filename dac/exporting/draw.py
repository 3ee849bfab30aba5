"""Draws covers with this folder and jax: python draw.py '{"title": "Version"}' covers.ppm.

It needs jax, numpy and flatbuffers. The album may have genres (weights by name), year, artist and
title; see config.json.
"""

import json
import sys
import unicodedata
import zlib
from pathlib import Path

import jax.export
import numpy as np

HERE, BATCH = Path(__file__).parent, 16


def ngrams(name):
    """Hashes the n-grams of a name, [1, 193] int32; 0 is none."""
    seen = "".join(c for c in name if c.isspace() or unicodedata.category(c)[:2] not in UNSEEN)
    for form in ("NFD", "NFKC"):
        seen = unicodedata.normalize(form, seen).casefold()
    text = " ".join(unicodedata.normalize("NFKC", seen).split())[:64]
    marked = f"\x02{text}\x03"
    parts = [*text] + [marked[i : i + n] for n in (2, 3) for i in range(len(marked) - n + 1)]
    ids = [1 + zlib.crc32(part.encode()) % 4095 for part in parts if text]
    return np.array([ids + [0] * (193 - len(ids))], np.int32)


def draw(album, seeds):
    """Draws a cover for each seed, [N, R, R, 3] uint8."""
    about = json.loads((HERE / "config.json").read_text("utf-8"))
    content = (HERE / "model.safetensors").read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    weights = {
        name: np.frombuffer(content[end:][slice(*x["data_offsets"])], "<f4").reshape(x["shape"])
        for name, x in json.loads(content[8:end]).items()
        if name != "__metadata__"
    }
    genres = np.array([[album.get("genres", {}).get(g, 0) for g in about["genres"]]], np.float32)
    values = {
        "genres": genres / max(genres.sum(), 1e-9),
        "year": np.float32([(album.get("year", 1980) - 1980) / 30]),
        **{name: ngrams(album.get(name, "")) for name in ("artist", "title")},
    }
    arrays = {}
    for field in about["config"]["conditions"]:
        arrays[field] = values[field].repeat(BATCH, axis=0)
        arrays[f"{field}_known"] = np.full(BATCH, bool(album.get(field)))
    function = jax.export.deserialize((HERE / "generator.jaxexport").read_bytes())
    padded = np.resize(np.array(seeds, np.uint32), -(-len(seeds) // BATCH) * BATCH)
    ones = np.ones(BATCH, np.float32)  # the truncation of each cover
    parts = [function.call(weights, part, arrays, ones) for part in padded.reshape(-1, BATCH)]
    return np.concatenate(parts)[: len(seeds)]


UNSEEN = ("Cc", "Cf", "Cs")
if __name__ == "__main__":
    row = np.concatenate(draw(json.loads(sys.argv[1]), range(4)), axis=1)
    Path(sys.argv[2]).write_bytes(b"P6 %d %d 255\n" % row.shape[1::-1] + row.tobytes())
