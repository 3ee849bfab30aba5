"""What one visitor has on the page, and all that can be done with it.

The functions take what the page sends, which is not to be trusted; `Settings` checks the rest.
"""

import dataclasses
import random
import re
from typing import Any

from dac.errors import UserError
from dac.making.settings import MAX_SEED, MAX_TURNS, Record, Settings

COVERS = 9
MIDDLE = 4  # where a cover stands among its variations
# How far variations turn, in shares of the way to another cover; two random ones are at about 90
# degrees, so these are 16 and 36 degrees.
STEPS = {"near": 0.18, "far": 0.4}
MAX_HISTORY = 24
MAX_NAME = 200  # characters; longer ones can be set by the command
MAX_GENRES = 6  # likewise
NO_TYPE = "off"  # beside the layouts


@dataclasses.dataclass(frozen=True)
class Wall:
    """What one visitor sees.

    Attributes:
      covers: settings of the covers, nine unless a sheet with fewer was brought back. They have no
        size: it depends on what a cover is made for.
      picked: index of the cover that is printed.
      history: covers picked before, the latest first; each once.
    """

    covers: tuple[Settings, ...]
    picked: int = 0
    history: tuple[Settings, ...] = ()

    @property
    def cover(self) -> Settings:
        """The picked cover."""
        return self.covers[self.picked]


def first_wall(typeset: bool) -> Wall:
    """Returns what a visitor sees first: covers of any album, the same ones each time."""
    return Wall(tuple(Settings(seed, typeset=typeset) for seed in range(COVERS)))


def pick(wall: Wall, index: Any) -> Wall:
    """Picks a cover."""
    return _remembered(dataclasses.replace(wall, picked=_checked(index, len(wall.covers))))


def recall(wall: Wall, index: Any) -> Wall:
    """Brings back a cover of the history, among its variations."""
    return _around(wall, wall.history[_checked(index, len(wall.history))])


def change(wall: Wall, **fields: Any) -> Wall:
    """Changes settings of all covers."""
    covers = tuple(dataclasses.replace(cover, **fields) for cover in wall.covers)
    return dataclasses.replace(wall, covers=covers)


def new_covers(wall: Wall) -> Wall:
    """Returns nine new covers that have all of the picked one's settings but the seed."""
    seeds = [random.randint(0, MAX_SEED) for _ in range(COVERS)]
    covers = tuple(dataclasses.replace(wall.cover, seed=seed, toward=()) for seed in seeds)
    return dataclasses.replace(wall, covers=covers, picked=0)


def vary(wall: Wall, step: str = "near") -> Wall:
    """Puts the picked cover in the middle, and around it covers that are a step from it."""
    return _around(wall, wall.cover, step)


def _around(wall: Wall, cover: Settings, step: str = "near") -> Wall:
    if step not in STEPS:
        raise UserError(f"variations are {' or '.join(STEPS)}, not {step!r:.40}")
    if len(cover.toward) == MAX_TURNS:
        raise UserError(f"this cover was varied {MAX_TURNS} times; take new ones")
    turns = [(random.randint(0, MAX_SEED), STEPS[step]) for _ in range(COVERS)]
    covers = [dataclasses.replace(cover, toward=(*cover.toward, turn)) for turn in turns]
    covers[MIDDLE] = cover
    return _remembered(dataclasses.replace(wall, covers=tuple(covers), picked=MIDDLE))


def restore(wall: Wall, record: Record) -> Wall:
    """Brings back what a picture or a link tells of: a cover among variations, or a sheet's first.

    Sizes and bleeds are left out, as the page prints in one size.
    """
    covers = [dataclasses.replace(cover, size=None, bleed=0.0) for cover in record.covers[:COVERS]]
    if len(covers[0].genre or {}) > MAX_GENRES:
        raise UserError(
            f"it mixes {len(covers[0].genre)} genres, and the page {MAX_GENRES}; use --like of "
            "experiments.sample"
        )
    if len(covers) == 1:
        return _around(wall, covers[0])
    return _remembered(dataclasses.replace(wall, covers=tuple(covers), picked=0))


def set_name(field: str, wall: Wall, text: Any) -> Wall:
    """Sets the artist or the title; a blank one is open."""
    if not isinstance(text, str) or len(text) > MAX_NAME:
        raise UserError(f"the {field} may have {MAX_NAME} characters")
    return change(wall, **{field: text.strip() or None})


def set_genres(wall: Wall, names: Any) -> Wall:
    """Sets the genres; those that were there keep their weights."""
    if not isinstance(names or [], list) or len(names or []) > MAX_GENRES:
        raise UserError(f"up to {MAX_GENRES} genres can be mixed here")
    known = wall.cover.genre or {}
    return change(wall, genre={name: known.get(name, 1.0) for name in names or []} or None)


def set_weights(wall: Wall, *weights: float) -> Wall:
    """Sets the weights of the genres, in their order."""
    return change(wall, genre=dict(zip(wall.cover.genre or {}, weights, strict=False)) or None)


def set_year(wall: Wall, year: Any) -> Wall:
    """Sets the year, or None for any."""
    whole = isinstance(year, float) and year.is_integer()  # as sliders may send it
    return change(wall, year=int(year) if whole else year)


def set_layout(wall: Wall, layout: str) -> Wall:
    """Sets a layout; "" chooses one, and `NO_TYPE` sets no type at all."""
    if layout == NO_TYPE:
        return change(wall, typeset=False)
    return change(wall, typeset=True, layout=layout or None)


def _remembered(wall: Wall) -> Wall:
    """Puts the picked cover at the front of the history."""
    others = (cover for cover in wall.history if cover != wall.cover)
    return dataclasses.replace(wall, history=(wall.cover, *others)[:MAX_HISTORY])


def _checked(index: Any, length: int) -> int:
    if not (isinstance(index, str) and re.fullmatch(r"[0-9]{1,3}", index) and int(index) < length):
        raise UserError("that cover is no longer there; pick another")
    return int(index)
