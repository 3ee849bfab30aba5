"""Sets artist and title on a cover in real type.

Fonts, layout, place and ink follow the genre, the year and the picture; letters keep a contrast of
at least 4.5:1 with their ground. A name of any length is fitted by its size and by line breaks,
never cut. Characters that no font of the extra `type` can show are left out (see `text.name_of`).
"""

import difflib
import random

import numpy as np

from dac.covers.typesetting import fonts, inks, layouts, manner
from dac.covers.typesetting.setting import require_extra
from dac.covers.typesetting.sleeve import Sleeve, thumb_of
from dac.covers.typesetting.text import name_of
from dac.errors import UserError

__all__ = ["FONTS", "LAYOUTS", "MAX_SIDE", "MIN_SIDE", "check_choices", "typeset"]

LAYOUTS: tuple[str, ...] = tuple(layouts.BY_NAME)
FONTS: tuple[str, ...] = fonts.FONTS
MIN_SIDE, MAX_SIDE = 256, 6000
_MAX_CHARACTERS = 1000


def typeset(
    picture: np.ndarray,
    artist: str | None,
    title: str | None,
    *,
    genre: str | None = None,
    year: int | None = None,
    seed: int = 0,
    layout: str | None = None,
    font: str | None = None,
    ink: str | None = None,
) -> np.ndarray:
    """Sets artist and title on a picture.

    The same arguments give the same cover, on each machine. At other sizes of a picture the same
    layout, line breaks and inks are chosen, as far as the sizes agree when they are made small.

    Args:
      picture: `[S, S, 3]` uint8, S from 256 to 6000.
      artist: the artist's name; blank or None for none.
      title: the album's title; blank or None for none.
      genre: any text; known words in it determine fonts and layouts.
      year: the year in whose manner the cover is set.
      seed: draws among the fonts and layouts that suit.
      layout: one of `LAYOUTS`; None lets genre, year, picture and seed choose, as for the others.
      font: one of `FONTS`.
      ink: the colour of all letters, "#rrggbb".

    Returns:
      `[S, S, 3]` uint8; the picture itself if there is nothing to set.

    Raises:
      UserError: on an unknown choice, a picture or name out of range, or without the extra `type`.
    """
    check_choices(layout, font, ink)
    sleeve = _printed(picture, artist, title, genre, year, seed, layout, font, ink)
    return picture if sleeve is None else sleeve.picture


def check_choices(layout: str | None, font: str | None, ink: str | None) -> None:
    """Checks the choices of `typeset`, before any work is done; None is always allowed.

    Raises:
      UserError: on an unknown layout or font, with the nearest names; on an ink that isn't
        "#rrggbb"; and if the extra `type` is missing.
    """
    for kind, name, known in (("layout", layout, LAYOUTS), ("font", font, FONTS)):
        if name is not None and name not in known:
            near = difflib.get_close_matches(name[:80], known, n=3)
            choices = (
                f"did you mean {' or '.join(near)}?" if near else f"choose of {', '.join(known)}"
            )
            raise UserError(f"unknown {kind} {name[:80]!r}; {choices}")
    if ink is not None:
        inks.parse(ink)
    require_extra()


def _printed(
    picture: np.ndarray,
    artist: str | None,
    title: str | None,
    genre: str | None,
    year: int | None,
    seed: int,
    layout: str | None,
    font: str | None,
    ink: str | None,
) -> Sleeve | None:
    """Returns the printed sleeve, or None if there is nothing to set."""
    side = len(picture)
    if picture.shape != (side, side, 3) or picture.dtype != np.uint8:
        raise UserError(
            f"typesetting takes [S, S, 3] uint8, not {list(picture.shape)} {picture.dtype}"
        )
    if not MIN_SIDE <= side <= MAX_SIDE:
        raise UserError(f"typesetting takes {MIN_SIDE} to {MAX_SIDE} pixels a side, not {side}")
    for kind, text in (("artist", artist), ("title", title)):
        if len(text or "") > _MAX_CHARACTERS:
            raise UserError(
                f"the {kind} has {len(text)} characters; at most {_MAX_CHARACTERS} are set"
            )

    rng = random.Random(f"typesetting {seed} {genre} {year} {artist!r} {title!r}")
    pairing = fonts.PAIRINGS[font or manner.choose_font(genre, year, rng)]
    ordered = (artist, title) if manner.artist_leads(genre, rng) else (title, artist)
    lead, second = name_of(ordered[0], pairing.lead), name_of(ordered[1], pairing.second)
    if lead is None:
        lead, second = name_of(ordered[1], pairing.lead), None
    if lead is None:
        return None
    layout = layout or manner.choose_layout(
        genre,
        year,
        thumb_of(picture),
        max(len(name.clusters) for name in (lead, second) if name),
        lead.upright,
        rng,
    )
    sleeve = Sleeve(picture, lead, second, pairing, inks.parse(ink) if ink else None, rng)
    layouts.BY_NAME[layout](sleeve)
    return sleeve
