"""Backdrops behind the pictures of a genre; each returns the colour that lies behind the motifs."""

import math
import random
from collections.abc import Callable

from data_pipeline.demo_covers.canvas import Canvas, Colour, mix
from data_pipeline.demo_covers.palettes import Palette

Backdrop = Callable[[Canvas, Palette, random.Random], Colour]


def paper(c: Canvas, p: Palette, rng: random.Random) -> Colour:
    """A plain sheet, sometimes with a border."""
    if rng.random() < 0.4:
        width = rng.uniform(2, 5)
        c.rect(0, 0, 100, 100, p.field)
        c.rect(width, width, 100 - width, 100 - width, p.ground)
    return p.ground


def haze(c: Canvas, p: Palette, rng: random.Random) -> Colour:
    """Air that clears towards a bright layer."""
    layers = [p.main, p.ground, mix(p.ground, p.accent, 0.7), p.ground, mix(p.field, p.ground, 0.4)]
    if rng.random() < 0.4:
        layers.reverse()
    c.gradient(0, 100, layers)
    return p.ground


def night(c: Canvas, p: Palette, rng: random.Random) -> Colour:
    """A dark sky with a street lamp's cone of light, or with slanting rain."""
    c.gradient(0, 100, [p.ground, p.ground, p.field])
    if rng.random() < 0.5:
        x = rng.uniform(25, 75)
        wide = rng.uniform(30, 45)
        cone = [(x - 4, -2), (x + 4, -2), (x + wide, 102), (x - wide, 102)]
        c.polygon(cone, mix(p.ground, p.field, 0.75))
    else:
        for _ in range(22):
            x, y = rng.uniform(0, 110), rng.uniform(-5, 100)
            c.line([(x, y), (x - 3, y + 9)], 0.9, mix(p.ground, p.main, 0.5))
    return p.ground


def desert(c: Canvas, p: Palette, rng: random.Random) -> Colour:
    """The sky over red buttes and sand."""
    horizon = rng.uniform(62, 74)
    for _ in range(rng.randint(1, 3)):
        x, wide, high = rng.uniform(0, 100), rng.uniform(7, 14), rng.uniform(14, 30)
        butte = [(-1.5, 0), (-1, -0.8), (-0.8, -1), (0.8, -1), (1, -0.8), (1.5, 0)]
        c.polygon([(x + wide * dx, horizon + high * dy) for dx, dy in butte], p.main)
    c.rect(0, horizon, 100, 100, p.field)
    return p.ground


def rays(c: Canvas, p: Palette, rng: random.Random) -> Colour:
    """Beams of light in two tones."""
    x, y, count = rng.uniform(30, 70), rng.choice((-5, 50, 105)), rng.choice((9, 12, 15))
    start = rng.random()
    for i in range(count):
        a, b = ((i + share) * math.tau / count + start for share in (0, 0.5))
        far = [(x + 160 * math.cos(t), y + 160 * math.sin(t)) for t in (a, b)]
        c.polygon([(x, y), *far], mix(p.ground, p.field, 0.6))
    return p.ground


def stripes(c: Canvas, p: Palette, rng: random.Random) -> Colour:
    """Three bars, as on a flag."""
    first, last = rng.uniform(18, 30), rng.uniform(70, 82)
    c.rect(0, first, 100, last, p.main)
    c.rect(0, last, 100, 100, p.accent)
    return p.main


def bricks(c: Canvas, p: Palette, rng: random.Random) -> Colour:
    """A brick wall with some bricks of another shade."""
    high = rng.choice((7.5, 10, 12.5))
    seam = mix(p.ground, p.field, 0.3)
    for row in range(math.ceil(100 / high)):
        y = row * high
        for column in range(-1, 5):
            x = 25 * column + 12.5 * (row % 2)
            if rng.random() < 0.15:
                c.rect(x, y, x + 25, y + high, mix(p.ground, p.main, 0.25))
            c.line([(x, y), (x, y + high)], 1, seam)
        c.line([(0, y), (100, y)], 1, seam)
    return p.ground


def flames(c: Canvas, p: Palette, rng: random.Random) -> Colour:
    """Fire from below, in two colours."""
    c.gradient(0, 100, [p.ground, p.ground, mix(p.ground, p.field, 0.6), p.field])
    base = rng.uniform(74, 88)
    flame_row(c, rng, p.main, base=base, height=rng.uniform(22, 34))
    flame_row(c, rng, p.accent, base=base + 12, height=14)
    return p.ground


