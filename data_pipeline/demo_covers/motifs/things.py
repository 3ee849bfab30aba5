"""Things to wear, to carry, to ride and to live in."""

import math
import random

from data_pipeline.demo_covers.canvas import Inks, Stamp, mix
from data_pipeline.demo_covers.motifs import signs


def crown(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A crown."""
    high = rng.uniform(-0.9, -0.6)
    s.polygon(
        [(-0.8, 0.7), (-1, -0.5), (-0.45, 0.05), (0, high), (0.45, 0.05), (1, -0.5), (0.8, 0.7)],
        k.body,
    )
    s.rect(-0.78, 0.4, 0.78, 0.55, k.detail)
    for x, y in ((-1, -0.55), (0, high), (1, -0.55)):
        s.disc(x, y, 0.14, k.detail)


def hat(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A hat with a band and a brim."""
    brim = rng.uniform(0.35, 0.5)
    s.disc(0, brim, 1.05, k.body, 0.2)
    s.polygon(
        [
            (-0.6, 0.4),
            (-0.5, -0.45),
            (-0.2, -0.6),
            (0, -0.45),
            (0.2, -0.6),
            (0.5, -0.45),
            (0.6, 0.4),
        ],
        k.body,
    )
    s.rect(-0.59, 0.12, 0.59, 0.32, k.detail)


def boot(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A cowboy boot."""
    side = rng.choice((-1, 1))
    shape = [
        (-0.55, -1),
        (-0.2, -0.85),
        (0.25, -1),
        (0.2, 0.2),
        (0.9, 0.5),
        (1, 0.72),
        (0.95, 0.8),
        (0.1, 0.8),
        (-0.1, 0.7),
        (-0.15, 1),
        (-0.5, 1),
        (-0.55, 0.3),
    ]
    s.polygon([(side * x, y) for x, y in shape], k.body)
    s.line([(side * x, y) for x, y in ((-0.35, -0.6), (-0.15, -0.3), (0.05, -0.6))], 0.1, k.detail)
    s.line([(side * x, y) for x, y in ((-0.5, 0.25), (0.2, 0.25))], 0.1, k.detail)


def shoe(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A platform shoe."""
    side, sole = rng.choice((-1, 1)), rng.uniform(0.45, 0.6)
    for colour, points in (
        (
            k.body,
            [
                (-0.8, -0.9),
                (-0.2, -0.8),
                (0.1, -0.1),
                (0.8, 0.15),
                (1, 0.5),
                (-0.1, 0.5),
                (-0.75, 0.1),
            ],
        ),
        (k.detail, [(0, sole), (1, sole), (1, 0.95), (0.05, 0.95)]),
        (k.detail, [(-0.8, 0), (-0.35, 0.3), (-0.5, 0.95), (-0.85, 0.95)]),
    ):
        s.polygon([(side * x, y) for x, y in points], colour)


def house(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A small house with a chimney."""
    side = rng.choice((-1, 1))
    s.rect(side * 0.3, -0.85, side * 0.52, -0.2, k.detail)
    s.rect(-0.7, -0.1, 0.7, 0.9, k.body)
    s.polygon([(-0.95, 0), (0, -0.85), (0.95, 0)], k.detail)
    s.rect(-0.15, 0.35, 0.18, 0.9, k.hole)
    s.rect(side * 0.38, 0.2, side * 0.6, 0.45, k.hole)


def car(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A sports car seen from behind."""
    roof = rng.uniform(0.4, 0.55)
    s.polygon([(0, -0.55), (roof, -0.5), (0.75, 0), (0, 0)], k.body, True)
    s.polygon([(0, -0.42), (roof - 0.08, -0.38), (0.55, -0.05), (0, -0.05)], k.hole, True)
    s.polygon([(0, -0.05), (0.85, -0.05), (1, 0.15), (0.95, 0.55), (0, 0.55)], k.body, True)
    s.polygon([(0.35, 0.12), (0.88, 0.12), (0.85, 0.3), (0.35, 0.3)], k.detail, True)
    s.polygon([(0.6, 0.55), (0.92, 0.55), (0.9, 0.8), (0.62, 0.8)], k.body, True)


def wheel(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A wagon wheel."""
    spokes, start = rng.choice((4, 5, 6)), rng.random()
    s.disc(0, 0, 1, k.body)
    s.disc(0, 0, 0.8, k.hole)
    for i in range(spokes):
        turn = start + i * math.pi / spokes
        x, y = 0.85 * math.cos(turn), 0.85 * math.sin(turn)
        s.line([(-x, -y), (x, y)], 0.12, k.body)
    s.disc(0, 0, 0.24, k.detail)


def horseshoe(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A horseshoe with nails."""
    gap = rng.uniform(0.5, 0.8)
    arc = [
        (
            0.72 * math.sin(gap + i * (math.tau - 2 * gap) / 12),
            -0.1 - 0.78 * math.cos(gap + i * (math.tau - 2 * gap) / 12),
        )
        for i in range(13)
    ]
    s.line(arc, 0.34, k.body)
    for x, y in arc[1:12:2]:
        s.disc(x, y, 0.07, k.hole)


def bottle(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A bottle with a label."""
    shoulder = rng.uniform(-0.3, -0.1)
    s.polygon(
        [(0, -1), (0.13, -1), (0.15, shoulder - 0.2), (0.4, shoulder + 0.1), (0.4, 1), (0, 1)],
        k.body,
        True,
    )
    s.rect(-0.4, 0.2, 0.4, 0.7, k.detail)
    s.line([(-0.25, 0.45), (0.25, 0.45)], 0.1, k.hole)


def sword(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A sword that points down."""
    half, guard = rng.uniform(0.11, 0.16), rng.uniform(0.35, 0.5)
    s.polygon([(-half, -0.5), (half, -0.5), (half, 0.75), (0, 1.05), (-half, 0.75)], k.body)
    s.line([(0, -0.4), (0, 0.75)], 0.05, k.hole)
    s.polygon([(0, -0.62), (guard, -0.55), (guard + 0.1, -0.36), (0, -0.45)], k.detail, True)
    s.line([(0, -0.9), (0, -0.5)], 0.15, k.detail)
    s.disc(0, -0.95, 0.13, k.detail)


def bomb(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A round bomb with a burning fuse."""
    s.disc(0, 0.25, 0.72, k.body)
    s.rect(-0.2, -0.62, 0.2, -0.35, k.body)
    x = rng.choice((-1, 1)) * rng.uniform(0.3, 0.5)
    s.line([(0, -0.6), (x * 0.3, -0.85), (x, -0.8)], 0.1, k.body)
    signs.star(s.part(x, -0.8, 0.32), k._replace(body=k.detail), rng)
    s.disc(-0.25, 0, 0.14, k.hole)


def safety_pin(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A safety pin."""
    open_by = rng.uniform(0.2, 0.6)
    s.line([(-0.75, -0.2), (0.75, -0.2)], 0.14, k.body)
    s.line([(-0.75, 0.15), (0.65, 0.15 + open_by)], 0.14, k.body)
    s.disc(-0.78, 0, 0.26, k.body)
    s.disc(-0.78, 0, 0.11, k.hole)
    s.polygon([(0.5, -0.45), (1, -0.35), (1, 0.1), (0.5, 0.1)], k.detail)


def mirror_ball(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A mirror ball of tiles, on a string."""
    s.line([(0, -1.2), (0, -0.8)], 0.06, k.body)
    s.disc(0, 0, 0.95, k.body)
    for row in range(-3, 4):
        y = row * 0.25
        half = math.sqrt(0.86 - y * y)
        for column in range(-3, 4):
            if rng.random() < 0.5:
                x = half * math.sin(column * 0.42)
                w = 0.16 * half * math.cos(column * 0.42)
                s.rect(
                    x - w, y - 0.1, x + w, y + 0.1, rng.choice((k.detail, mix(k.body, k.hole, 0.5)))
                )
