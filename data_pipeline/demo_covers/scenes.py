"""Hand-drawn scenes, one for each of eight genres; positions are in percent of the cover's side."""

import math
import random

from data_pipeline.demo_covers.backdrops import flame_row, neon_grid, wave_row
from data_pipeline.demo_covers.canvas import Canvas, mix
from data_pipeline.demo_covers.discography import Album
from data_pipeline.demo_covers.palettes import Palette


def thrash_metal(c: Canvas, p: Palette, rng: random.Random, album: Album | None) -> None:
    """A skull among flames under a spiked logo."""
    c.gradient(0, 100, [p.ground, p.ground, mix(p.ground, p.field, 0.6), p.field])
    for side in (-1, 1):
        x = 50 + side * rng.uniform(30, 36)
        bolt = [(0, 28), (-6, 47), (-1, 46), (-5, 68), (6, 42), (1, 43), (5, 28)]
        c.polygon([(x + side * dx, y) for dx, y in bolt], p.accent)
    flame_row(c, rng, p.main, base=78, height=24)
    x, y, r = 50 + rng.uniform(-4, 4), 56 + rng.uniform(-2, 2), rng.uniform(14, 17.5)
    if rng.random() < 0.5:
        for side in (-1, 1):
            horn = [(6, -9), (17, -15), (15, -28), (23, -14), (13, -2)]
            c.polygon([(x + side * dx, y + dy) for dx, dy in horn], p.ink)
    c.disc(x, y, r, p.ink)
    c.polygon([(x - 10, y + 8), (x + 10, y + 8), (x + 8, y + 27), (x - 8, y + 27)], p.ink)
    for side in (-1, 1):
        eye = [(2, 4), (11, -3), (11, 5), (6, 8)]
        c.polygon([(x + side * dx, y + dy) for dx, dy in eye], p.ground)
    c.polygon([(x, y + 8), (x - 2.5, y + 14), (x + 2.5, y + 14)], p.ground)
    for dx in (-5, 0, 5):
        c.line([(x + dx, y + 18), (x + dx, y + 27)], 1.2, p.ground)
    flame_row(c, rng, p.accent, base=91, height=13)

    # The logo: a bar with teeth that get longer outwards, and two blades at each end.
    upper, lower = [], []
    for x in range(10, 91, 8):
        reach = 2 + 5 * abs(x - 50) / 40 + rng.uniform(-1, 3)
        upper += [(x, 10 - reach), (x + 4, 10)]
        lower += [(x, 21 + reach), (x + 4, 21)]
    c.polygon([*upper[:-1], *lower[-2::-1]], p.main)
    for side in (-1, 1):
        for root, tip in ((9, rng.uniform(0, 3)), (20, rng.uniform(36, 44))):
            blade = [(44, root), (48 + rng.uniform(0, 2), tip), (34, root + 2)]
            c.polygon([(50 + side * dx, y) for dx, y in blade], p.main)
    if album:
        c.text(album.artist.upper(), (50, 15.5), 15, p.on(p.main), width=78, weight=0.8)
        c.text(album.title.upper(), (50, 94.5), 9.5, p.on(p.accent), weight=0.8)


def dub(c: Canvas, p: Palette, rng: random.Random, album: Album | None) -> None:
    """Two stacks of speakers before three bands of colour."""
    c.rect(0, 27, 100, 100, p.main)
    c.rect(0, 84, 100, 100, p.accent)
    foot, half, gap = 93 + rng.uniform(-2, 2), rng.uniform(18, 20), rng.uniform(3, 7)
    for x in (50 - gap - half, 50 + gap + half):
        c.rect(x - half, foot - 62, x + half, foot, p.field)
        for y, r in ((foot - 17, 15.5), (foot - 46, rng.uniform(10.5, 13))):
            c.disc(x, y, r, p.ground)
            c.disc(x, y, r * 0.82, mix(p.field, p.ground, 0.25))
            c.disc(x, y, r * 0.45, p.main)
            c.disc(x, y, r * 0.22, p.accent)
        for shelf in (62, 33):
            c.line([(x - half, foot - shelf), (x + half, foot - shelf)], 1.6, p.accent)
    if rng.random() < 0.5:
        c.line([(50, foot - 62), (50, foot)], 1.6, p.field)
        c.disc(50, foot - 62, 3.5, p.field)
    if album:
        ink = p.on(p.ground)
        c.text(album.artist.upper(), (50, 10), 15, ink, weight=0.8)
        c.text(album.title.upper(), (50, 21), 8.5, ink, spacing=0.08)


