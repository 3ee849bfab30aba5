"""The layouts: each sets two names on a sleeve, in the manner of a time.

All numbers are fractions of the side. The first five print on the picture itself, the others bring
their own ground.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from dac.covers.typesetting import inks
from dac.covers.typesetting.sleeve import MARGIN, Align, Block, Sleeve

_INNER = 1 - 2 * MARGIN


def corner(s: Sleeve) -> None:
    """Small type in the calmest corner, as on sleeves of today."""
    start = s.start()
    block = s.stack(
        [s.set("lead", 0.5, 0.3, 0.058, start), s.set("second", 0.5, 0.2, 0.032, start)],
        0.024,
        start,
    )
    near, far_x, far_y = (
        s.px(MARGIN),
        s.px(1 - MARGIN) - block.width,
        s.px(1 - MARGIN) - block.height,
    )
    s.overprint(block, [(near, near), (far_x, near), (near, far_y), (far_x, far_y)])


def centred(s: Sleeve) -> None:
    """A large title and a small line below it, on the middle axis."""
    block = s.stack(
        [s.set("lead", 0.8, 0.4, 0.135, "center"), s.set("second", 0.7, 0.2, 0.034, "center")],
        0.04,
        "center",
    )
    x = (s.side - block.width) // 2
    bottom = s.px(1 - 0.08) - block.height
    s.overprint(block, [(x, s.px(0.08)), (x, (s.side - block.height) // 2), (x, bottom)])


def poster(s: Sleeve) -> None:
    """Type as large as the sleeve allows, at the head or the foot."""
    start = s.start()
    block = s.stack(
        [s.set("lead", _INNER, 0.42, 0.34, start), s.set("second", _INNER, 0.2, 0.04, start)],
        0.036,
        start,
    )
    x = s.px(MARGIN) if start == "left" else s.px(1 - MARGIN) - block.width
    s.overprint(block, [(x, s.px(MARGIN)), (x, s.px(1 - MARGIN) - block.height)])


def split(s: Sleeve) -> None:
    """One name at the head, the other at the foot."""
    align: Align = s.rng.choice(("center", s.start()))

    def x(block: Block) -> int:
        spare = s.px(_INNER) - block.width
        return s.px(MARGIN) + {"left": 0, "center": spare // 2, "right": spare}[align]

    lead = s.set("lead", _INNER, 0.32, 0.12, align)
    s.overprint(lead, [(x(lead), s.px(MARGIN))])
    second = s.set("second", _INNER, 0.22, 0.044, align)
    if second.parts:
        s.overprint(second, [(x(second), s.px(1 - MARGIN) - second.height)])


def vertical(s: Sleeve) -> None:
    """Type that climbs the left edge or falls down the right; upright scripts in columns."""
    near = s.px(MARGIN)
    if s.lead.upright:
        block = _columns(s, 0.2, _INNER, 0.15)
        s.overprint(block, [(near, near), (s.px(1 - MARGIN) - block.width, near)])
        return
    block = s.stack(
        [s.set("lead", _INNER, 0.22, 0.13), s.set("second", _INNER, 0.1, 0.034)], 0.034, "left"
    )
    # The climbing block begins at the foot, so it ends where the falling one begins.
    climbing, falling = block.turned(1), block.turned(3)
    if s.rng.random() < 0.5:
        s.overprint(climbing, [(near, s.px(1 - MARGIN) - climbing.height)])
    else:
        s.overprint(falling, [(s.px(1 - MARGIN) - falling.width, near)])


def band(s: Sleeve) -> None:
    """A band of one colour with both names in a row, as on jazz sleeves around 1960."""
    ground, lead_ink, second_ink = s.ground(s.rng.choice(("vivid", "light", "dark")))
    start = s.start()
    lead = s.set("lead", 0.6 if s.second else _INNER, 0.26, 0.11, start)
    second = s.set("second", 0.24, 0.26, 0.032, "right" if start == "left" else "left")
    pad, rule = s.px(0.055), max(s.px(0.01), 1)
    height = max(lead.height, second.height, s.px(0.07)) + 2 * pad
    top = s.rng.choice((0, s.side - height))
    s.fill(0, top, s.side, height, ground)
    s.fill(0, top + height if top == 0 else top - rule, s.side, rule, lead_ink)
    left, right = s.px(MARGIN), s.px(1 - MARGIN)
    lead_x, second_x = left, right - second.width
    if start == "right":
        lead_x, second_x = right - lead.width, left
    base = top + height - pad
    s.print(lead, lead_x, base - lead.height, lead_ink, second_ink)
    s.print(second, second_x, base - second.height, lead_ink, second_ink)


def panel(s: Sleeve) -> None:
    """A column of one colour beside the picture, ranged left, as Swiss designers did."""
    ground, lead_ink, second_ink = s.ground(s.rng.choice(("vivid", "light")))
    start = s.start()
    width = s.px(0.36)
    left = 0 if start == "left" else s.side - width
    lead = s.set("lead", 0.36 - 2 * MARGIN, 0.55, 0.1, start)
    second = s.set("second", 0.36 - 2 * MARGIN, 0.24, 0.032, start)
    s.fill(left, 0, width, s.side, ground)
    x, pad = left + s.px(MARGIN), s.px(MARGIN)
    inner = width - 2 * pad
    spare = (lambda block: 0) if start == "left" else (lambda block: inner - block.width)
    s.print(lead, x + spare(lead), pad, lead_ink, second_ink)
    foot = s.px(1 - MARGIN) - second.height
    if second.parts:
        s.fill(x, foot - s.px(0.035), inner, max(s.px(0.005), 1), second_ink)
    s.print(second, x + spare(second), foot, lead_ink, second_ink)


def obi(s: Sleeve) -> None:
    """The paper strip around a Japanese pressing, with upright type."""
    ground, lead_ink, second_ink = s.ground(s.rng.choice(("light", "vivid")))
    width = s.px(0.21)
    s.fill(0, 0, width, s.side, ground)
    s.fill(0, 0, width, s.px(0.04), lead_ink)
    s.fill(0, s.px(0.046), width, max(s.px(0.004), 1), lead_ink)
    s.fill(width, 0, max(s.px(0.003), 1), s.side, inks.BLACK)
    top, bottom = s.px(0.085), s.px(1 - MARGIN)
    if s.lead.upright:
        lead = s.set("lead", 0.13, 0.54, 0.105, column=True)
    else:
        lead = s.set("lead", 0.54, 0.13, 0.1).turned(3)
    s.print(lead, (width - lead.width) // 2, top, lead_ink, second_ink)
    if s.second and s.second.upright:
        second = s.set("second", 0.1, 0.27, 0.04, column=True)
    else:
        second = s.set("second", 0.27, 0.1, 0.032).turned(3)
    s.print(second, (width - second.width) // 2, bottom - second.height, lead_ink, second_ink)


def label(s: Sleeve) -> None:
    """A plate with a ruled border, as on classical records."""
    ground, lead_ink, second_ink = s.ground(s.rng.choice(("light", "vivid", "dark")))
    block = s.stack(
        [s.set("lead", 0.62, 0.3, 0.09, "center"), s.set("second", 0.62, 0.16, 0.032, "center")],
        0.036,
        "center",
    )
    pad, rule, inset = s.px(0.062), max(s.px(0.0035), 1), s.px(0.016)
    width, height = max(block.width, s.px(0.4)) + 2 * pad, block.height + 2 * pad
    left = (s.side - width) // 2
    top = s.rng.choice((s.px(0.1), (s.side - height) // 2))
    s.fill(left, top, width, height, ground)
    s.fill(left + inset, top + inset, width - 2 * inset, height - 2 * inset, lead_ink)
    inset += rule
    s.fill(left + inset, top + inset, width - 2 * inset, height - 2 * inset, ground)
    s.print(block, left + (width - block.width) // 2, top + pad, lead_ink, second_ink)


def cassette(s: Sleeve) -> None:
    """The card of a cassette: stripes, and names on ruled lines."""
    start = s.start()
    ground, lead_ink, second_ink = s.ground("light")
    lead = s.set("lead", _INNER, 0.2, 0.085, start)
    second = s.set("second", _INNER, 0.12, 0.036, start)
    pad, gap, rule = s.px(0.04), s.px(0.026), max(s.px(0.003), 1)
    stripe = s.px(0.016)
    height = 3 * stripe + lead.height + 2 * pad + gap
    if second.parts:
        height += second.height + pad + gap
    y = s.side - height
    s.fill(0, y, s.side, height, ground)
    vivid = sorted(s.palette, key=inks.saturation, reverse=True)[:3]
    for colour in (*vivid, *[lead_ink] * 3)[:3]:
        s.fill(0, y, s.side, stripe, colour)
        y += stripe
    y += pad
    for block in (lead, second):
        if block.parts:
            x = s.px(MARGIN) if start == "left" else s.px(1 - MARGIN) - block.width
            s.print(block, x, y, lead_ink, second_ink)
            y += block.height + gap
            s.fill(s.px(MARGIN), y - gap // 2, s.px(_INNER), rule, second_ink)
            y += pad - gap // 2


def tape(s: Sleeve) -> None:
    """Embossed tape: each name on a strip of its own."""
    ground, _, ink = s.ground(s.rng.choice(("dark", "vivid", "light")))
    start = s.start()
    pad = s.px(0.026)
    blocks = [s.set("lead", 0.78, 0.34, 0.095, start), s.set("second", 0.7, 0.2, 0.034, start)]
    blocks = [block for block in blocks if block.parts]
    height = sum(block.height + 2 * pad for block in blocks) + s.px(0.012) * (len(blocks) - 1)
    top = s.rng.choice((s.px(MARGIN), s.px(1 - MARGIN) - height))
    for block in blocks:
        width = block.width + 2 * pad
        left = s.px(MARGIN) if start == "left" else s.px(1 - MARGIN) - width
        s.fill(left, top, width, block.height + 2 * pad, ground)
        s.print(block, left + pad, top + pad, ink, ink)
        top += block.height + 2 * pad + s.px(0.012)


def mount(s: Sleeve) -> None:
    """The picture mounted on paper, with small type below it."""
    ground, lead_ink, second_ink = s.ground(s.rng.choice(("light", "light", "dark")))
    start = s.start()
    inset, left = s.px(0.74), s.px(0.13)
    mounted = Image.fromarray(s.picture).resize((inset, inset), Image.Resampling.LANCZOS)
    s.fill(0, 0, s.side, s.side, ground)
    top = s.px(0.075)
    s.picture[top : top + inset, left : left + inset] = np.asarray(mounted)
    block = s.stack(
        [s.set("lead", 0.74, 0.075, 0.052, start), s.set("second", 0.74, 0.04, 0.026, start)],
        0.018,
        start,
    )
    x = left if start == "left" else left + inset - block.width
    s.print(block, x, top + inset + s.px(0.03), lead_ink, second_ink)


def disc(s: Sleeve) -> None:
    """The label of a twelve-inch single, around its hole."""
    ground, lead_ink, second_ink = s.ground("vivid")
    for radius, colour in ((0.31, ground), (0.295, second_ink), (0.2915, ground)):
        shape = _disc(s.px(radius), s.px(0.022))
        corner = (s.side - len(shape)) // 2
        s.stamp(shape, corner, corner, colour)
    lead = s.set("lead", 0.42, 0.13, 0.085, "center")
    second = s.set("second", 0.36, 0.11, 0.032, "center")
    gap = s.px(0.055)
    s.print(lead, (s.side - lead.width) // 2, s.side // 2 - gap - lead.height, lead_ink, second_ink)
    s.print(second, (s.side - second.width) // 2, s.side // 2 + gap, lead_ink, second_ink)


def _disc(radius: int, hole: int) -> np.ndarray:
    """Draws a disc with a hole, radii in pixels: `[2 * radius, 2 * radius]` uint8."""
    double = Image.new("L", (4 * radius, 4 * radius))  # reduced, for smooth edges
    draw = ImageDraw.Draw(double)
    draw.circle((2 * radius, 2 * radius), 2 * radius - 1, fill=255)
    draw.circle((2 * radius, 2 * radius), 2 * hole, fill=0)
    return np.asarray(double.reduce(2))


def _columns(s: Sleeve, width: float, height: float, size: float) -> Block:
    """Sets the upright lead in columns, and the second name to their left."""
    lead = s.set("lead", width, height, size, column=True)
    if s.second and not s.second.upright:
        second = s.set("second", height, 0.08, 0.034).turned(3)
    else:
        second = s.set("second", 0.1, height, 0.045, column=True)
    gap = s.px(0.03) if second.parts else 0
    parts = [(ink, x + second.width + gap, y, role) for ink, x, y, role in lead.parts]
    return Block(
        second.width + gap + lead.width, max(lead.height, second.height), (*second.parts, *parts)
    )


ON_PICTURE: tuple[Callable[[Sleeve], None], ...] = (corner, centred, poster, split, vertical)
ON_GROUND = (band, panel, obi, label, cassette, tape, mount, disc)
BY_NAME = {layout.__name__: layout for layout in (*ON_PICTURE, *ON_GROUND)}
