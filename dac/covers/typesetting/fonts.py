"""The type: families for each genre and decade, and a fallback family for every script.

All fonts come from packages of the extra `type`, under the SIL Open Font License 1.1 (Permanent
Marker: Apache 2.0). The fonts of the system are never used, so that a cover is the same on each
machine.
"""

import dataclasses
import functools
import importlib.util
from pathlib import Path

from dac.errors import UserError

MISSING_EXTRA = "typesetting needs the extra `type`: pip install -e '.[type]'"


@dataclasses.dataclass(frozen=True)
class Face:
    """How a family is set.

    Attributes:
      family: name of the family.
      weight: 100 to 900. It also sets the weight of fallback families, so it says how heavy the
        family looks, not what its file says.
      capitals: whether it is set in capitals.
      tracking: space between letters, in em.
    """

    family: str
    weight: int = 400
    capitals: bool = False
    tracking: float = 0.0


@dataclasses.dataclass(frozen=True)
class Pairing:
    """A display face, and the face of the smaller lines beside it.

    Attributes:
      lead: the face of the larger of artist and title.
      second: the face of the smaller.
      years: first and last year in whose manner it is.
    """

    lead: Face
    second: Face
    years: tuple[int, int] = (0, 9999)


_NARROW = Face("Archivo Narrow", 600, capitals=True, tracking=0.08)
_FUTURA = Face("Jost", 500, capitals=True, tracking=0.14)
_SWISS = Face("Inter Tight", 500)

PAIRINGS = {
    "abril-fatface": Pairing(Face("Abril Fatface", 900), _FUTURA),
    "alfa-slab-one": Pairing(Face("Alfa Slab One", 900), _NARROW),
    "anton": Pairing(Face("Anton", 900, capitals=True, tracking=0.005), _NARROW),
    "caveat": Pairing(Face("Caveat", 700), Face("Caveat", 500), (1965, 9999)),
    "cinzel": Pairing(
        Face("Cinzel", 900, capitals=True, tracking=0.02),
        Face("Cinzel", 600, capitals=True, tracking=0.16),
    ),
    "cormorant-garamond": Pairing(
        Face("Cormorant Garamond", 600),
        Face("Cormorant Garamond", 600, capitals=True, tracking=0.14),
    ),
    "fraunces": Pairing(Face("Fraunces", 800), Face("Fraunces", 500), (1964, 9999)),
    "inter-tight": Pairing(Face("Inter Tight", 700, tracking=-0.015), _SWISS, (1957, 9999)),
    "jost": Pairing(Face("Jost", 600, tracking=-0.01), _FUTURA),
    "league-spartan": Pairing(
        Face("League Spartan", 800, tracking=-0.03), Face("League Spartan", 500)
    ),
    "orbitron": Pairing(Face("Orbitron", 800, capitals=True, tracking=0.04), _FUTURA, (1977, 9999)),
    "permanent-marker": Pairing(Face("Permanent Marker", 700), _NARROW, (1976, 9999)),
    "righteous": Pairing(Face("Righteous", 700), _FUTURA, (1966, 9999)),
    "space-mono": Pairing(
        Face("Space Mono", 700, tracking=-0.04), Face("Space Mono"), (1972, 9999)
    ),
    "unbounded": Pairing(
        Face("Unbounded", 800, tracking=-0.02), Face("Inter Tight", 600), (1985, 9999)
    ),
    "yellowtail": Pairing(Face("Yellowtail", 500), _FUTURA, (0, 1979)),
}
FONTS = tuple(PAIRINGS)

# Fallback families, in the order in which they are asked, with their files' folders.
_NOTO = "manimgx_fonts"
_CJK = "manimgx_fonts_cjk"
_SCRIPTS = (
    *("Arabic", "Hebrew", "Devanagari", "Thai", "Bengali", "Tamil", "Telugu", "Kannada"),
    *("Malayalam", "Gujarati", "Gurmukhi", "Oriya", "Sinhala", "Khmer", "Lao", "Myanmar"),
    *("Ethiopic", "Georgian", "Armenian"),
)
EMOJI = "Noto Emoji"
_REGIONS = {"ja": "JP", "ko": "KR", "zh": "SC"}


def families(face: Face, language: str) -> list[str]:
    """Returns the family of a face and its fallbacks, in the order in which they are asked."""
    cjk = f"Noto Sans CJK {_REGIONS.get(language, 'JP')}"
    scripts = [f"Noto Sans {script}" for script in _SCRIPTS]
    return [face.family, "Noto Sans", *scripts, cjk, "Noto Sans Symbols", EMOJI]


def has_glyphs(family: str, code_points: list[int]) -> bool:
    """Whether a family has a glyph for each code point."""
    return _code_points(family).issuperset(code_points)


@functools.cache
def folders() -> tuple[Path, ...]:
    """Returns the folders of all fonts.

    Raises:
      UserError: if the extra `type` is not installed.
    """
    faces = [face for pair in PAIRINGS.values() for face in (pair.lead, pair.second)]
    own = sorted({_package(face.family) for face in faces})
    return tuple(_folder(package) for package in (*own, _NOTO, _CJK))


def _package(family: str) -> str:
    return "fontpkg_" + family.lower().replace(" ", "_")


def _folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise UserError(MISSING_EXTRA)
    folder = Path(next(iter(spec.submodule_search_locations)))
    return folder / "files" if package.startswith("fontpkg_") else folder


@functools.cache
def _code_points(family: str) -> frozenset[int]:
    """Returns the code points for which a family has glyphs."""
    from fontTools.ttLib import TTFont  # of the extra

    number = -1
    if family.startswith("Noto Sans CJK"):  # one collection, the same code points in each font
        file, number = next(_folder(_CJK).glob("*.ttc")), 0
    elif family.startswith("Noto"):
        file = _folder(_NOTO) / f"{family.replace(' ', '')}[wght].ttf"
    else:
        files = sorted(_folder(_package(family)).glob("*.ttf"))
        file = next(file for file in files if "Italic" not in file.name)
    with TTFont(file, fontNumber=number, lazy=True) as font:
        return frozenset(font.getBestCmap())
