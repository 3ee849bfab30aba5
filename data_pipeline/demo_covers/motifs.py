"""Motifs to put on covers, each drawn on a stamp: about 1 from its centre to its edges.

Every motif varies a little with the random generator, and has three inks: its body, its details,
and its holes, which show the ground behind it.
"""

import math
import random
from collections.abc import Callable
from typing import NamedTuple

from data_pipeline.demo_covers.canvas import Colour, Stamp, luminance, mix


class Inks(NamedTuple):
    """The colours of a motif."""

    body: Colour
    detail: Colour
    hole: Colour


Motif = Callable[[Stamp, Inks, random.Random], None]


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


def sword(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A sword that points down."""
    half, guard = rng.uniform(0.11, 0.16), rng.uniform(0.35, 0.5)
    s.polygon([(-half, -0.5), (half, -0.5), (half, 0.75), (0, 1.05), (-half, 0.75)], k.body)
    s.line([(0, -0.4), (0, 0.75)], 0.05, k.hole)
    s.polygon([(0, -0.62), (guard, -0.55), (guard + 0.1, -0.36), (0, -0.45)], k.detail, True)
    s.line([(0, -0.9), (0, -0.5)], 0.15, k.detail)
    s.disc(0, -0.95, 0.13, k.detail)


def pentagram(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A five-pointed star in a ring, one point down."""
    del rng
    s.disc(0, 0, 1, k.detail)
    s.disc(0, 0, 0.86, k.hole)
    tips = [
        (0.92 * math.sin(i * 0.8 * math.pi), 0.92 * math.cos(i * 0.8 * math.pi)) for i in range(6)
    ]
    s.line(tips, 0.15, k.body)


def lightning(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A flash of lightning."""
    side = rng.choice((-1, 1))
    bolt = [
        (0.3, -1),
        (-0.5, 0.15),
        (-0.05, 0.15),
        (-0.35, 1),
        (0.55, -0.2),
        (0.1, -0.2),
        (0.6, -1),
    ]
    s.polygon([(side * x + 0.1, y + 0.06) for x, y in bolt], k.detail)
    s.polygon([(side * x, y) for x, y in bolt], k.body)


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


def leaf(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A leaf with seven pointed fingers."""
    s.line([(0, 0.3), (0, 1)], 0.1, k.detail)
    for i in range(-3, 4):
        turn, long = i * 0.55, 1.15 - 0.16 * abs(i) + rng.uniform(-0.04, 0.04)
        x, y = math.sin(turn), -math.cos(turn)
        side = [(x * long * t + w * y, 0.35 + y * long * t - w * x) for t, w in _BLADE]
        s.polygon(side, k.body if i % 2 else k.detail)


_BLADE = ((0, 0), (0.5, 0.17), (1, 0), (0.5, -0.17))


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


def palm(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A palm that leans to one side."""
    lean = rng.choice((-1, 1)) * rng.uniform(0.05, 0.35)
    s.line([(-lean, 1), (-lean * 0.2, 0.2), (lean, -0.35)], 0.15, k.detail)
    for dx, dy in (
        (-0.9, 0.25),
        (-0.75, -0.25),
        (-0.3, -0.6),
        (0.3, -0.6),
        (0.75, -0.25),
        (0.9, 0.25),
    ):
        s.polygon(
            [
                (lean, -0.3),
                (lean + dx * 0.5, -0.52 + dy * 0.6),
                (lean + dx, -0.3 + dy),
                (lean + dx * 0.45, -0.28 + dy * 0.3),
            ],
            k.body,
        )


def sun(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A sun with pointed rays."""
    rays = rng.choice((8, 10, 12))
    for i in range(rays):
        turn, half = i * math.tau / rays, 0.7 * math.pi / rays
        s.polygon(
            [
                (math.cos(turn), math.sin(turn)),
                (0.62 * math.cos(turn + half), 0.62 * math.sin(turn + half)),
                (0.62 * math.cos(turn - half), 0.62 * math.sin(turn - half)),
            ],
            k.detail,
        )
    s.disc(0, 0, 0.56, k.body)


def bird(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A bird on the wing."""
    side, lift = rng.choice((-1, 1)), rng.uniform(0.6, 1)
    for colour, points in (
        (
            k.body,
            [(-1, 0.35), (-0.55, 0.1), (0.4, 0), (0.7, -0.12), (1, 0.08), (0.3, 0.45), (-0.5, 0.4)],
        ),
        (k.detail, [(-0.35, 0.2), (-0.5, -lift), (0.4, 0.1)]),
        (k.hole, [(0.62, 0.02), (0.72, 0.02), (0.72, 0.1), (0.62, 0.1)]),
    ):
        s.polygon([(side * x, y) for x, y in points], colour)


def tree(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A fir tree of three tiers."""
    s.rect(-0.1, 0.5, 0.1, 1, k.detail)
    for y, half in ((-1, 0.42), (-0.55, 0.58), (-0.1, 0.74)):
        half += rng.uniform(-0.06, 0.06)
        s.polygon([(0, y), (half, y + 0.78), (-half, y + 0.78)], k.body)


def house(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A small house with a chimney."""
    side = rng.choice((-1, 1))
    s.rect(side * 0.3, -0.85, side * 0.52, -0.2, k.detail)
    s.rect(-0.7, -0.1, 0.7, 0.9, k.body)
    s.polygon([(-0.95, 0), (0, -0.85), (0.95, 0)], k.detail)
    s.rect(-0.15, 0.35, 0.18, 0.9, k.hole)
    s.rect(side * 0.38, 0.2, side * 0.6, 0.45, k.hole)


def sprig(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A twig with pairs of leaves."""
    s.line([(0, 1), (0, -0.7)], 0.08, k.detail)
    tilt = rng.uniform(0.25, 0.4)
    s.polygon([(0, -0.55), (0.16, -0.8), (0, -1.05), (-0.16, -0.8)], k.body)
    for y in (-0.35, 0.1, 0.55):
        s.polygon(
            [(0, y + 0.15), (0.25, y - 0.2), (0.62, y - tilt), (0.45, y + 0.05)], k.body, True
        )


def moon(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A full or a waning moon."""
    s.disc(0, 0, 0.9, k.body)
    if rng.random() < 0.6:
        s.disc(rng.choice((-1, 1)) * rng.uniform(0.35, 0.6), -0.12, 0.8, k.hole)
    else:
        s.disc(-0.25, -0.2, 0.25, mix(k.body, k.hole, 0.25))
        s.disc(0.3, 0.3, 0.16, mix(k.body, k.hole, 0.25))


def mountain(s: Stamp, k: Inks, rng: random.Random) -> None:
    """Two peaks, the higher one capped with snow."""
    x, low = rng.uniform(-0.3, 0.1), rng.uniform(-0.2, 0.1)
    s.polygon([(-0.1, 0.8), (0.55, low), (1.1, 0.8)], k.detail)
    s.polygon([(x - 0.85, 0.8), (x, -0.8), (x + 0.85, 0.8)], k.body)
    s.polygon(
        [
            (x, -0.8),
            (x + 0.27, -0.3),
            (x + 0.1, -0.4),
            (x, -0.25),
            (x - 0.1, -0.4),
            (x - 0.27, -0.3),
        ],
        k.hole,
    )


def drop(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A drop in widening rings of water."""
    for r in (1, 0.72):
        s.disc(0, 0.6, r, k.detail, r * 0.35)
        s.disc(0, 0.6, r - 0.1, k.hole, (r - 0.1) * 0.33)
    tip = rng.uniform(-1.05, -0.85)
    s.polygon([(0, tip), (0.33, -0.12), (-0.33, -0.12)], k.body)
    s.disc(0, 0, 0.36, k.body)


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


def cutout(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A piece of cut paper like seaweed, with a smaller piece on it."""
    points = []
    for i in range(14):
        r, turn = (0.95 if i % 2 else 0.4) + rng.uniform(-0.15, 0.15), i * math.tau / 14
        points.append((r * math.cos(turn), r * math.sin(turn)))
    s.polygon(points, k.body)
    s.disc(rng.uniform(-0.2, 0.2), rng.uniform(-0.2, 0.2), rng.uniform(0.2, 0.32), k.detail)


def safety_pin(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A safety pin."""
    open_by = rng.uniform(0.2, 0.6)
    s.line([(-0.75, -0.2), (0.75, -0.2)], 0.14, k.body)
    s.line([(-0.75, 0.15), (0.65, 0.15 + open_by)], 0.14, k.body)
    s.disc(-0.78, 0, 0.26, k.body)
    s.disc(-0.78, 0, 0.11, k.hole)
    s.polygon([(0.5, -0.45), (1, -0.35), (1, 0.1), (0.5, 0.1)], k.detail)


def bomb(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A round bomb with a burning fuse."""
    s.disc(0, 0.25, 0.72, k.body)
    s.rect(-0.2, -0.62, 0.2, -0.35, k.body)
    x = rng.choice((-1, 1)) * rng.uniform(0.3, 0.5)
    s.line([(0, -0.6), (x * 0.3, -0.85), (x, -0.8)], 0.1, k.body)
    star(s.part(x, -0.8, 0.32), k._replace(body=k.detail), rng)
    s.disc(-0.25, 0, 0.14, k.hole)


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


def sunset(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A disc cut into stripes that get thinner downwards."""
    s.disc(0, 0, 1, k.body)
    y, step = rng.uniform(-0.15, 0.1), 0.1
    while y < 1:
        s.rect(-1.05, y, 1.05, y + step, k.hole)
        y += 0.28
        step += 0.03


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


def car(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A sports car seen from behind."""
    roof = rng.uniform(0.4, 0.55)
    s.polygon([(0, -0.55), (roof, -0.5), (0.75, 0), (0, 0)], k.body, True)
    s.polygon([(0, -0.42), (roof - 0.08, -0.38), (0.55, -0.05), (0, -0.05)], k.hole, True)
    s.polygon([(0, -0.05), (0.85, -0.05), (1, 0.15), (0.95, 0.55), (0, 0.55)], k.body, True)
    s.polygon([(0.35, 0.12), (0.88, 0.12), (0.85, 0.3), (0.35, 0.3)], k.detail, True)
    s.polygon([(0.6, 0.55), (0.92, 0.55), (0.9, 0.8), (0.62, 0.8)], k.body, True)


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


def laurel(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A laurel wreath around a small disc."""
    pairs = rng.choice((5, 6, 7))
    for i in range(pairs):
        turn = 2.6 * (i + 0.5) / pairs + 0.1
        x, y = 0.8 * math.sin(turn), 0.8 * math.cos(turn)
        dx, dy = 0.26 * math.cos(turn - 0.7), -0.26 * math.sin(turn - 0.7)
        s.polygon(
            [
                (x - dx, y - dy),
                (x + dy * 0.45, y - dx * 0.45),
                (x + dx, y + dy),
                (x - dy * 0.45, y + dx * 0.45),
            ],
            k.body,
            True,
        )
    s.disc(0, 0, 0.3, k.detail)


def cactus(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A saguaro."""
    s.line([(0, 1), (0, -0.75)], 0.36, k.body)
    s.disc(0, -0.78, 0.18, k.body)
    for side in (-1, 1):
        root = rng.uniform(0, 0.4)
        tip = root - rng.uniform(0.45, 0.75)
        s.line([(0, root), (side * 0.55, root), (side * 0.55, tip)], 0.24, k.body)
        s.disc(side * 0.55, tip, 0.12, k.body)
    s.line([(0, 0.9), (0, -0.6)], 0.05, k.hole)


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


def star(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A star of four to eight points."""
    points = rng.choice((4, 5, 5, 8))
    tips = []
    for i in range(2 * points):
        r, turn = (0.42 if i % 2 else 1), i * math.pi / points
        tips.append((r * math.sin(turn), -r * math.cos(turn)))
    s.polygon(tips, k.body)


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


def lips(s: Stamp, k: Inks, rng: random.Random) -> None:
    """Parted lips."""
    apart = rng.uniform(0.08, 0.25)
    s.polygon(
        [(-1, 0), (-0.35, -0.5), (0, -0.35), (0.35, -0.5), (1, 0), (0.4, 0.55), (-0.4, 0.55)],
        k.body,
    )
    s.polygon([(-0.75, 0), (0, -apart), (0.75, 0), (0, apart)], k.hole)


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


def microphone(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A microphone on a stand."""
    s.line([(0, 0.4), (0, 1)], 0.14, k.body)
    s.rect(-0.45, 0.88, 0.45, 1, k.body)
    s.disc(0, -0.25, 0.5, k.body, 0.7)
    for y in (-0.55, -0.3, -0.05):
        s.line([(-0.34, y), (0.34, y)], rng.uniform(0.09, 0.13), k.hole)
    s.rect(-0.5, 0.08, 0.5, 0.24, k.detail)


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


def mushroom(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A toadstool with dots."""
    s.polygon([(-0.2, 0), (0.2, 0), (0.32, 1), (-0.32, 1)], k.detail)
    cap = [(math.cos(t * math.pi / 10), -math.sin(t * math.pi / 10)) for t in range(11)]
    high = rng.uniform(0.8, 1.1)
    s.polygon([(x, 0.1 + high * y) for x, y in cap], k.body)
    for x, y, r in ((-0.5, -0.2, 0.14), (0.05, -0.5, 0.17), (0.5, -0.15, 0.13)):
        s.disc(x, y, r, k.hole)


def flower(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A flower of five to eight petals."""
    petals, start = rng.randint(5, 8), rng.random()
    for i in range(petals):
        turn = start + i * math.tau / petals
        s.disc(0.62 * math.cos(turn), 0.62 * math.sin(turn), 2.1 / (petals + 0.5), k.body)
    s.disc(0, 0, 0.42, k.hole)
    s.disc(0, 0, 0.32, k.detail)


def butterfly(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A butterfly with spread wings."""
    wide = rng.uniform(0.9, 1.05)
    s.polygon([(0, 0), (0.3, -0.7), (wide, -0.85), (wide * 0.9, -0.1), (0.2, 0.1)], k.body, True)
    s.polygon([(0, 0), (0.7, 0.1), (0.75, 0.6), (0.35, 0.85)], k.detail, True)
    for side in (-1, 1):
        s.disc(side * 0.62, -0.48, 0.18, k.hole)
        s.line([(0, -0.4), (side * 0.2, -0.95)], 0.05, k.body)
    s.disc(0, 0, 0.09, k.hole, 0.55)


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


def rose(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A rose on a stem."""
    s.line([(0, 0), (rng.uniform(-0.1, 0.1), 1)], 0.1, k.detail)
    s.polygon([(0, 0.75), (0.25, 0.45), (0.6, 0.4), (0.35, 0.7)], k.detail, True)
    s.polygon(
        [
            (-0.62, -0.55),
            (-0.3, -0.7),
            (0, -0.95),
            (0.3, -0.7),
            (0.62, -0.55),
            (0.5, 0),
            (0, 0.3),
            (-0.5, 0),
        ],
        k.body,
    )
    s.line([(-0.5, -0.4), (0, -0.05), (0.5, -0.4)], 0.08, k.hole)
    s.line([(-0.22, -0.6), (0.05, -0.4), (0.25, -0.62)], 0.08, k.hole)


def hand(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A raised open hand."""
    spread = rng.uniform(0.1, 0.2)
    s.polygon([(-0.45, 0), (0.45, 0), (0.4, 0.6), (0.25, 1), (-0.25, 1), (-0.4, 0.6)], k.body)
    for i, top in enumerate((-0.65, -0.95, -1, -0.75)):
        x = -0.34 + 0.23 * i
        s.line([(x, 0.1), (x + spread * (i - 1.5), top)], 0.19, k.body)
    s.line([(0.35, 0.5), (0.8, -0.05)], 0.2, k.body)
    s.disc(0, 0.4, 0.2, k.detail)


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


def cube(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A cube seen from a corner."""
    h = rng.uniform(0.45, 0.58)
    s.polygon([(0, -1), (0.87, -1 + h), (0, -1 + 2 * h), (-0.87, -1 + h)], k.body)
    s.polygon([(0.87, -1 + h), (0.87, 0.95 - h), (0, 0.95), (0, -1 + 2 * h)], k.detail)
    s.polygon(
        [(-0.87, -1 + h), (-0.87, 0.95 - h), (0, 0.95), (0, -1 + 2 * h)], mix(k.body, k.hole, 0.55)
    )


def equalizer(s: Stamp, k: Inks, rng: random.Random) -> None:
    """Columns of blocks, as on a level meter."""
    for column in range(5):
        x = -0.95 + 0.4 * column
        lit = rng.randint(2, 7)
        for row in range(lit):
            y = 0.9 - 0.27 * row
            s.rect(x, y - 0.2, x + 0.3, y, k.detail if row == lit - 1 else k.body)


def target(s: Stamp, k: Inks, rng: random.Random) -> None:
    """Rings around a dot."""
    rings = rng.choice((3, 4))
    for i in range(rings):
        r = 1 - i / rings
        s.disc(0, 0, r, k.body)
        s.disc(0, 0, r - 0.5 / rings, k.hole)
    s.disc(0, 0, 0.14, k.detail)
