"""Plants, animals, the sky and the land."""

import math
import random

from data_pipeline.demo_covers.canvas import Inks, Stamp, mix


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


def moon(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A full or a waning moon."""
    s.disc(0, 0, 0.9, k.body)
    if rng.random() < 0.6:
        s.disc(rng.choice((-1, 1)) * rng.uniform(0.35, 0.6), -0.12, 0.8, k.hole)
    else:
        s.disc(-0.25, -0.2, 0.25, mix(k.body, k.hole, 0.25))
        s.disc(0.3, 0.3, 0.16, mix(k.body, k.hole, 0.25))


def sunset(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A disc cut into stripes that get thinner downwards."""
    s.disc(0, 0, 1, k.body)
    y, step = rng.uniform(-0.15, 0.1), 0.1
    while y < 1:
        s.rect(-1.05, y, 1.05, y + step, k.hole)
        y += 0.28
        step += 0.03


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


def butterfly(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A butterfly with spread wings."""
    wide = rng.uniform(0.9, 1.05)
    s.polygon([(0, 0), (0.3, -0.7), (wide, -0.85), (wide * 0.9, -0.1), (0.2, 0.1)], k.body, True)
    s.polygon([(0, 0), (0.7, 0.1), (0.75, 0.6), (0.35, 0.85)], k.detail, True)
    for side in (-1, 1):
        s.disc(side * 0.62, -0.48, 0.18, k.hole)
        s.line([(0, -0.4), (side * 0.2, -0.95)], 0.05, k.body)
    s.disc(0, 0, 0.09, k.hole, 0.55)


def tree(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A fir tree of three tiers."""
    s.rect(-0.1, 0.5, 0.1, 1, k.detail)
    for y, half in ((-1, 0.42), (-0.55, 0.58), (-0.1, 0.74)):
        half += rng.uniform(-0.06, 0.06)
        s.polygon([(0, y), (half, y + 0.78), (-half, y + 0.78)], k.body)


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


def sprig(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A twig with pairs of leaves."""
    s.line([(0, 1), (0, -0.7)], 0.08, k.detail)
    tilt = rng.uniform(0.25, 0.4)
    s.polygon([(0, -0.55), (0.16, -0.8), (0, -1.05), (-0.16, -0.8)], k.body)
    for y in (-0.35, 0.1, 0.55):
        s.polygon(
            [(0, y + 0.15), (0.25, y - 0.2), (0.62, y - tilt), (0.45, y + 0.05)], k.body, True
        )


def leaf(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A leaf with seven pointed fingers."""
    s.line([(0, 0.3), (0, 1)], 0.1, k.detail)
    for i in range(-3, 4):
        turn, long = i * 0.55, 1.15 - 0.16 * abs(i) + rng.uniform(-0.04, 0.04)
        x, y = math.sin(turn), -math.cos(turn)
        side = [(x * long * t + w * y, 0.35 + y * long * t - w * x) for t, w in _BLADE]
        s.polygon(side, k.body if i % 2 else k.detail)


_BLADE = ((0, 0), (0.5, 0.17), (1, 0), (0.5, -0.17))


def flower(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A flower of five to eight petals."""
    petals, start = rng.randint(5, 8), rng.random()
    for i in range(petals):
        turn = start + i * math.tau / petals
        s.disc(0.62 * math.cos(turn), 0.62 * math.sin(turn), 2.1 / (petals + 0.5), k.body)
    s.disc(0, 0, 0.42, k.hole)
    s.disc(0, 0, 0.32, k.detail)


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


def mushroom(s: Stamp, k: Inks, rng: random.Random) -> None:
    """A toadstool with dots."""
    s.polygon([(-0.2, 0), (0.2, 0), (0.32, 1), (-0.32, 1)], k.detail)
    cap = [(math.cos(t * math.pi / 10), -math.sin(t * math.pi / 10)) for t in range(11)]
    high = rng.uniform(0.8, 1.1)
    s.polygon([(x, 0.1 + high * y) for x, y in cap], k.body)
    for x, y, r in ((-0.5, -0.2, 0.14), (0.05, -0.5, 0.17), (0.5, -0.15, 0.13)):
        s.disc(x, y, r, k.hole)


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