def flame_row(c: Canvas, rng: random.Random, colour: Colour, base: float, height: float) -> None:
    """Draws a row of pointed flames that rise from `base`; fills everything below."""
    points = [(-5, 105)]
    for x in range(-5, 106, 10):
        points.append((x, base))
        points.append((x + 5 + rng.uniform(-3, 3), base - height * rng.uniform(0.4, 1.2)))
    c.polygon([*points, (105, 105)], colour)


def torn(c: Canvas, p: Palette, rng: random.Random) -> Colour:
    """Two sheets, one of them torn off aslant."""
    left, right = rng.uniform(25, 75), rng.uniform(25, 75)
    edge = [(t, left + (right - left) * t / 100 + rng.uniform(-2, 2)) for t in range(0, 101, 5)]
    c.polygon([(0, 101), *edge, (100, 101)], p.field)
    return p.ground


def neon_floor(c: Canvas, p: Palette, rng: random.Random) -> Colour:
    """An evening sky above a grid that runs to the horizon."""
    horizon, lean = rng.uniform(58, 72), rng.uniform(30, 70)
    c.gradient(0, horizon, [p.ground, p.ground, mix(p.ground, p.field, 0.7)])
    neon_grid(c, p, horizon, lean)
    return p.ground


def neon_grid(c: Canvas, p: Palette, horizon: float, middle: float) -> None:
    """Draws a floor of lanes that meet at the horizon, around the column `middle`."""
    c.gradient(horizon, 100, [mix(p.ground, p.field, 0.35), p.ground])
    for lane in range(-9, 10):
        c.line([(middle + lane * 6, horizon), (middle + lane * 26, 102)], 0.9, p.accent)
    for row in range(6):
        y = horizon + (100 - horizon) * (row / 6) ** 1.7
        c.line([(0, y), (100, y)], 0.9 + row * 0.15, p.accent)


def ripples(c: Canvas, p: Palette, rng: random.Random) -> Colour:
    """Wavy rings of all colours around a point."""
    x, y = rng.uniform(30, 70), rng.uniform(30, 70)
    lobes, start, swing = rng.randint(3, 8), rng.random() * 6, rng.uniform(0.06, 0.16)
    colours = [p.field, p.main, p.accent, p.ground]
    twist = rng.uniform(-0.3, 0.3)
    for ring in range(12, 0, -1):
        points = []
        for i in range(48):
            turn = i * math.tau / 48
            r = 7.5 * ring * (1 + swing * math.sin(lobes * turn + start + twist * ring))
            points.append((x + r * math.cos(turn), y + r * math.sin(turn)))
        c.polygon(points, colours[ring % 4])
    return p.ink


def lattice(c: Canvas, p: Palette, rng: random.Random) -> Colour:
    """A fine grid of lines or dots."""
    step, tone = rng.choice((10, 12.5, 20)), mix(p.ground, p.field, 0.8)
    dots = rng.random() < 0.5
    for i in range(int(100 / step) + 1):
        if dots:
            for j in range(int(100 / step) + 1):
                c.disc(i * step, j * step, step * 0.14, tone)
        else:
            c.line([(i * step, 0), (i * step, 100)], 0.8, tone)
            c.line([(0, i * step), (100, i * step)], 0.8, tone)
    return p.ground


def blocks(c: Canvas, p: Palette, rng: random.Random) -> Colour:
    """A white sheet with one or two blocks of flat colour."""
    edge = rng.choice((rng.uniform(20, 35), rng.uniform(55, 75)))
    if rng.random() < 0.5:
        c.rect(edge, 0, 100, 100, p.field)
    else:
        c.rect(0, edge, 100, 100, p.field)
    if rng.random() < 0.5:
        c.rect(0, 100 - rng.uniform(8, 16), edge, 100, p.accent)
    return p.field


def pavement(c: Canvas, p: Palette, rng: random.Random) -> Colour:
    """The waves of a seaside pavement below a plain sky."""
    top, shift, high = rng.uniform(62, 76), rng.uniform(0, 25), rng.uniform(2, 3.5)
    c.rect(0, top, 100, 100, p.field)
    for row in range(4):
        wave_row(c, p.ink, y=top + 4 + 9.5 * row, shift=shift, height=high)
    return p.ground


def wave_row(c: Canvas, colour: Colour, y: float, shift: float, height: float) -> None:
    """Draws one wave of a pavement across the page."""
    wave = [(t, y + height * math.sin((t + shift) * math.tau / 25)) for t in range(-2, 104, 2)]
    c.line(wave, 4.2, colour)
