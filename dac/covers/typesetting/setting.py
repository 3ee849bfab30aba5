"""Turns a name into the ink of its letters, by Typst.

Typst shapes, orders, breaks and falls back by itself, and its wheels need nothing of the system;
Pillow's raqm needs a FriBiDi that wheels lack, and breaks no lines. The paragraphs of skia-python
need libGL, and their binding can set no direction and tell no missing glyph.
"""

import functools
import importlib.util
import io
import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dac.covers.typesetting.fonts import MISSING_EXTRA, Face, folders
from dac.covers.typesetting.text import Name, runs
from dac.errors import UserError

# Thousandths of the cover's side, Typst's unit here, so that lines break alike at all sizes.
UNITS = 1000
# Pixels a side of the first look at a setting, and the room around it for ink that overhangs.
_DRAFT = 500
_BLEED = 150
_lock = threading.Lock()  # the compiler is one for all threads


def set_type(
    name: Name,
    face: Face,
    side: int,
    width: float,
    height: float,
    size: float,
    align: str = "left",
    column: bool = False,
) -> np.ndarray:
    """Sets a name in the largest type that fits a box.

    Args:
      name: what to set.
      face: the type.
      side: S, the cover's side in pixels.
      width: of the box, as a fraction of the side.
      height: of the box, as a fraction of the side.
      size: the largest font size, as a fraction of the side.
      align: "left", "center" or "right", of lines among each other.
      column: whether an upright name stands in columns from right to left.

    Returns:
      `[h, w]` uint8, the share of ink from 0 to 255, without empty rows or columns around it;
      h and w are at most the box's.
    """
    tall = not (name.cased or name.upright)
    job = {
        "runs": runs(name.clusters),
        "words": name.words,
        "clusters": name.clusters,
        "weight": face.weight,
        "tracking": face.tracking if name.cased else 0,
        "language": name.language,
        "rtl": name.rtl,
        # Scripts with marks above and below need their whole height, Latin its capitals'.
        "edges": ("ascender", "descender") if tall else ("cap-height", "baseline"),
        "leading": 0.0 if tall else 0.24 if face.capitals else 0.36,
        "align": align,
        "column": column and name.upright,
        "box": (width * UNITS, height * UNITS),
        "size": size * UNITS,
        "scale": 1.0,
    }
    page = [width * UNITS + 2 * _BLEED, height * UNITS + 2 * _BLEED]
    room = width * UNITS - 4, height * UNITS - 4  # less the draft's rounding on both sides
    while True:
        draft = _compile(job | {"page": page, "origin": (_BLEED, _BLEED)}, _DRAFT)
        top, bottom, left, right = (edge * UNITS / _DRAFT for edge in _bounds(draft))
        if left <= 0 or top <= 0 or right >= page[0] - 2 or bottom >= page[1] - 2:
            job["scale"] *= 0.7  # past the page: the ink's extent is unknown
        elif right - left > room[0] or bottom - top > room[1]:
            job["scale"] *= 0.99 * min(room[0] / (right - left), room[1] / (bottom - top))
        else:
            break
    page = [right - left + 8, bottom - top + 8]
    ink = _compile(job | {"page": page, "origin": (_BLEED - left + 4, _BLEED - top + 4)}, side)
    top, bottom, left, right = _bounds(ink)
    return ink[top:bottom, left:right]


def _bounds(ink: np.ndarray) -> tuple[int, int, int, int]:
    """Returns the top, bottom, left and right of what is not empty; ends are exclusive."""
    rows, columns = (np.flatnonzero(ink.any(axis)) for axis in (1, 0))
    if not len(rows):
        return 0, 1, 0, 1
    return rows[0], rows[-1] + 1, columns[0], columns[-1] + 1


def _compile(job: dict[str, Any], side: int) -> np.ndarray:
    """Returns the ink `[h, w]` uint8 of a page, with `side` pixels for the cover's side."""
    with _lock:
        png = _compiler().compile(
            format="png", ppi=72 * side / UNITS, sys_inputs={"job": json.dumps(job)}
        )
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image.getchannel("A"))


def require_extra() -> None:
    """Raises a UserError unless the extra `type` is installed."""
    for package in ("typst", "fontTools"):
        if importlib.util.find_spec(package) is None:
            raise UserError(MISSING_EXTRA)
    folders()


@functools.cache
def _compiler() -> Any:  # typst.Compiler
    import typst  # of the extra

    fonts = typst.Fonts(
        include_system_fonts=False,
        include_embedded_fonts=False,
        font_paths=[str(folder) for folder in folders()],
    )
    return typst.Compiler(str(Path(__file__).with_name("setting.typ")), font_paths=fonts)
