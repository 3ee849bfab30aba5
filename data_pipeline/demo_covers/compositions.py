"""Compositions of motifs on a backdrop, with a band of lettering; they are shared by all genres."""

import dataclasses
import random
from collections.abc import Callable

from data_pipeline.demo_covers.backdrops import Backdrop
from data_pipeline.demo_covers.canvas import Canvas, Colour, Inks, Stamp, mix
from data_pipeline.demo_covers.discography import Album
from data_pipeline.demo_covers.palettes import Palette

Motif = Callable[[Stamp, Inks, random.Random], None]

# Height of the band that has the lettering.
BAND = 25


@dataclasses.dataclass(frozen=True)
class Manner:
    """What the covers of a genre share.

    Attributes:
      motifs: what is shown.
      backdrop: what is behind them.
      case: how names are spelled: `str.upper`, `str.lower` or `str`.
      weight, slant, spacing: of the lettering, as for `Canvas.text`.
      tilt: how far motifs may turn to either side, in radians.
    """

    motifs: tuple[Motif, ...]
    backdrop: Backdrop
    case: Callable[[str], str] = str.upper
    weight: float = 0.8
    slant: float = 0
    spacing: float = 0
    tilt: float = 0.15


@dataclasses.dataclass(frozen=True)
class Page:
    """A cover on which a composition is drawn, in the rows from `top` to `bottom`."""

    canvas: Canvas
    palette: Palette
    manner: Manner
    rng: random.Random
    ground: Colour
    top: float
    bottom: float

    @property
    def middle(self) -> float:
        """The row half-way down the free space."""
        return (self.top + self.bottom) / 2

    @property
    def reach(self) -> float:
        """Half the height of the free space."""
        return (self.bottom - self.top) / 2

    def motif(self) -> Motif:
        """Returns one of the genre's motifs."""
        return self.rng.choice(self.manner.motifs)

    def plate(self) -> Colour:
        """Returns a colour to put behind a motif: one that stands out from the ground."""
        weights = dict(zip(self.palette, (8, 8, 8, 1, 1), strict=True))
        colours = self.palette.by_contrast(self.ground)
        return self.rng.choices(colours, [weights[colour] for colour in colours])[0]

    def inks(self, ground: Colour) -> Inks:
        """Returns colours for a motif on `ground`."""
        body, *others = self.palette.by_contrast(ground)[:4]
        if len(others) > 1 and self.rng.random() < 0.4:
            body, others[0] = others[0], body
        details = [colour for colour in self.palette.by_contrast(body) if colour in others]
        return Inks(body, details[0] if details else mix(body, ground, 0.5), ground)

    def put(
        self, motif: Motif, x: float, y: float, size: float, inks: Inks, tilt: float | None = None
    ) -> None:
        """Draws a motif; turns it at random if `tilt` is None."""
        tilt = self.rng.uniform(-1, 1) * self.manner.tilt if tilt is None else tilt
        motif(Stamp(self.canvas, x, y, size, tilt), inks, self.rng)


Composition = Callable[[Page], None]


def lay_out(
    composition: Composition,
    manner: Manner,
    canvas: Canvas,
    palette: Palette,
    rng: random.Random,
    album: Album | None,
) -> None:
    """Draws a backdrop, a composition and, if there is an album, its names."""
    ground = manner.backdrop(canvas, palette, rng)
    above = rng.random() < 0.5
    band = BAND if album else 0
    top, bottom = (band, 100) if above else (0, 100 - band)
    composition(Page(canvas, palette, manner, rng, ground, top, bottom))
    if album:
        y = 0 if above else 100 - BAND
        colour = rng.choice((palette.ground, palette.ground, palette.field))
        ink = palette.on(colour)
        canvas.rect(0, y, 100, y + BAND, colour)
        artist, title = manner.case(album.artist), manner.case(album.title)
        y += 10 if above else 8
        style = {"slant": manner.slant, "width": 86}
        canvas.text(artist, (50, y), 15, ink, weight=manner.weight, spacing=manner.spacing, **style)
        canvas.text(title, (50, y + 10.5), 9, ink, spacing=manner.spacing / 2, **style)


