"""Writes covers for screens and printers: PNG, JPEG and PDF, in sRGB."""

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, PngImagePlugin

from dac.covers.images import save_picture
from dac.errors import UserError
from dac.making.settings import DPI, KEY, Record

SUFFIXES = (".png", ".jpg", ".jpeg", ".pdf")
JPEG_QUALITY = 95


def check_suffix(path: Path) -> None:
    """Raises a `UserError` if the format of a path can't be written."""
    if path.suffix.lower() not in SUFFIXES:
        raise UserError(f"{path} must end in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}")


def save_cover(picture: np.ndarray | Image.Image, path: Path, record: Record) -> None:
    """Writes a picture, whole or not at all; the suffix of `path` sets the format.

    It is tagged as sRGB with 300 dots per inch. A PNG carries the record.

    Args:
      picture: `[H, W, 3]` uint8, or an RGB picture.
      path: ends in one of `SUFFIXES`.
      record: how the picture was made.
    """
    if isinstance(picture, np.ndarray):
        picture = Image.fromarray(picture)
    options = {"icc_profile": srgb_profile(), "dpi": (DPI, DPI)}
    match path.suffix.lower():
        case ".png":
            text = PngImagePlugin.PngInfo()
            text.add_itxt(KEY, record.to_json(), zip=True)
            options["pnginfo"] = text
        case ".jpg" | ".jpeg":
            options |= {"quality": JPEG_QUALITY, "subsampling": "4:4:4"}
        case ".pdf":
            return save_pdf([picture], path)
    return save_picture(picture, path, **options)


def save_pdf(pages: Sequence[Image.Image], path: Path) -> None:
    """Writes a PDF with a page for each picture, at 300 dots per inch."""
    save_picture(
        pages[0],
        path,
        save_all=True,
        append_images=pages[1:],
        resolution=DPI,
        quality=JPEG_QUALITY,
        producer="Duck and Cover",
    )


@functools.cache
def srgb_profile() -> bytes:
    """Returns an ICC profile of sRGB, the same bytes each time."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    # Bytes 24 to 35 of the header are the moment of creation: ICC.1:2022, section 7.2.
    return profile[:24] + bytes(12) + profile[36:]
