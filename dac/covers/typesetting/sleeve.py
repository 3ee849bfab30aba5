"""The sleeve on which a layout works: a picture, two names, their faces and inks."""

import dataclasses
import random
from typing import Literal

import numpy as np
from PIL import Image

from dac.covers.typesetting import inks
from dac.covers.typesetting.fonts import Pairing
from dac.covers.typesetting.inks import Colour
from dac.covers.typesetting.setting import set_type
from dac.covers.typesetting.text import Name

MARGIN = 0.055  # nothing is printed closer to the edge, as a fraction of the side
# Places are chosen on a picture of this side, so that they are the same at all sizes.
_THUMB = 250
# Mean change of lightness (0 to 1) by toning, above which a bar looks better.
_MAX_CHANGE = 0.1
# A block whose own middle lies here has no near edge.
_MIDDLE = (0.4, 0.6)
_FEATHER = 0.3  # over which a toned ground returns to the picture, as a fraction of the side
_VIVID = 6  # colours of the palette that become inks
_HALO = 0.012  # around letters, for which contrast is held

Role = Literal["lead", "second"]
Align = Literal["left", "center", "right"]


@dataclasses.dataclass(frozen=True)
class Block:
    """Set lines, ready to be placed.

    Attributes:
      width, height: in pixels.
      parts: the ink of each name `[h, w]` uint8, its offset (x, y) in the block, and its role.
    """

    width: int
    height: int
    parts: tuple[tuple[np.ndarray, int, int, Role], ...]

    def turned(self, quarters: int) -> "Block":
        """Returns the block turned counterclockwise by quarters."""
        block = self
        for _ in range(quarters % 4):
            parts = tuple(
                (np.rot90(ink), y, block.width - x - ink.shape[1], role)
                for ink, x, y, role in block.parts
            )
            block = Block(block.height, block.width, parts)
        return block


