"""The palettes of the genres: each has three, for the early, the middle and the late years.

Each colour has the same role in every layout, so an album with two genres can combine the layout of
one with the palette of the other.
"""

import random
from typing import NamedTuple

from data_pipeline.demo_covers.canvas import Colour, luminance, mix

# One palette gives way to the next within these years.
TURNS = ((1964, 1972), (1988, 1996))


class Palette(NamedTuple):
    """Five inks: two for the background, two for the foreground, one for the lettering."""

    ground: Colour
    field: Colour
    main: Colour
    accent: Colour
    ink: Colour

    def jittered(self, rng: random.Random) -> "Palette":
        """Returns the palette with every colour slightly varied, as in another print run."""
        return Palette(
            *(tuple(min(255, max(0, c + rng.randint(-12, 12))) for c in colour) for colour in self)
        )

    def on(self, ground: Colour) -> Colour:
        """Returns the lettering's colour on `ground`: the ink, or the colour with most contrast."""
        light = luminance(ground)
        if abs(luminance(self.ink) - light) > 90:
            return self.ink
        return max(self, key=lambda colour: abs(luminance(colour) - light))

    def by_contrast(self, ground: Colour) -> list[Colour]:
        """Returns the colours that differ from `ground`, the one that differs most first."""

        def difference(colour: Colour) -> float:
            """Returns how far apart the colours are; brightness counts more than hue."""
            hue = sum(abs(a - b) for a, b in zip(colour, ground, strict=True)) / 3
            return abs(luminance(colour) - luminance(ground)) + 0.5 * hue

        colours = sorted(set(self), key=difference, reverse=True)
        return [colour for colour in colours if difference(colour) > 30]


def palette_of(genre: str, year: int) -> Palette:
    """Returns the palette of a genre in a year."""
    palette, *later = PALETTES[genre]
    for following, (first, last) in zip(later, TURNS, strict=True):
        share = min(1.0, max(0.0, (year - first) / (last - first)))
        palette = Palette(*(mix(a, b, share) for a, b in zip(palette, following, strict=True)))
    return palette


def _palettes(*rows: str) -> tuple[Palette, ...]:
    return tuple(Palette(*(tuple(bytes.fromhex(ink)) for ink in row.split())) for row in rows)


# Ground, field, main, accent and ink.
PALETTES: dict[str, tuple[Palette, ...]] = {
    "ambient": _palettes(
        "c9d6d2 6f8f92 a9b7b4 f4efdc 2f4547",
        "bedee4 5896a8 9eb2d8 fafaf0 264254",
        "d6cdea 7f7fb8 b2a6dc fdf4f6 3a3462",
    ),
    "blues": _palettes(
        "1f3350 35608c 7fa6c8 e8c27a f0ead8",
        "12284a 1f5aa0 6fa8e0 ffb640 f4efe0",
        "0c1c3a 2a48a8 8fb4ff ff9a30 f8f4ec",
    ),
    "bossa nova": _palettes(
        "f47c20 fceccc ce4a1e ffd040 361814",
        "e8921e f8e2b0 b84a1a ffd23a 0f3b3a",
        "ff9d5c fff2e0 e2553f ffd95e 2c2a4a",
    ),
    "classical": _palettes(
        "f0e6c8 6a1626 9c7a34 c8a24a 2a1214",
        "f4d75a 6e1222 fff4d6 a8741c 2a0c10",
        "faf4e2 8a0f2e a8843a e0b84e 1e0c14",
    ),
    "country": _palettes(
        "9cc8c4 d89a62 b4502c f4e8cc 4a2a1c",
        "5fb0b4 e0a058 c04a22 fff0d0 3a2014",
        "58bcd8 e8b070 c83c28 fff6e4 2a2a44",
    ),
    "disco": _palettes(
        "6a3a7a 46204e d8ccd8 e0b860 2c1230",
        "8a2aa8 4a1060 ecebf6 ffcc44 240832",
        "b030d8 5a10a0 f4f0ff ffd84a 1a0630",
    ),
    "dub": _palettes(
        "2a6e3a 1c2418 e0b23c b23a2c f4e6bc",
        "0a6e34 122216 f8c41e ce2420 fff0be",
        "00963c 0c1010 ffdc00 f0202a fff8d8",
    ),
    "folk": _palettes(
        "d8c49a efe2c0 7a7048 9a5030 3c2c20",
        "d0ae7a f4e6c4 868042 b0542a 4e301c",
        "c4b48a f6efdc 5d7a5a c4703c 2f3a2e",
    ),
    "free jazz": _palettes(
        "f2eee2 2048be 0e1c68 ec4626 10121e",
        "f6f4ee 1d9ad6 0b4a86 ff5a36 0c1420",
        "ffffff 3a3aff 1414a0 ff4b2e 0a0a14",
    ),
    "hip hop": _palettes(
        "8e8c88 3c3a3a e4e0d4 d86a30 1c1a1a",
        "9a9a9e 2a2a30 f4f4f0 ff6a1e 101014",
        "b4b8c0 1c1c24 ffffff ff4a2e 0a0a10",
    ),
    "psychedelic rock": _palettes(
        "3f9a8c d8683a 7a3a72 e8cc58 2e1a38",
        "1fa39a e8622c 7c2a86 f8d23c 2c1040",
        "00c2b2 ff5a2e 9a1fb8 ffe23a 220a44",
    ),
    "punk": _palettes(
        "e8447e f6dc48 f4f0e0 f6dc48 201a1c",
        "fc2c88 ffea28 f4f4ee ffea28 121014",
        "ff2fa0 d6ff2a fafafa d6ff2a 101010",
    ),
    "soul": _palettes(
        "b8323a f0d8b8 7a1c2a f0b89a 2a1014",
        "d0343c f8e0bc 8c1426 ffb08a 2a0a10",
        "e23a4e ffe8dc a0103a ffa0a0 220a18",
    ),
    "synthwave": _palettes(
        "1c1440 5a2a80 d8508a 58b8c8 f0cf80",
        "160a3e 7018a0 fa3caa 3ce0fa ffde60",
        "0a0a3a 4a10c8 ff2ec4 20f0ff fff04a",
    ),
    "techno": _palettes(
        "1a1c1a 50564e c8d44a e8e8dc f0f0e0",
        "101210 3e4640 c8f000 f4f4f4 f4f4f4",
        "0a0c0a 2c3a34 b4ff00 ffffff ffffff",
    ),
    "thrash metal": _palettes(
        "1a1412 5a1a12 a83020 d88038 e0d4b8",
        "0c090b 600a0c c81410 ff8c1c eae2d0",
        "08080c 3a0610 e01822 ffb21c f4f4f4",
    ),
}