def emblem(g: Page) -> None:
    """One large motif, often on a disc, a square or a diamond."""
    x, r, shape = 50 + g.rng.uniform(-6, 6), g.reach * g.rng.uniform(0.78, 0.94), g.rng.random()
    plate, size = g.plate(), 0.68 * r
    if shape < 0.4:
        g.canvas.disc(x, g.middle, r, plate)
    elif shape < 0.6:
        g.canvas.rect(x - r, g.middle - r, x + r, g.middle + r, plate)
        size = 0.78 * r
    elif shape < 0.75:
        corners = [(0, -1.15), (1.15, 0), (0, 1.15), (-1.15, 0)]
        g.canvas.polygon([(x + r * dx, g.middle + r * dy) for dx, dy in corners], plate)
        size = 0.6 * r
    else:
        plate, size = g.ground, 0.88 * r
    g.put(g.motif(), x, g.middle, size, g.inks(plate))


def ranks(g: Page) -> None:
    """Rows and columns of motifs on tiles of alternating colours."""
    columns, rows = g.rng.choice(((2, 2), (3, 2), (3, 3), (4, 3), (1, 2), (2, 1), (3, 1)))
    wide, high = 100 / columns, 2 * g.reach / rows
    size = 0.4 * min(wide, high)
    tiles = [g.ground, g.plate()]
    inks = [g.inks(tile) for tile in tiles]
    motifs = g.rng.sample(g.manner.motifs, 2) if g.rng.random() < 0.5 else [g.motif()] * 2
    for row in range(rows):
        for column in range(columns):
            odd = (row + column) % 2
            x, y = column * wide, g.top + row * high
            g.canvas.rect(x, y, x + wide, y + high, tiles[odd])
            g.put(motifs[odd], x + wide / 2, y + high / 2, size, inks[odd])


def horizon(g: Page) -> None:
    """Motifs of several sizes that stand on the ground, under a disc in the sky."""
    line = g.bottom - g.rng.uniform(0.2, 0.45) * g.reach
    sky = g.palette.by_contrast(g.ground)
    disc, land = sky[min(2, len(sky) - 1)], g.rng.choice(sky[-2:])
    r = g.rng.uniform(0.35, 0.6) * g.reach
    g.canvas.disc(g.rng.uniform(20, 80), line - g.rng.uniform(0.6, 1.3) * g.reach, r, disc)
    g.canvas.rect(0, line, 100, 100, land)
    inks, motif, count = g.inks(g.ground), g.motif(), g.rng.randint(1, 4)
    start = g.rng.uniform(0, 1)
    for i in range(count):
        size = g.reach * g.rng.uniform(0.4, 0.8) / (1 + 0.15 * count)
        x = (100 * (i + start) / count + g.rng.uniform(-4, 4)) % 100
        g.put(motif, x, line + 0.15 * g.reach - size, size, inks, tilt=0)


def split(g: Page) -> None:
    """A panel on one side with a large motif, and a column of small ones beside it."""
    edge, right = g.rng.uniform(30, 40), g.rng.random() < 0.5
    panel = g.plate()
    x0, x1 = (edge, 100) if right else (0, 100 - edge)
    g.canvas.rect(x0, g.top, x1, g.bottom, panel)
    size = 0.42 * min(x1 - x0, 2 * g.reach)
    large, small = g.rng.sample(g.manner.motifs, 2)
    g.put(large, (x0 + x1) / 2, g.middle, size, g.inks(panel))
    x, count, inks = edge / 2 if right else 100 - edge / 2, g.rng.randint(2, 4), g.inks(g.ground)
    high = 2 * g.reach / count
    for i in range(count):
        g.put(small, x, g.top + (i + 0.5) * high, 0.38 * min(edge, high), inks)


