"""Pictures of covers: conversion, grids, files and animations."""

import io
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

MARGIN = 2  # pixels between covers of a grid
BACKGROUND = (24, 24, 24)
LABEL_COLOR = (235, 235, 235)


def shrink(images: np.ndarray, resolution: int) -> np.ndarray:
    """Shrinks pictures to the rounded means of square blocks of pixels.

    Args:
      images: `[..., S, S, 3]` uint8.
      resolution: R, a divisor of S.

    Returns:
      `[..., R, R, 3]` uint8.
    """
    *batch, size, _, channels = images.shape
    factor = size // resolution
    if factor == 1:
        return images
    # The sums are exact and, up to a factor of 256, so in float32. NumPy is fast along long axes
    # alone: so whole rows are added first, and then halves of the columns.
    rows = images.reshape(*batch, resolution, factor, size * channels)
    sums = rows[..., 0, :].astype(np.uint16 if factor <= 16 else np.uint32)
    for i in range(1, factor):
        sums += rows[..., i, :]
    sums = sums.reshape(*batch, resolution, size, channels)
    while sums.shape[-2] % (2 * resolution) == 0:
        sums = sums[..., 0::2, :] + sums[..., 1::2, :]
    if sums.shape[-2] > resolution:  # the factor is no power of two
        sums = sums.reshape(*batch, resolution, resolution, -1, channels)
        sums = sums.sum(axis=-2, dtype=sums.dtype)
    return np.rint(np.divide(sums, factor**2, dtype=np.float32)).astype(np.uint8)


def grid(
    covers: np.ndarray, columns: int, cell: int, row_labels: Sequence[str] | None = None
) -> Image.Image:
    """Lays covers out in rows.

    Args:
      covers: `[N, R, R, 3]` uint8.
      columns: covers per row.
      cell: side of a cover in the grid. Smaller covers are enlarged by repeating pixels, larger
        ones shrunk by the mean of blocks, each by the nearest whole factor.
      row_labels: a text to the left of each row.
    """
    factor = max(covers.shape[1] // cell, 1)
    side = covers.shape[1] // factor * max(cell // covers.shape[1], 1)
    rows = -(-len(covers) // columns)
    font = ImageFont.load_default(size=13)
    labels = row_labels or ()
    left = MARGIN + max((round(font.getlength(text)) + 10 for text in labels), default=0)
    size = (left + columns * (side + MARGIN), MARGIN + rows * (side + MARGIN))
    picture = Image.new("RGB", size, BACKGROUND)
    for i, cover in enumerate(covers):
        row, column = divmod(i, columns)
        tile = Image.fromarray(cover).reduce(factor)
        tile = tile.resize((side, side), Image.Resampling.NEAREST)
        picture.paste(tile, (left + column * (side + MARGIN), MARGIN + row * (side + MARGIN)))
    draw = ImageDraw.Draw(picture)
    for row, text in enumerate(labels):
        middle = MARGIN + row * (side + MARGIN) + side // 2
        draw.text((left - 6, middle), text, LABEL_COLOR, font, anchor="rm")
    return picture


def encode_png(picture: Image.Image) -> bytes:
    """Returns a picture as the bytes of a PNG file."""
    content = io.BytesIO()
    picture.save(content, "PNG")
    return content.getvalue()


def save_picture(picture: Image.Image, path: Path, **options) -> None:
    """Writes a picture whole or not at all; the suffix of `path` sets the format."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    os.close(handle)
    try:
        picture.save(
            temporary, format=Image.registered_extensions()[path.suffix.lower()], **options
        )
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def save_animation(frames: Sequence[Path], path: Path, milliseconds: int, last: int) -> None:
    """Writes pictures of one size as a looping GIF.

    Args:
      frames: picture files in order.
      path: the GIF.
      milliseconds: duration of a frame.
      last: duration of the last frame, in milliseconds.
    """
    pictures = []
    for frame in frames:
        with Image.open(frame) as picture:
            pictures.append(picture.convert("RGB").quantize(128, Image.Quantize.MEDIANCUT))
    save_picture(
        pictures[0],
        path,
        save_all=True,
        append_images=pictures[1:],
        duration=[milliseconds] * (len(pictures) - 1) + [last],
        loop=0,
        optimize=True,
    )
