"""Musical instruments, and what music is heard from."""

import random

from data_pipeline.demo_covers.canvas import Inks, Stamp, luminance, mix


def guitar(s: Stamp, k: Inks, rng: random.Random) -> None:
    """An acoustic guitar."""
    s.line([(0, 0.3), (0, -0.9)], 0.15, k.detail)
    s.rect(-0.14, -1.05, 0.14, -0.75, k.detail)
    waist = rng.uniform(0.34, 0.42)
    s.disc(0, 0.5, 0.55, k.body, 0.5)
    s.disc(0, -0.02, waist, k.body)
    s.disc(0, 0.2, 0.17, k.hole)
    s.rect(-0.2, 0.62, 0.2, 0.72, k.hole)


def electric_guitar(s: Stamp, k: Inks, rng: random.Random) -> None:
    """An electric guitar with two horns."""
    horn = rng.uniform(-0.3, -0.1)
    s.polygon(
        [
            (-0.55, horn),
            (-0.35, 0.3),
            (-0.6, 0.85),
            (0, 1),
            (0.6, 0.85),
            (0.38, 0.3),
            (0.5, horn + 0.15),
            (0.15, 0.12),
            (-0.15, 0.12),
        ],
        k.body,
    )
    s.line([(0, 0.5), (0, -0.8)], 0.14, k.detail)
    s.polygon([(-0.12, -0.75), (-0.2, -1.05), (0.18, -0.95), (0.12, -0.75)], k.detail)
    for y in (0.4, 0.62):
        s.rect(-0.22, y, 0.22, y + 0.1, k.hole)