def bossa_nova(c: Canvas, p: Palette, rng: random.Random, album: Album | None) -> None:
    """A guitar and a sugarloaf under a large sun, above the waves of a seaside pavement."""
    c.disc(67 + rng.uniform(-5, 5), 43 + rng.uniform(-3, 3), rng.uniform(19, 23), p.accent)
    peak = 78 + rng.uniform(-6, 6)
    hill = [(t, 73 - 30 * math.exp(-(((t - peak) / 12) ** 4))) for t in range(40, 102)]
    c.polygon([(40, 75), *hill, (102, 75)], p.main)
    c.rect(0, 71, 100, 100, p.field)
    shift = rng.uniform(0, 25)
    for y in (75, 84.5, 94):
        wave_row(c, p.ink, y, shift, height=3)

    # The guitar leans: its neck and the centres of its two bouts lie on one slanted axis.
    x, lean = 21 + rng.uniform(-3, 3), rng.uniform(2, 11)
    head = (x + lean, 15)
    c.line([(x, 66), head], 4.5, p.ink)
    c.line([head, (head[0] + lean / 8, 8)], 7.5, p.ink)
    for colour, edge in ((p.ink, 2), (p.main, 0)):
        c.disc(x, 67, 14 + edge, colour)
        c.disc(x + lean * 0.35, 49, 9.5 + edge, colour)
    c.disc(x + lean * 0.2, 58, 4.5, p.ink)
    c.line([(x - 6, 73), (x + 5, 74)], 2.4, p.ink)
    if album:
        c.text(album.artist.lower(), (95, 9), 12, p.on(p.ground), width=56, align=1, weight=0.8)
        c.text(album.title.lower(), (95, 18), 8, p.field, width=54, align=1)


def synthwave(c: Canvas, p: Palette, rng: random.Random, album: Album | None) -> None:
    """A striped sun sets over a grid that runs to the horizon."""
    horizon = 62 + rng.uniform(-2.5, 2.5)
    c.gradient(0, horizon, [p.ground, p.ground, p.field, p.main])
    for _ in range(9):
        c.disc(rng.uniform(0, 100), rng.uniform(0, 30), 0.7, p.ink)
    x, r = 50 + rng.uniform(-4, 4), rng.uniform(21, 25)
    y = horizon - 0.7 * r
    # Row by row; the gaps between the stripes widen towards the horizon.
    for row in range(round(y - r), round(horizon)):
        down = (row - y) / r
        half = r * math.sqrt(max(0, 1 - down * down))
        if (horizon - row) % 6 >= 1 + 3 * down or down < 0:
            c.rect(x - half, row, x + half, row + 1, mix(p.ink, p.main, 0.5 + 0.5 * down))
    ridge = [
        (t, horizon - max(0, abs(t - 50) - 15) * rng.uniform(0.1, 0.5)) for t in range(0, 101, 10)
    ]
    c.polygon([(0, horizon), *ridge, (100, horizon)], mix(p.ground, p.field, 0.25))
    neon_grid(c, p, horizon, 50)
    if rng.random() < 0.5:
        x, side = rng.choice(((13, 1), (87, -1)))
        c.line([(x, 80), (x + 2 * side, 55), (x + 5 * side, 34)], 2, p.ground)
        for dx, dy in ((-11, 8), (-9, 0), (2, -7), (10, 0), (12, 8)):
            top = (x + 5 * side, 34)
            c.polygon([top, (top[0] + dx * 0.5, 34 + dy - 4), (top[0] + dx, 34 + dy)], p.ground)
    if album:
        c.text(album.artist.upper(), (50, 13), 16, p.accent, weight=0.8, slant=0.3)
        c.text(album.title, (50, 89), 12, p.on(p.ground), weight=0.8, slant=0.3)


