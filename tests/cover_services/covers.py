"""Draws covers: JPEG and PNG files, unique to an album's number, and decompression bombs."""

import functools
import io
import struct
import zlib

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

# Drawing is slow, so each size has only this many pictures. A comment in the file, which holds the
# cover's number, makes the bytes unique.
NUM_PICTURES = 1000


def cover_jpeg(number: int, size: int) -> bytes:
    """Returns a JPEG of `size` x `size` pixels; no two numbers have the same bytes."""
    start, rest = _jpeg_parts(number % NUM_PICTURES, size)
    comment = b"cover %d" % number
    return b"".join((start, b"\xff\xfe", (len(comment) + 2).to_bytes(2), comment, rest))


def cover_png(number: int, size: int) -> bytes:
    """Returns a PNG of `size` x `size` pixels; no two numbers have the same bytes."""
    start, rest = _png_parts(number % NUM_PICTURES, size)
    return start + _chunk(b"tEXt", b"Comment\0cover %d" % number) + rest


@functools.cache
def bomb(format: str) -> bytes:
    """Returns a "JPEG" or "PNG" of a few hundred bytes that claims 30,000 x 30,000 pixels."""
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, format)
    data = bytearray(stream.getvalue())
    if format == "PNG":
        data[8:33] = _chunk(b"IHDR", struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0))
    else:
        frame = data.index(b"\xff\xc0") + 5
        data[frame : frame + 4] = struct.pack(">HH", 30_000, 30_000)
    return bytes(data)


def _draw(number: int, size: int) -> Image.Image:
    rng = np.random.default_rng(number)
    coarse = rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)
    picture = Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(picture)
    for _ in range(12):
        x, y, radius = rng.random(3) * (size, size, size / 4)
        shape = draw.ellipse if rng.random() < 0.5 else draw.rectangle
        colour = tuple(int(value) for value in rng.integers(0, 256, 3))
        shape((x - radius, y - radius, x + radius, y + radius), fill=colour)
    return Image.fromarray(np.clip(np.asarray(picture) + _grain(size), 0, 255).astype(np.uint8))


@functools.cache
def _grain(size: int) -> np.ndarray:
    """Returns the grain of all pictures of a size; it takes longer than the rest of a picture."""
    return np.random.default_rng(0).normal(0, 11, (size, size, 1)).astype(np.int16)


@functools.cache
def _jpeg_parts(number: int, size: int) -> tuple[bytes, bytes]:
    """Encodes a picture and cuts it where a comment can go."""
    stream = io.BytesIO()
    _draw(number, size).save(stream, "JPEG", quality=80, optimize=True)
    data = stream.getvalue()
    cut = 4 + int.from_bytes(data[4:6])  # after the JFIF segment, which must come first
    return data[:cut], data[cut:]


@functools.cache
def _png_parts(number: int, size: int) -> tuple[bytes, bytes]:
    """Encodes a picture and cuts it where a comment can go."""
    stream = io.BytesIO()
    _draw(number, size).filter(ImageFilter.GaussianBlur(2)).quantize(64).save(stream, "PNG")
    data = stream.getvalue()
    return data[:33], data[33:]  # the signature and IHDR, which must come first; the rest


def _chunk(name: bytes, data: bytes) -> bytes:
    """Returns a chunk of a PNG file."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
