"""What suits a genre and a year: fonts, layouts, and which of the two names is the larger.

A genre is any text; it is known by the words in it.
"""

import random

import numpy as np

from dac.covers.typesetting import inks
from dac.covers.typesetting.fonts import PAIRINGS
from dac.covers.typesetting.layouts import ON_GROUND

# Words of genres, and families. The first row with a word that the genre contains is taken, so the
# particular stands before the general.
_FONTS_BY_GENRE = (
    ("synthwave vaporwave chiptune italo", "orbitron unbounded"),
    ("hip rap trap grime", "anton permanent-marker league-spartan"),
    ("punk hardcore grunge garage ska", "anton permanent-marker space-mono"),
    ("metal doom goth", "cinzel anton"),
    ("techno house trance rave drum dubstep", "unbounded space-mono inter-tight"),
    ("electr idm glitch noise synth experimental", "space-mono inter-tight unbounded"),
    ("ambient drone", "cormorant-garamond inter-tight jost"),
    ("classical baroque opera chamber choral orchestr piano", "cormorant-garamond abril-fatface"),
    ("free jazz fusion avant", "league-spartan inter-tight space-mono"),
    ("jazz bebop swing", "jost league-spartan abril-fatface"),
    ("bossa samba latin lounge exotica easy", "jost abril-fatface yellowtail"),
    ("funk disco boogie", "righteous abril-fatface"),
    ("soul r&b gospel motown", "fraunces righteous abril-fatface"),
    ("dub reggae dancehall afro", "alfa-slab-one righteous anton"),
    ("country blues bluegrass western americana", "alfa-slab-one yellowtail fraunces"),
    ("psych prog kraut", "righteous fraunces"),
    ("indie lo-fi lofi shoegaze dream singer", "caveat inter-tight fraunces"),
    ("folk celtic acoustic", "fraunces caveat cormorant-garamond"),
    ("rock'n'roll rockabilly surf doo", "yellowtail alfa-slab-one"),
    ("rock", "anton league-spartan fraunces"),
    ("pop", "league-spartan abril-fatface inter-tight"),
)
# Without a known genre: the last year of a period, and its families.
_FONTS_BY_YEAR = (
    (1964, "jost yellowtail abril-fatface"),
    (1979, "fraunces righteous league-spartan"),
    (1989, "orbitron abril-fatface league-spartan"),
    (2003, "anton inter-tight space-mono"),
    (9999, "inter-tight league-spartan fraunces"),
)
# The years in whose manner a layout is; the others are of all times.
_LAYOUT_YEARS = {
    "corner": (1984, 9999),
    "vertical": (1968, 9999),
    "band": (1950, 1978),
    "obi": (1965, 1999),
    "cassette": (1976, 1997),
    "tape": (1976, 9999),
    "mount": (1969, 9999),
    "disc": (1974, 9999),
}
# As above, for layouts.
_LAYOUTS_BY_GENRE = (
    ("synthwave vaporwave chiptune italo", "centred obi cassette vertical poster"),
    ("hip rap trap grime", "poster tape cassette panel disc"),
    ("punk hardcore grunge garage", "tape poster cassette split"),
    ("metal doom goth", "centred poster split"),
    ("techno house trance rave drum dubstep", "disc corner vertical panel poster"),
    ("electr idm glitch noise synth experimental ambient drone", "corner mount vertical panel"),
    ("classical baroque opera chamber choral orchestr piano", "label mount band centred"),
    ("jazz bebop swing fusion", "band panel split poster mount"),
    ("bossa samba latin lounge exotica easy", "band panel corner centred"),
    ("funk disco boogie soul r&b gospel motown", "centred disc poster split band"),
    ("dub reggae dancehall afro ska", "disc tape poster band"),
    ("country blues bluegrass western folk celtic", "centred label split band"),
    ("psych prog kraut", "centred poster label obi"),
    ("indie lo-fi lofi shoegaze dream singer", "corner tape mount centred"),
)
_ANY_LAYOUT = (
    "corner",
    "centred",
    "poster",
    "split",
    "vertical",
    "band",
    "panel",
    "mount",
    "label",
)
# Standard deviation of lightness (0 to 1) in the calmer of head and foot, above which a picture
# is too busy to print on.
_BUSY = 0.17
# A longer name wants room in width.
_LONG = 60
# As above, for the larger of the two names.
_LEADS = (
    ("classical jazz ambient bossa folk", "title"),
    ("metal punk hardcore rock hip rap dub reggae funk soul blues country pop", "artist"),
)


def in_genre(genre: str | None, rows: tuple[tuple[str, str], ...]) -> list[str]:
    """Returns the choices of the first row whose words the genre contains, or none."""
    genre = (genre or "").lower()
    for words, choices in rows:
        if any(word in genre for word in words.split(" ")):
            return choices.split()
    return []


def choose_font(genre: str | None, year: int | None, rng: random.Random) -> str:
    """Returns a name of `FONTS` in the manner of a genre and a year; either may be missing."""
    names = in_genre(genre, _FONTS_BY_GENRE)
    if not names:
        names = next(fonts for last, fonts in _FONTS_BY_YEAR if (year or 9999) <= last).split()
    if year is not None:
        first_last = {name: PAIRINGS[name].years for name in names}
        names = [n for n, (first, last) in first_last.items() if first <= year <= last] or names
    return rng.choice(names)


def artist_leads(genre: str | None, rng: random.Random) -> bool:
    """Whether the artist is the larger of the two names; drawn where no genre tells."""
    return rng.choice(in_genre(genre, _LEADS) or ["artist", "title"]) == "artist"


def choose_layout(
    genre: str | None,
    year: int | None,
    thumb: np.ndarray,
    longest: int,
    upright: bool,
    rng: random.Random,
) -> str:
    """Returns a name of a layout.

    Args:
      genre: any text, or None.
      year: or None.
      thumb: the picture, small, `[T, T, 3]` uint8; if it is busy, the layout has its own ground.
      longest: characters of the longer name.
      upright: whether the names may stand in columns.
      rng: draws among those that suit.
    """
    names = in_genre(genre, _LAYOUTS_BY_GENRE) or list(_ANY_LAYOUT)
    if upright:
        names = [*names, "obi", "vertical"]
    if year is not None:
        spans = {name: _LAYOUT_YEARS.get(name, (0, 9999)) for name in names}
        names = [n for n in names if spans[n][0] <= year <= spans[n][1]] or names
    if longest > _LONG:
        names = [n for n in names if n not in ("disc", "obi", "vertical")] or ["centred"]
    light = np.sqrt(inks.luminance(thumb))
    third = len(light) // 3
    if min(light[:third].std(), light[-third:].std()) > _BUSY:
        grounded = [layout.__name__ for layout in ON_GROUND]
        names = [name for name in names if name in grounded] or ["label", "panel", "band"]
    return rng.choice(names)