class Sleeve:
    """A cover in the making.

    Attributes:
      picture: `[S, S, 3]` uint8, what is printed so far.
      side: S.
      palette: colours of the original picture, the most frequent first.
      lead: the larger of the two names.
      second: the smaller, or None.
      ink: the ink that was asked for, or None.
      printed: the ink `[h, w]` of each name printed so far, its x and y, and its colour.
    """

    def __init__(
        self,
        picture: np.ndarray,
        lead: Name,
        second: Name | None,
        pairing: Pairing,
        ink: Colour | None,
        rng: random.Random,
    ):
        self.picture = picture.copy()
        self.side = len(picture)
        self.lead, self.second = lead, second
        self.pairing, self.ink, self.rng = pairing, ink, rng
        self.printed: list[tuple[np.ndarray, int, int, Colour]] = []
        self.thumb = thumb_of(picture)
        self.palette = inks.palette_of(self.thumb)

    def px(self, fraction: float) -> int:
        """Returns a fraction of the side in pixels."""
        return round(fraction * self.side)

    def start(self, align: Align = "left") -> Align:
        """Returns the side at which lines begin: the mirror image if the lead runs leftwards."""
        if align == "center" or not self.lead.rtl:
            return align
        return "right" if align == "left" else "left"

    def set(
        self,
        role: Role,
        width: float,
        height: float,
        size: float,
        align: Align = "left",
        column: bool = False,
    ) -> Block:
        """Sets one name in a box, in the largest size up to `size`; fractions of the side."""
        name = self.lead if role == "lead" else self.second
        if name is None:
            return Block(0, 0, ())
        face = self.pairing.lead if role == "lead" else self.pairing.second
        ink = set_type(name, face, self.side, width, height, size, align, column)
        return Block(ink.shape[1], ink.shape[0], ((ink, 0, 0, role),))

    def stack(self, blocks: list[Block], gap: float, align: Align) -> Block:
        """Puts blocks below each other; empty ones leave no gap."""
        blocks = [block for block in blocks if block.parts]
        width = max(block.width for block in blocks)
        parts, top = [], 0
        for block in blocks:
            spare = width - block.width
            left = {"left": 0, "center": spare // 2, "right": spare}[align]
            parts += [(ink, left + x, top + y, role) for ink, x, y, role in block.parts]
            top += block.height + self.px(gap)
        return Block(width, top - self.px(gap), tuple(parts))

    def fill(self, left: int, top: int, width: int, height: int, colour: Colour) -> None:
        """Paints a rectangle, in pixels; what lies outside the sleeve is left out."""
        self.picture[max(top, 0) : max(top + height, 0), max(left, 0) : max(left + width, 0)] = (
            colour
        )

    def stamp(self, shape: np.ndarray, left: int, top: int, colour: Colour) -> None:
        """Paints a shape `[h, w]` uint8, from 0 to 255, at a corner in pixels."""
        height, width = shape.shape
        region = self.picture[top : top + height, left : left + width]
        painted = Image.fromarray(region)
        painted.paste(colour, mask=Image.fromarray(shape))
        region[:] = np.asarray(painted)

    def print(self, block: Block, left: int, top: int, lead: Colour, second: Colour) -> None:
        """Prints a block in given inks, at a corner in pixels."""
        for ink, dx, dy, role in block.parts:
            x, y = left + dx, top + dy
            colour = lead if role == "lead" else second
            self.stamp(ink, x, y, colour)
            self.printed.append((ink, x, y, colour))

    def overprint(self, block: Block, places: list[tuple[int, int]]) -> None:
        """Prints a block on the picture itself, at the calmest of some places.

        The ink is the one that needs the least change of the picture; where it can't be read the
        picture is toned, gently and no farther than needed. If even that would be too much, a bar
        in a colour of the picture lies below the block.
        """
        colours = [self.ink] if self.ink else self._candidates()
        scored = [
            (*self._costs(block, place, colour), i, colour, place)
            for place in places
            for i, colour in enumerate(colours)
        ]
        _, change, _, colour, (left, top) = min(scored)
        if change > _MAX_CHANGE:
            light = float(np.sqrt(inks.luminance(self.thumb)).mean())
            ground, lead, second = self.ground("light" if light > 0.5 else "dark")
            self._bar(block, left, top, ground)
        else:
            lead = second = colour
            self._tone(block, left, top, colour)
        self.print(block, left, top, lead, second)

    def _candidates(self) -> list[Colour]:
        """Returns inks for the picture: paper and black, and its vivid colours, deep and light."""
        vivid = sorted(self.palette, key=inks.saturation, reverse=True)[:_VIVID]
        shades = [inks.shade(c, on) for on in (inks.PAPER, inks.BLACK) for c in vivid]
        return [inks.PAPER, inks.BLACK, *shades]

    def _costs(self, block: Block, place: tuple[int, int], colour: Colour) -> tuple[float, float]:
        """Rates a place and an ink: as a whole, and by the change that legibility needs alone."""
        scale = len(self.thumb) / self.side
        halo = _HALO * len(self.thumb)
        left, top = (int(max(p * scale - halo, 0)) for p in place)
        right = int((place[0] + block.width) * scale + halo) + 1
        bottom = int((place[1] + block.height) * scale + halo) + 1
        region = self.thumb[top:bottom, left:right]
        light = np.sqrt(inks.luminance(region))  # about as the eye sees it
        toned = np.sqrt(inks.luminance(inks.toned(region, colour)))
        # A print may look darker than its picture; lighter, it looks faded.
        change = float((np.maximum(light - toned, 0) + 4 * np.maximum(toned - light, 0)).mean())
        # Calm is worth some change, and so is colour.
        return 2 * change + 0.6 * float(light.std()) - 0.06 * inks.saturation(colour), change

    def _bar(self, block: Block, left: int, top: int, colour: Colour) -> None:
        """Paints a bar below a block, from a near edge or over the whole sleeve."""
        across = block.width >= block.height
        start, length = (top, block.height) if across else (left, block.width)
        end = start + length + self.px(MARGIN)
        start -= self.px(MARGIN)
        middle = (start + end) / 2 / self.side
        start = 0 if middle < _MIDDLE[0] else start
        end = self.side if middle > _MIDDLE[1] else end
        if across:
            self.fill(0, start, self.side, end - start, colour)
        else:
            self.fill(start, 0, end - start, self.side, colour)

    def _tone(self, block: Block, left: int, top: int, colour: Colour) -> None:
        """Makes the ground of a block legible.

        The tone fades away from the edge of the sleeve that is near the block, over its whole
        length, as a shade would; for a block in the middle the whole picture is toned.
        """
        if block.width >= block.height:
            weights = self._shade(top, top + block.height)[:, None]
        else:
            weights = self._shade(left, left + block.width)[None, :]
        inks.tone(self.picture, colour, weights)

    def _shade(self, start: int, end: int) -> np.ndarray:
        """Returns weights `[S]` float32: 1 from a near edge past `start` and `end`, then fading."""
        halo, feather = self.px(_HALO) + 1, self.px(_FEATHER)
        at = np.arange(self.side, dtype=np.float32)
        falling = np.clip(1 - (at - end - halo) / feather, 0, 1)
        rising = np.clip(1 - (start - halo - at) / feather, 0, 1)
        middle = (start + end) / 2 / self.side
        near = falling if middle < _MIDDLE[0] else rising if middle > _MIDDLE[1] else at * 0 + 1
        return near * near * (3 - 2 * near)

    def ground(self, kind: Literal["vivid", "dark", "light"]) -> tuple[Colour, Colour, Colour]:
        """Returns colours of a ground, of the lead and of the second name on it.

        The palette's most vivid, darkest or lightest colour is the ground, paper or black if the
        palette has none; an ink that was asked for must be legible on it.
        """
        light = {colour: float(inks.luminance(colour)) for colour in self.palette}
        colours = self.palette
        if kind == "vivid":
            colours = sorted(colours, key=inks.saturation, reverse=True)
        elif kind == "dark":
            colours = sorted((c for c in colours if light[c] < 0.1), key=light.get)
            colours = [*colours, inks.BLACK]
        else:
            colours = [c for c in colours if light[c] > 0.65]
            colours = [*sorted(colours, key=light.get, reverse=True), inks.PAPER]
        if self.ink:
            colours = [c for c in colours if _legible(self.ink, c)]
            ground = next(iter(colours), inks.neutral(self.ink))
            return ground, self.ink, self.ink
        ground = next(iter(colours), inks.PAPER)
        vivid = max((inks.shade(c, ground) for c in self.palette), key=inks.saturation)
        neutral = inks.neutral(ground)
        return ground, vivid if inks.saturation(vivid) > 0.25 else neutral, neutral


def thumb_of(picture: np.ndarray) -> np.ndarray:
    """Returns a picture `[S, S, 3]` uint8 at the side at which places are chosen."""
    small = Image.fromarray(picture).resize((_THUMB, _THUMB), Image.Resampling.BOX)
    return np.asarray(small)


def _legible(ink: Colour, ground: Colour) -> bool:
    return bool(inks.contrast(inks.luminance(ink), inks.luminance(ground)) >= inks.MIN_CONTRAST)