def violin(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A violin."""
    s.line([(0, 0.2), (0, -0.9)], 0.12, k.detail)
    s.disc(0, -0.95, 0.12, k.detail)
    waist = rng.uniform(0.2, 0.26)
    s.disc(0, 0.55, 0.48, k.body, 0.42)
    s.disc(0, -0.1, 0.38, k.body, 0.34)
    s.rect(-waist, -0.1, waist, 0.5, k.body)
    for x in (-0.2, 0.2):
        s.line([(x * 0.8, 0.12), (x * 1.15, 0.5)], 0.07, k.hole)
    s.polygon([(-0.1, 0.55), (0.1, 0.55), (0.05, 0.9), (-0.05, 0.9)], k.detail)


def lyre(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A lyre."""
    out = rng.uniform(0.6, 0.75)
    arm = [(0.1, 0.75), (0.55, 0.55), (out, 0), (0.4, -0.45), (0.6, -0.85)]
    for side in (-1, 1):
        s.line([(side * x, y) for x, y in arm], 0.2, k.body)
        s.disc(side * 0.66, -0.85, 0.15, k.body)
    s.rect(-0.6, -0.6, 0.6, -0.47, k.detail)
    for x in (-0.2, 0, 0.2):
        s.line([(x, -0.5), (x, 0.65)], 0.06, k.detail)
    s.polygon([(-0.35, 0.6), (0.35, 0.6), (0.5, 0.95), (-0.5, 0.95)], k.body)


def piano(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A stretch of piano keys."""
    dark, light = sorted((k.body, k.hole), key=luminance)
    s.rect(-1.05, -0.85, 1.05, 0.8, dark)
    start = rng.randrange(7)
    for i in range(7):
        x = -1 + 2 * i / 7
        s.rect(x + 0.02, -0.65, x + 0.265, 0.72, light)
    for i in range(1, 7):
        if (start + i) % 7 not in (0, 3):
            x = -1 + 2 * i / 7
            s.rect(x - 0.09, -0.7, x + 0.09, 0.15, dark)
    s.rect(-1.05, -0.85, 1.05, -0.65, k.detail)


def saxophone(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A saxophone."""
    side = rng.choice((-1, 1))
    tube = [
        (-0.75, -0.8),
        (-0.4, -0.95),
        (-0.15, -0.7),
        (-0.05, 0.4),
        (0.15, 0.72),
        (0.45, 0.6),
        (0.55, 0.1),
    ]
    s.line([(side * x, y) for x, y in tube], 0.26, k.body)
    s.polygon(
        [(side * x, y) for x, y in ((0.35, 0.3), (0.25, -0.3), (0.95, -0.3), (0.7, 0.3))], k.body
    )
    for y in (-0.35, -0.08, 0.2):
        s.disc(side * -0.09, y, 0.1, k.detail)
    s.disc(side * 0.6, -0.3, 0.35, k.detail, 0.1)


def trumpet(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A trumpet."""
    side = rng.choice((-1, 1))
    s.line([(-side, -0.1), (side * 0.7, -0.1)], 0.16, k.body)
    s.polygon(
        [(side * x, y) for x, y in ((0.4, -0.18), (1, -0.55), (1, 0.35), (0.4, -0.02))], k.body
    )
    loop = [(-0.5, -0.1), (-0.6, 0.25), (-0.4, 0.4), (0.25, 0.4), (0.4, 0.2), (0.3, -0.1)]
    s.line([(side * x, y) for x, y in loop], 0.13, k.body)
    for x in (-0.3, -0.05, 0.2):
        s.line([(side * x, -0.45), (side * x, 0.5)], 0.13, k.detail)


def speaker(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A loudspeaker with two cones."""
    s.rect(-0.68, -1, 0.68, 1, k.body)
    for y, r in ((0.4, 0.52), (-0.55, rng.uniform(0.24, 0.34))):
        s.disc(0, y, r, k.hole)
        s.disc(0, y, r * 0.8, k.detail)
        s.disc(0, y, r * 0.4, k.body)


def record(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A vinyl record with its label."""
    s.disc(0, 0, 1, k.body)
    for r in (0.86, 0.66):
        s.disc(0, 0, r, mix(k.body, k.hole, 0.35))
        s.disc(0, 0, r - 0.07, k.body)
    s.disc(0, 0, rng.uniform(0.32, 0.42), k.detail)
    s.disc(0, 0, 0.09, k.hole)


def boombox(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A portable stereo."""
    s.line([(-0.6, -0.5), (-0.6, -0.85), (0.6, -0.85), (0.6, -0.5)], 0.12, k.body)
    s.rect(-1, -0.55, 1, 0.7, k.body)
    for side in (-1, 1):
        s.disc(side * 0.6, 0.18, 0.36, k.hole)
        s.disc(side * 0.6, 0.18, rng.uniform(0.18, 0.25), k.detail)
    s.rect(-0.18, -0.05, 0.18, 0.4, k.hole)
    s.rect(-0.85, -0.42, 0.85, -0.27, k.detail)


def cassette(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A cassette."""
    s.rect(-1, -0.65, 1, 0.65, k.body)
    s.rect(-0.85, -0.52, 0.85, 0.2, k.detail)
    s.rect(-0.6, -0.25, 0.6, 0.12, k.body)
    for x in (-0.36, 0.36):
        s.disc(x, -0.07, rng.uniform(0.1, 0.17), k.hole)
    s.polygon([(-0.6, 0.65), (-0.5, 0.4), (0.5, 0.4), (0.6, 0.65)], k.hole)


def microphone(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A microphone on a stand."""
    s.line([(0, 0.4), (0, 1)], 0.14, k.body)
    s.rect(-0.45, 0.88, 0.45, 1, k.body)
    s.disc(0, -0.25, 0.5, k.body, 0.7)
    for y in (-0.55, -0.3, -0.05):
        s.line([(-0.34, y), (0.34, y)], rng.uniform(0.09, 0.13), k.hole)
    s.rect(-0.5, 0.08, 0.5, 0.24, k.detail)


def equalizer(s: Stamp, k: Inks, rng: random.Random) -> None:
    """Columns of blocks, as on a level meter."""
    for column in range(5):
        x = -0.95 + 0.4 * column
        lit = rng.randint(2, 7)
        for row in range(lit):
            y = 0.9 - 0.27 * row
            s.rect(x, y - 0.2, x + 0.3, y, k.detail if row == lit - 1 else k.body)
