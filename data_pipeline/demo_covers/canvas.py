"""A square canvas with the drawing primitives for covers; units are percent of its side."""

import functools
import math
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]
Point = tuple[float, float]

# Pillow's built-in font has only ASCII, so accents are drawn as strokes above the letter. Units are
# eighths of the font size; x is relative to the letter's middle, y points up from its top.
MARKS: dict[str, tuple[tuple[Point, ...], ...]] = {
    "\N{COMBINING GRAVE ACCENT}": (((-1.0, 1.6), (0.4, 0.5)),),
    "\N{COMBINING ACUTE ACCENT}": (((1.0, 1.6), (-0.4, 0.5)),),
    "\N{COMBINING CIRCUMFLEX ACCENT}": (((-1.1, 0.5), (0, 1.6), (1.1, 0.5)),),
    "\N{COMBINING TILDE}": (((-1.4, 0.6), (-0.6, 1.3), (0.6, 0.7), (1.4, 1.4)),),
    "\N{COMBINING DIAERESIS}": (((-1.9, 1.0), (-0.9, 1.0)), ((0.9, 1.0), (1.9, 1.0))),
    "\N{COMBINING RING ABOVE}": (((-0.6, 0.9), (0, 1.6), (0.6, 0.9), (0, 0.3), (-0.6, 0.9)),),
}


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """Returns the colour that is `share` of the way from `a` to `b`."""
    return tuple(round(x + (y - x) * share) for x, y in zip(a, b, strict=True))


def luminance(colour: Colour) -> float:
    """Returns the luma of a colour, 0 to 255 (Rec. 601)."""
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]


class Canvas:
    """A picture being drawn. Positions and lengths are in percent of its side; y points down."""

    def __init__(self, ground: Colour, side: int):
        """Fills a square of `side` pixels with `ground`."""
        self.side = side
        self.image = Image.new("RGB", (side, side), ground)
        self._pen = ImageDraw.Draw(self.image)

    def polygon(self, points: list[Point], colour: Colour) -> None:
        """Fills a polygon."""
        self._pen.polygon([(self._px(x), self._px(y)) for x, y in points], fill=colour)

    def rect(self, x0: float, y0: float, x1: float, y1: float, colour: Colour) -> None:
        """Fills a rectangle given by two corners."""
        self.polygon([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], colour)

    def disc(self, x: float, y: float, rx: float, colour: Colour, ry: float | None = None) -> None:
        """Fills a disc, or an ellipse if `ry` is given, around (x, y)."""
        ry = rx if ry is None else ry
        box = (self._px(x - rx), self._px(y - ry), self._px(x + rx), self._px(y + ry))
        self._pen.ellipse(box, fill=colour)

    def line(self, points: list[Point], width: float, colour: Colour) -> None:
        """Draws a line through points."""
        self._pen.line(
            [(self._px(x), self._px(y)) for x, y in points],
            fill=colour,
            width=self._stroke(width),
            joint="curve",
        )

    def gradient(self, y0: float, y1: float, colours: list[Colour]) -> None:
        """Fills the full width from y0 to y1 with a vertical gradient of evenly spaced colours."""
        top, bottom = round(self._px(y0)), round(self._px(y1))
        at = np.linspace(0, len(colours) - 1, bottom - top)
        column = [np.interp(at, range(len(colours)), c) for c in zip(*colours, strict=True)]
        strip = Image.fromarray(np.stack(column, axis=-1)[:, None].round().astype(np.uint8))
        self.image.paste(
            strip.resize((self.side, bottom - top), Image.Resampling.NEAREST), (0, top)
        )

    def text(
        self,
        words: str,
        at: Point,
        size: float,
        colour: Colour,
        *,
        width: float = 84,
        align: float = 0.5,
        weight: float = 0,
        spacing: float = 0,
        slant: float = 0,
        upwards: bool = False,
    ) -> None:
        """Writes words, in a smaller font if they do not fit.

        Args:
          words: the text.
          at: the position, at half the height of the capitals.
          size: the font size.
          colour: the colour of the letters.
          width: the maximum width of the text.
          align: the fraction of the text's width that is left of `at`.
          weight: extra stroke width on every side.
          spacing: extra space between letters, as a fraction of the font size.
          slant: the lean of the letters to the right, as a fraction of their height.
          upwards: whether to rotate the text around `at` by 90 degrees, to be read upwards.
        """
        letters, marks = _split_accents(words)
        whole = "".join(letters)

        def place(font: ImageFont.FreeTypeFont, i: int) -> float:
            """Returns the offset of letter i from the left end of the text."""
            return font.getlength(whole[:i]) + i * (font.size * spacing + thickness(font))

        def thickness(font: ImageFont.FreeTypeFont) -> int:
            """Returns the stroke width, which shrinks with the letters."""
            return round(self._px(weight) * font.size / self._px(size))

        font = _font(round(self._px(size)))
        while font.size > self._px(4) and place(font, len(whole)) > self._px(width):
            font = _font(round(font.size) - 1)
        stroke = thickness(font)
        starts = [place(font, i) for i in range(len(whole) + 1)]

        x, y = self._px(at[0]), self._px(at[1])
        if upwards:
            x, y = self.side - y, x
        x -= starts[-1] * align
        baseline = y + 0.36 * font.size
        mask = Image.new("L", (self.side, self.side))
        pen = ImageDraw.Draw(mask)
        for letter, mark, start, end in zip(letters, marks, starts, starts[1:], strict=False):
            pen.text((x + start, baseline), letter, 255, font, "ls", stroke_width=stroke)
            top = baseline + font.getbbox(letter, anchor="ls")[1] - stroke
            middle, eighth = x + (start + end - stroke) / 2, font.size / 8
            for curve in MARKS.get(mark, ()):
                path = [(middle + dx * eighth, top - dy * eighth) for dx, dy in curve]
                pen.line(path, fill=255, width=max(1, round(0.7 * eighth + stroke / 2)))
        if slant:
            lean = (1, slant, -slant * y, 0, 1, 0)
            mask = mask.transform(
                mask.size, Image.Transform.AFFINE, lean, Image.Resampling.BILINEAR
            )
        if upwards:
            mask = mask.transpose(Image.Transpose.ROTATE_90)
        self.image.paste(colour, mask=mask)

    def _px(self, percent: float) -> float:
        return percent * self.side / 100

    def _stroke(self, percent: float) -> int:
        return max(1, round(self._px(percent)))


