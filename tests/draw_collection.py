"""Writes a small ImageFolder collection of covers: python draw_collection.py DIR.

It has a few dozen pictures of various modes, formats and sizes, and a few unusable entries.
"""

import json
import random
import sys
from pathlib import Path

from PIL import Image, ImageDraw

GENRES = ("drone", "samba", "zydeco")
MODES = ("RGB", "L", "RGBA", "P", "CMYK", "LA")


def main(folder: Path) -> None:
    """Writes the pictures and `metadata.jsonl`."""
    (folder / "images").mkdir(parents=True)
    chance = random.Random(0)
    lines = []
    for i in range(48):
        mode = MODES[i % len(MODES)]
        size = chance.choice([(300, 300), (200, 260), (90, 80), (40, 40)])
        genre = chance.randrange(len(GENRES))
        picture = Image.new("RGB", size, tuple(chance.choices(range(256), k=3)))
        shape = (size[0] // 4, size[1] // 4, size[0] // 2, size[1] // 2)
        ImageDraw.Draw(picture).ellipse(shape, fill=(255 * (genre == 0), 200, 255 * (genre == 1)))
        name = f"images/{i:02d}.{'jpg' if mode in ('RGB', 'L', 'CMYK') else 'png'}"
        picture.convert(mode).save(folder / name)
        lines.append({"file_name": name, "genres": [GENRES[genre]], "release_year": 1970 + i})
    whole = (folder / "images/00.jpg").read_bytes()
    (folder / "images" / "broken.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "images" / "empty.jpg").touch()
    lines += [{"file_name": f"images/{name}.jpg"} for name in ("broken", "empty", "missing")]
    lines.append({"file_name": "../outside.jpg"})
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "metadata.jsonl").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
