"""Finishes turn a cover of few pixels into a picture that is meant to be large, as printers do."""

import difflib
from numbers import Integral

import numpy as np
from PIL import Image

from dac.errors import UserError

FINISHES = ("none", "halftone", "lino", "riso")
# Sides in pixels: of the pictures that can be finished, and the most of a print.
LEAST, MOST, LARGEST = 4, 1024, 6000

# From these years on, another finish was in fashion.
_TURNS = (1970, 1995)
# Words of genres, and the finish before the first of these years, between them and since: woodcuts
# of songs and sorrow, photographs in offset dots, and the copy shop.
_MANNERS = (
    ("metal thrash doom sludge grindcore", ("lino", "lino", "lino")),
    ("folk country blues bluegrass americana celtic cajun", ("lino", "lino", "lino")),
    ("techno house electro trance ambient drone synthwave synth wave", ("riso", "riso", "riso")),
    ("punk indie emo noise experimental psychedelic lo-fi", ("halftone", "riso", "riso")),
    ("soul funk disco gospel motown r&b dub reggae ska", ("halftone", "halftone", "riso")),
    ("hip hop rap trap boom drill", ("halftone", "halftone", "riso")),
    ("jazz bop bebop swing bossa samba", ("lino", "halftone", "riso")),
    ("classical baroque opera choral chamber", ("lino", "lino", "riso")),
    ("rock pop", ("halftone", "halftone", "riso")),
)
_ANY = ("lino", "halftone", "riso")


def check_finish(style: str) -> None:
    """Raises UserError, with the nearest finish, if there is none of this name."""
    if style in FINISHES:
        return
    nearest = difflib.get_close_matches(str(style).lower(), FINISHES, n=1, cutoff=0.4)
    hint = f"; did you mean {nearest[0]}?" if nearest else ""
    raise UserError(f"there is no finish {str(style)[:40]!r}: choose {', '.join(FINISHES)}{hint}")


def finish_for(genre: str | None, year: int | None) -> str:
    """Returns the finish in the manner of a genre and a decade; never "none".

    Args:
      genre: in any writing; the first family with one of its words decides.
      year: of release; None: today.
    """
    era = len(_TURNS) if year is None else sum(year >= turn for turn in _TURNS)
    words = set((genre or "").lower().replace("-", " ").split())
    for family, finishes in _MANNERS:
        if words & set(family.split()):
            return finishes[era]
    return _ANY[era]


def finish(picture: np.ndarray, size: int, style: str, seed: int = 0) -> np.ndarray:
    """Makes a large print of a small picture; deterministic.

    A print looks the same at every size, but for its sharpness.

    Args:
      picture: `[R, R, 3]` uint8, R from 4 to 1024.
      size: S, side of the print in pixels, from R to 6000.
      style: one of FINISHES; "none" enlarges smoothly and no more.
      seed: of the grain, the cuts and the misregistration; the colours do not depend on it.

    Returns:
      `[S, S, 3]` uint8.

    Raises:
      UserError: an argument is none of these.
    """
    check_finish(style)
    picture = np.asarray(picture)
    side = picture.shape[0] if picture.ndim else 0
    if picture.dtype != np.uint8 or picture.shape != (side, side, 3) or not LEAST <= side <= MOST:
        raise UserError(
            f"a finish needs a square picture of {LEAST} to {MOST} pixels, [R, R, 3] uint8, "
            f"not {list(picture.shape)} {picture.dtype}"
        )
    if not isinstance(size, Integral) or not side <= size <= LARGEST:
        raise UserError(f"a print of this cover has {side} to {LARGEST} pixels a side, not {size}")
    if not isinstance(seed, Integral) or seed < 0:
        raise UserError(f"the seed of a finish is a whole number from 0, not {seed}")
    if style == "none":
        large = Image.fromarray(picture).resize((size, size), Image.Resampling.BICUBIC)
        return np.array(large)
    # Imported here: SciPy takes half a second to import, and covers as drawn need none of it.
    from dac.covers.finishing.halftone import print_halftone
    from dac.covers.finishing.lino import print_lino
    from dac.covers.finishing.riso import print_riso

    press = {"halftone": print_halftone, "lino": print_lino, "riso": print_riso}[style]
    return press(picture, int(size), np.random.default_rng(int(seed)))