def folk(c: Canvas, p: Palette, rng: random.Random, album: Album | None) -> None:
    """A tree on a hill, seen through an arch."""
    left, right, top, foot = 18, 82, 40, 80
    for colour, edge in ((p.ink, 2.5), (p.field, 0)):
        c.disc(50, top, 32 + edge, colour)
        c.rect(left - edge, top, right + edge, foot + edge, colour)
    sun = 50 + rng.choice((-1, 1)) * rng.uniform(12, 18)
    c.disc(sun, 29 + rng.uniform(-4, 4), rng.uniform(5.5, 7.5), p.accent)
    phase, tilt = rng.uniform(0, math.tau), rng.uniform(-5, 5)
    for level, colour in ((57, mix(p.main, p.field, 0.45)), (67, p.main)):
        crest = [
            (t, level + 3 * math.sin(phase + level + t / 10) + tilt * (t - 50) / 32)
            for t in range(left, right + 1, 2)
        ]
        c.polygon([(left, foot), *crest, (right, foot)], colour)
    x, crown = 50 + rng.uniform(-8, 8), rng.uniform(9, 12)
    c.polygon([(x - 3, 72), (x - 1.3, 48), (x + 1.3, 48), (x + 3, 72)], p.ink)
    for dx, dy, share in ((-7, 3, 0.75), (7, 3, 0.75), (0, -3, 1)):
        c.disc(x + dx, 45 + dy, crown * share, mix(p.main, p.ink, 0.45))
    # A sprig in each upper corner.
    for side in (-1, 1):
        c.line([(50 + side * 46, 30), (50 + side * 42, 12), (50 + side * 30, 4)], 1, p.ink)
        for dx, y in ((43, 25), (47, 18), (40, 17), (42, 7), (36, 11), (35, 3)):
            c.disc(50 + side * dx, y, 2.6, p.accent, ry=1.8)
    if album:
        ink = p.on(p.ground)
        c.text(album.title, (50, 88.5), 10.5, ink, weight=0.5)
        c.text(album.artist.upper(), (50, 96), 6, ink, width=70, spacing=0.2)


def free_jazz(c: Canvas, p: Palette, rng: random.Random, album: Album | None) -> None:
    """Cut paper on a tinted block, beside a white column of type."""
    edge = 28 + rng.uniform(-2, 2)
    c.rect(edge, 0, 100, 100, p.field)
    middle = (edge + 100) / 2
    shade = [(edge, 101), (edge, rng.uniform(62, 74)), (100, rng.uniform(74, 88)), (100, 101)]
    c.polygon(shade, p.main)
    c.disc(middle + rng.uniform(-4, 4), 35 + rng.uniform(-4, 4), rng.uniform(21, 26), p.main)
    lean = rng.uniform(4, 10)
    for step in (-1, 0, 1):
        x, y = middle - 3 + 18 * step + rng.uniform(-3, 3), 51 + rng.uniform(-4, 4)
        long, tip = rng.uniform(28, 38), lean + rng.uniform(-5, 5)
        c.polygon(
            [(x - 5, y + long), (x - 7, y), (x + tip, y - long), (x + 5, y), (x + 2, y + long)],
            p.ground,
        )
    c.disc(middle + 22 + rng.uniform(-4, 4), 19 + rng.uniform(-4, 4), rng.uniform(6.5, 9), p.accent)
    c.rect(0, 90, edge, 100, p.accent)
    if album:
        ink = p.on(p.ground)
        c.text(
            album.artist.upper(), (9.5, 86), 16, ink, width=80, align=0, weight=0.8, upwards=True
        )
        c.text(album.title.lower(), (20.5, 86), 9, ink, width=80, align=0, upwards=True)