class Inks(NamedTuple):
    """The colours of a motif: its body, its details, and its holes, which show the ground."""

    body: Colour
    detail: Colour
    hole: Colour


class Stamp:
    """A place on a canvas to draw a motif: its centre is (0, 0), its edges are about 1 away.

    The motif is scaled by `size`, in percent of the canvas, and turned clockwise by `tilt` radians.
    """

    def __init__(self, canvas: Canvas, x: float, y: float, size: float, tilt: float = 0):
        self._canvas, self._x, self._y, self._size, self._tilt = canvas, x, y, size, tilt
        self._cos, self._sin = size * math.cos(tilt), size * math.sin(tilt)

    def polygon(self, points: Sequence[Point], colour: Colour, mirror: bool = False) -> None:
        """Fills a polygon, and its mirror image if asked for."""
        self._canvas.polygon(self._placed(points), colour)
        if mirror:
            self._canvas.polygon(self._placed([(-x, y) for x, y in points]), colour)

    def rect(self, x0: float, y0: float, x1: float, y1: float, colour: Colour) -> None:
        """Fills a rectangle given by two corners."""
        self.polygon([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], colour)

    def disc(self, x: float, y: float, rx: float, colour: Colour, ry: float | None = None) -> None:
        """Fills a disc, or an ellipse if `ry` is given, around (x, y)."""
        if ry is None or not self._tilt:
            ((left, top),) = self._placed([(x, y)])
            ry = rx if ry is None else ry
            self._canvas.disc(left, top, rx * self._size, colour, ry * self._size)
        else:
            self.polygon([(x + rx * cos, y + ry * sin) for cos, sin in _CIRCLE], colour)

    def line(self, points: Sequence[Point], width: float, colour: Colour) -> None:
        """Draws a line through points."""
        self._canvas.line(self._placed(points), width * self._size, colour)

    def part(self, x: float, y: float, size: float) -> "Stamp":
        """Returns a smaller stamp at (x, y) on this one."""
        ((left, top),) = self._placed([(x, y)])
        return Stamp(self._canvas, left, top, size * self._size, self._tilt)

    def _placed(self, points: Sequence[Point]) -> list[Point]:
        cos, sin = self._cos, self._sin
        return [(self._x + x * cos - y * sin, self._y + x * sin + y * cos) for x, y in points]


_CIRCLE = [(math.cos(i * math.tau / 24), math.sin(i * math.tau / 24)) for i in range(24)]


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(size=size)


def _split_accents(words: str) -> tuple[list[str], list[str]]:
    """Splits text into letters and the accent of each, "" if it has none."""
    letters, marks = [], []
    for char in unicodedata.normalize("NFD", words):
        if char in MARKS:
            marks[-1] = char
        else:
            letters.append(char)
            marks.append("")
    return letters, marks