def scatter(g: Page) -> None:
    """Many motifs strewn over the page."""
    cells, inks = g.rng.choice((3, 4, 4)), [g.inks(g.ground) for _ in range(2)]
    step = 100 / cells
    rows = max(2, round(2 * g.reach / step))
    high = 2 * g.reach / rows
    motifs = [g.motif() for _ in range(2)]
    for row in range(rows):
        for column in range(cells):
            x = (column + 0.5 + g.rng.uniform(-0.2, 0.2)) * step
            y = g.top + (row + 0.5 + g.rng.uniform(-0.2, 0.2)) * high
            size = min(step, high) * g.rng.uniform(0.28, 0.48)
            g.put(g.rng.choice(motifs), x, y, size, g.rng.choice(inks), g.rng.uniform(-0.6, 0.6))


def frame(g: Page) -> None:
    """A motif in a frame that has smaller motifs in its corners."""
    border, inner = g.plate(), g.plate()
    width, inset = g.rng.uniform(3, 7), g.rng.uniform(2, 5)
    for step, colour in ((0, border), (width, g.ground), (width + inset, inner)):
        g.canvas.rect(step, g.top + step, 100 - step, g.bottom - step, colour)
    size = 0.76 * (g.reach - width - inset)
    large, small = g.rng.sample(g.manner.motifs, 2)
    inks = g.inks(inner)
    x = 50 + g.rng.uniform(-4, 4)
    g.put(large, x, g.middle, size, inks)
    corner = 0.2 * g.reach
    far = width + inset + 1.4 * corner
    for x in (far, 100 - far):
        for y in (g.top + far, g.bottom - far):
            g.put(small, x, y, corner, inks)


def bands(g: Page) -> None:
    """Slanting bands of colour with a motif on a disc."""
    colours = [g.ground, *g.palette.by_contrast(g.ground)]
    g.rng.shuffle(colours)
    count, lean = g.rng.randint(4, 7), g.rng.choice((-1, 1)) * g.rng.uniform(20, 70)
    wide = 180 / count
    for i in range(count):
        x = i * wide - 40
        x0, x1 = x + lean / 2, x - lean / 2
        corners = [(x0, g.top), (x0 + wide, g.top), (x1 + wide, g.bottom), (x1, g.bottom)]
        g.canvas.polygon(corners, colours[i % len(colours)])
    r, x = g.reach * g.rng.uniform(0.6, 0.8), g.rng.uniform(40, 60)
    g.canvas.disc(x, g.middle, r, g.ground)
    g.put(g.motif(), x, g.middle, 0.74 * r, g.inks(g.ground))


def rings(g: Page) -> None:
    """Concentric discs or squares around a motif."""
    colours = [g.ground, g.plate()]
    count, square = g.rng.randint(3, 5), g.rng.random() < 0.3
    x = 50 + g.rng.uniform(-5, 5)
    inner, outer = g.reach * g.rng.uniform(0.5, 0.62), g.reach * g.rng.uniform(1.1, 1.5)
    for i in range(count + 1):
        r, colour = outer + (inner - outer) * i / count, colours[(i + 1) % 2]
        if square:
            g.canvas.rect(x - r, g.middle - r, x + r, g.middle + r, colour)
        else:
            g.canvas.disc(x, g.middle, r, colour)
    size = inner * (0.84 if square else 0.74)
    g.put(g.motif(), x, g.middle, size, g.inks(colour))


def echo(g: Page) -> None:
    """A motif and its echoes, which shrink and fade."""
    count, motif, inks = g.rng.randint(3, 5), g.motif(), g.inks(g.ground)
    side = g.rng.choice((-1, 1))
    dx, dy = side * g.rng.uniform(20, 34), g.rng.uniform(-0.3, 0.3) * g.reach
    tilt = g.rng.uniform(-1, 1) * g.manner.tilt
    for i in range(count):
        share = i / (count - 1)
        faded = Inks(*(mix(g.ground, ink, 0.3 + 0.7 * share) for ink in inks))
        x, y = 50 + dx * (1 - 1.5 * share), g.middle + dy * (1 - 1.5 * share)
        state = g.rng.getstate()  # The echoes have the shape of the motif.
        g.put(motif, x, y, g.reach * (0.4 + 0.4 * share), faded, tilt)
        if i < count - 1:
            g.rng.setstate(state)
