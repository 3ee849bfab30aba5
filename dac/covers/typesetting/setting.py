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
_ROUNDING = 4  # units of a draft's ink that may be missing at its edges
_PAD = 4  # units around the ink on the final page
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
    job, bounds = _fitted(_job(name, face, width, height, size, align, column))
    top, bottom, left, right = bounds
    page = right - left + 2 * _PAD, bottom - top + 2 * _PAD
    ink = _compile(job, page, (_BLEED - left + _PAD, _BLEED - top + _PAD), side)
    top, bottom, left, right = _bounds(ink)
    return ink[top:bottom, left:right]


def _job(
    name: Name, face: Face, width: float, height: float, size: float, align: str, column: bool
) -> dict[str, Any]:
    """Returns what `setting.typ` asks for, without a page."""
    tall = not (name.cased or name.upright)
    return {
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


def _fitted(job: dict[str, Any]) -> tuple[dict[str, Any], tuple[float, ...]]:
    """Scales a job until its ink, overhangs and all, is within the box.

    Returns:
      The job, and the top, bottom, left and right of its ink in units, for an origin of `_BLEED`.
    """
    width, height = job["box"]
    page = width + 2 * _BLEED, height + 2 * _BLEED
    room = width - _ROUNDING, height - _ROUNDING
    while True:
        draft = _compile(job, page, (_BLEED, _BLEED), _DRAFT)
        bounds = top, bottom, left, right = tuple(x * UNITS / _DRAFT for x in _bounds(draft))
        # Ink far out may be part of a tower of marks that goes on past the page.
        far = min(left, top, page[0] - right, page[1] - bottom) < _BLEED / 2
        if far:
            shrink = 0.7
        elif right - left > room[0] or bottom - top > room[1]:
            shrink = 0.99 * min(room[0] / (right - left), room[1] / (bottom - top))
        else:
            return job, bounds
        job = job | {"scale": shrink * job["scale"]}


def _bounds(ink: np.ndarray) -> tuple[int, int, int, int]:
    """Returns the top, bottom, left and right of what is not empty; ends are exclusive."""
    rows, columns = (np.flatnonzero(ink.any(axis)) for axis in (1, 0))
    if not len(rows):
        return 0, 1, 0, 1
    return rows[0], rows[-1] + 1, columns[0], columns[-1] + 1


def _compile(
    job: dict[str, Any], page: tuple[float, float], origin: tuple[float, float], side: int
) -> np.ndarray:
    """Returns the ink `[h, w]` uint8 of a page, with `side` pixels for the cover's side."""
    data = json.dumps(job | {"page": page, "origin": origin})
    with _lock:
        png = _compiler().compile(format="png", ppi=72 * side / UNITS, sys_inputs={"job": data})
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