def ambient(c: Canvas, p: Palette, rng: random.Random, album: Album | None) -> None:
    """A moon in haze over still water."""
    horizon = 68 + rng.uniform(-4, 4)
    c.gradient(0, horizon, [p.main, p.ground, mix(p.ground, p.accent, 0.7)])
    x, y, r = 50 + rng.uniform(-15, 15), 33 + rng.uniform(-4, 4), rng.uniform(11, 15)
    # The halo starts from the gradient's colour at the moon's height.
    around = mix(p.main, p.ground, min(1, y / (horizon / 2)))
    for step in range(6):
        c.disc(x, y, r * (1.6 - 0.1 * step), mix(around, p.accent, 0.1 + 0.1 * step))
    c.disc(x, y, r, p.accent)
    peak, broad = rng.uniform(10, 90), rng.uniform(12, 24)
    far = [(t, horizon - 6 * math.exp(-(((t - peak) / broad) ** 2))) for t in range(0, 101, 4)]
    c.polygon([(0, horizon), *far, (100, horizon)], mix(p.field, p.ground, 0.45))
    c.gradient(horizon, 100, [mix(p.field, p.ground, 0.3), p.field, mix(p.field, p.ink, 0.3)])
    for step in range(4):
        half, row = rng.uniform(0.4, 0.9) * (r - 2 * step), horizon + 3 + 3.5 * step
        c.line([(x - half, row), (x + half, row)], 1.2, mix(p.field, p.accent, 0.75 - 0.1 * step))
    if album:
        ink = p.on(p.field)
        c.text(album.artist.lower(), (50, 88), 9, ink, width=76, spacing=0.25)
        c.text(album.title.lower(), (50, 95.5), 6, ink, width=70, spacing=0.1)


def punk(c: Canvas, p: Palette, rng: random.Random, album: Album | None) -> None:
    """A photocopied face with its eyes taped over, and a ransom note."""
    torn = [(t, 76 - 0.16 * t + rng.uniform(-2, 2)) for t in range(0, 101, 5)]
    c.polygon([(0, 101), *torn, (100, 101)], p.field)
    turn = rng.uniform(-6, 6)
    corners = [(27 - turn, 28 + turn), (73 - turn, 28 - turn), (73 + turn, 84 - turn)]
    c.polygon([*corners, (27 + turn, 84 + turn)], p.ink)
    x, y = 50 + rng.uniform(-3, 3), 56 + rng.uniform(-2, 2)
    c.disc(x, y, rng.uniform(13, 16), p.main, ry=20)
    for dx in range(-12, 13, 6):
        lock = (x + dx * 1.5 + rng.uniform(-3, 3), y - 26 + abs(dx) / 2)
        c.polygon([(x + dx - 4, y - 13), lock, (x + dx + 4, y - 13)], p.main)
    tape = rng.uniform(-4, 4)
    strip = [(x - 20, y - 8 + tape), (x + 20, y - 8 - tape), (x + 20, y - tape), (x - 20, y + tape)]
    c.polygon(strip, p.accent)
    c.disc(x, y + 11, rng.uniform(3, 6), p.ink, ry=3.5)

    # Without a name, the note shows random symbols.
    note = album.artist.upper() if album else "".join(rng.choices("!?#%&@*", k=8))
    step = 92 / len(note)
    for i, letter in enumerate(note):
        paper = (p.main, p.accent, p.ink, p.main)[(i + rng.randint(0, 1)) % 4]
        left, y, skew = 4 + step * i, 15 + rng.uniform(-2, 2), rng.uniform(-1.5, 1.5)
        if letter != " ":
            scrap = [
                (left, y - 8 + skew),
                (left + step, y - 8 - skew),
                (left + step, y + 8),
                (left, y + 8),
            ]
            c.polygon(scrap, paper)
            c.text(
                letter,
                (left + step / 2, y),
                rng.uniform(11, 15),
                p.on(paper),
                width=step,
                weight=0.8,
            )
    if album:
        c.text(album.title.upper(), (50, 92), 13, p.on(p.field), weight=0.8)
