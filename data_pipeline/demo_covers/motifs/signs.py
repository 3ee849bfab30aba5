"""Signs, simple shapes, faces and parts of the body."""

import math
import random

from data_pipeline.demo_covers.canvas import Inks, Stamp, mix


def skull(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A skull, sometimes with horns."""
    if rng.random() < 0.5:
        s.polygon([(0.3, -0.5), (0.8, -0.6), (0.7, -1.1), (1.05, -0.5), (0.7, -0.2)], k.body, True)
    s.disc(0, -0.2, 0.72, k.body, 0.65)
    jaw = rng.uniform(0.75, 1)
    s.polygon([(-0.45, 0.2), (0.45, 0.2), (0.36, jaw), (-0.36, jaw)], k.body)
    s.polygon([(0.1, 0), (0.52, -0.3), (0.5, 0.1), (0.3, 0.2)], k.hole, True)
    s.polygon([(0, 0.15), (-0.12, 0.42), (0.12, 0.42)], k.hole)
    for x in (-0.22, 0, 0.22):
        s.line([(x, 0.58), (x, jaw)], 0.07, k.hole)


def mohawk(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A head with a mohawk and dark glasses."""
    for i in range(7):
        turn = (i - 3) * 0.3
        long = rng.uniform(0.95, 1.15)
        s.polygon(
            [
                (0.4 * math.sin(turn - 0.2), 0.1 - 0.45 * math.cos(turn - 0.2)),
                (long * math.sin(turn), 0.1 - long * math.cos(turn)),
                (0.4 * math.sin(turn + 0.2), 0.1 - 0.45 * math.cos(turn + 0.2)),
            ],
            k.detail,
        )
    s.disc(0, 0.3, 0.5, k.body, 0.65)
    s.polygon([(0, 0.1), (0.45, 0.06), (0.4, 0.36), (0.1, 0.34)], k.hole, True)
    s.line([(-0.22, 0.66), (0.22, 0.66 + rng.uniform(-0.1, 0.1))], 0.11, k.hole)


def smiley(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A smiling face."""
    s.disc(0, 0, 1, k.body)
    s.disc(-0.32, -0.3, 0.12, k.hole, 0.24)
    s.disc(0.32, -0.3, 0.12, k.hole, 0.24)
    deep = rng.uniform(0.5, 0.7)
    smile = [
        (0.65 * math.cos(t * math.pi / 8), 0.1 + deep * math.sin(t * math.pi / 8)) for t in range(9)
    ]
    s.line(smile, 0.13, k.hole)


def eye(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A wide open eye with lashes."""
    for i in range(-3, 4):
        x = i * 0.27
        s.line([(x, -0.25), (x * 1.35, -0.9 + 0.06 * i * i)], 0.09, k.detail)
    lid = [(math.cos(t * math.pi / 8), math.sin(t * math.pi / 8)) for t in range(16)]
    s.polygon([(x, 0.55 * y * abs(y) ** 0.3) for x, y in lid], k.body)
    look = rng.uniform(-0.25, 0.25)
    s.disc(look, 0, 0.4, k.detail)
    s.disc(look, 0, 0.2, k.hole)


def lips(s: Stamp, k: Inks, rng: random.Random) -> None:
    """Parted lips."""
    apart = rng.uniform(0.08, 0.25)
    s.polygon(
        [(-1, 0), (-0.35, -0.5), (0, -0.35), (0.35, -0.5), (1, 0), (0.4, 0.55), (-0.4, 0.55)],
        k.body,
    )
    s.polygon([(-0.75, 0), (0, -apart), (0.75, 0), (0, apart)], k.hole)


def hand(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A raised open hand."""
    spread = rng.uniform(0.1, 0.2)
    s.polygon([(-0.45, 0), (0.45, 0), (0.4, 0.6), (0.25, 1), (-0.25, 1), (-0.4, 0.6)], k.body)
    for i, top in enumerate((-0.65, -0.95, -1, -0.75)):
        x = -0.34 + 0.23 * i
        s.line([(x, 0.1), (x + spread * (i - 1.5), top)], 0.19, k.body)
    s.line([(0.35, 0.5), (0.8, -0.05)], 0.2, k.body)
    s.disc(0, 0.4, 0.2, k.detail)


def heart(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A heart, sometimes with a smaller one inside."""
    s.polygon(_HEART, k.body)
    if rng.random() < 0.5:
        s.polygon([(0.55 * x, 0.55 * y) for x, y in _HEART], k.detail)


_HEART = [
    (
        0.97 * math.sin(t) ** 3,
        -0.78 * math.cos(t)
        + 0.3 * math.cos(2 * t)
        + 0.12 * math.cos(3 * t)
        + 0.06 * math.cos(4 * t),
    )
    for t in (i * math.tau / 32 for i in range(32))
]


def star(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A star of four to eight points."""
    points = rng.choice((4, 5, 5, 8))
    tips = []
    for i in range(2 * points):
        r, turn = (0.42 if i % 2 else 1), i * math.pi / points
        tips.append((r * math.sin(turn), -r * math.cos(turn)))
    s.polygon(tips, k.body)


def pentagram(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A five-pointed star in a ring, one point down."""
    del rng
    s.disc(0, 0, 1, k.detail)
    s.disc(0, 0, 0.86, k.hole)
    tips = [
        (0.92 * math.sin(i * 0.8 * math.pi), 0.92 * math.cos(i * 0.8 * math.pi)) for i in range(6)
    ]
    s.line(tips, 0.15, k.body)


def triangle(s: Stamp, k: Inks, rng: random.Random) -> None:
    """Nested neon triangles."""
    down = rng.choice((-1, 1))
    for scale, colour in ((1, k.body), (0.78, k.hole), (0.6, k.detail), (0.4, k.hole)):
        s.polygon(
            [
                (0, -scale * down),
                (0.95 * scale, 0.7 * scale * down),
                (-0.95 * scale, 0.7 * scale * down),
            ],
            colour,
        )


def target(s: Stamp, k: Inks, rng: random.Random) -> None:
    """Rings around a dot."""
    rings = rng.choice((3, 4))
    for i in range(rings):
        r = 1 - i / rings
        s.disc(0, 0, r, k.body)
        s.disc(0, 0, r - 0.5 / rings, k.hole)
    s.disc(0, 0, 0.14, k.detail)


def cube(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A cube seen from a corner."""
    h = rng.uniform(0.45, 0.58)
    s.polygon([(0, -1), (0.87, -1 + h), (0, -1 + 2 * h), (-0.87, -1 + h)], k.body)
    s.polygon([(0.87, -1 + h), (0.87, 0.95 - h), (0, 0.95), (0, -1 + 2 * h)], k.detail)
    s.polygon(
        [(-0.87, -1 + h), (-0.87, 0.95 - h), (0, 0.95), (0, -1 + 2 * h)], mix(k.body, k.hole, 0.55)
    )


def cutout(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A piece of cut paper like seaweed, with a smaller piece on it."""
    points = []
    for i in range(14):
        r, turn = (0.95 if i % 2 else 0.4) + rng.uniform(-0.15, 0.15), i * math.tau / 14
        points.append((r * math.cos(turn), r * math.sin(turn)))
    s.polygon(points, k.body)
    s.disc(rng.uniform(-0.2, 0.2), rng.uniform(-0.2, 0.2), rng.uniform(0.2, 0.32), k.detail)
