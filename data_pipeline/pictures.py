"""Opens untrusted pictures: checks their size, decodes them and makes RGB squares.

A picture that cannot be used raises `PictureError` with a short reason.
"""

import functools
import io
import os
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageCms

# Larger pictures are rejected by their header. At this size, RGB pixels take 150 MB.
MAX_PIXELS = 50_000_000

# Larger files are not read: an encoded picture of `MAX_PIXELS` is far smaller.
MAX_BYTES = 100_000_000

# Pillow also opens formats that run other programs (EPS) or that covers do not use.
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")

# EXIF orientation -> the transpose that turns the picture upright.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# Cheap reductions (scaled JPEG decoding, box averaging) stop at this multiple of the target size;
# Lanczos does the rest. From 300 px JPEGs to 64 px, a factor of 2 decodes twice as fast and differs
# from Lanczos alone by 48 dB PSNR; a factor of 1 differs by 36 dB.
_REDUCTION_MARGIN = 2


# Larger pictures are converted in strips of this many pixels: with all of it at once, 50 megapixels
# would take up to 700 MB.
_STRIP_PIXELS = 4_000_000

_SRGB = ImageCms.createProfile("sRGB")


class PictureError(Exception):
    """A picture that cannot be used.

    Attributes:
      reason: one of "unreadable", "empty", "not_a_picture", "too_large", "unsupported_mode",
        "truncated" and "broken".
    """

    def __init__(self, reason: str):
        super().__init__(reason)
        self.reason = reason


def read_picture(path: str | os.PathLike[str]) -> Image.Image:
    """Opens a picture file; see `open_picture`.

    Raises:
      PictureError: "unreadable", "too_large" for more than `MAX_BYTES`, or as in `open_picture`.
    """
    try:
        if os.path.getsize(path) > MAX_BYTES:
            raise PictureError("too_large")
        data = Path(path).read_bytes()
    except OSError as error:
        raise PictureError("unreadable") from error
    return open_picture(data)


def open_picture(data: bytes) -> Image.Image:
    """Opens an encoded picture and reads only its header; an animation gives its first frame.

    Args:
      data: the bytes of a JPEG, PNG, WebP, GIF, BMP, TIFF or AVIF file.

    Returns:
      A picture that is not decoded yet; `square_rgb` decodes it and raises if it is damaged.

    Raises:
      PictureError: "empty", "not_a_picture", or "too_large" for more than `MAX_PIXELS`.
    """
    if not data:
        raise PictureError("empty")
    try:
        picture = Image.open(io.BytesIO(data), formats=_FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PictureError("too_large") from error
    except Exception as error:  # Pillow can raise nearly anything on hostile bytes.
        raise PictureError("not_a_picture") from error
    if picture.width * picture.height > MAX_PIXELS:
        raise PictureError("too_large")
    return picture


def square_rgb(picture: Image.Image, size: int, pad: bool = False) -> Image.Image:
    """Decodes a picture to an upright sRGB square of `size` x `size` pixels.

    Applies an embedded colour profile, crops the centre, puts white behind transparency and shrinks
    with antialiasing. A picture with a shorter side below `size` is upscaled. Compare sizes before
    the call: it may change `picture.size`, as JPEGs are decoded in place at a lower resolution.

    Args:
      picture: a picture from `open_picture`, not decoded yet.
      size: the side of the result in pixels.
      pad: whether to add white at the shorter sides instead of cropping the longer ones.

    Raises:
      PictureError: "truncated", "broken" or "unsupported_mode".
    """
    decode(picture, size)
    try:
        rgb = _shrunk_rgb(picture, size)
    except PictureError:
        raise
    except Exception as error:  # As above: no single picture may stop a build.
        raise PictureError("broken") from error

    side = max(rgb.size) if pad else min(rgb.size)
    if rgb.width != rgb.height:  # `resize(box=...)` would mix in pixels outside the box.
        left, top = (rgb.width - side) // 2, (rgb.height - side) // 2
        if pad:
            square = Image.new("RGB", (side, side), "white")
            square.paste(rgb, (-left, -top))
            rgb = square
        else:
            rgb = rgb.crop((left, top, left + side, top + side))
    square = rgb.resize((size, size), Image.Resampling.LANCZOS, reducing_gap=_REDUCTION_MARGIN)
    # Turning last is cheaper, and a centred square stays one.
    turn = _UPRIGHT.get(_orientation(picture))
    return square if turn is None else square.transpose(turn)


def has_profile(picture: Image.Image) -> bool:
    """Returns whether a picture has a colour profile that changes its colours."""
    return _to_srgb(picture) is not None


def decode(picture: Image.Image, size: int) -> None:
    """Decodes a picture in place and completely; a JPEG at a lower resolution if `size` allows.

    Args:
      picture: a picture from `open_picture`, not decoded yet.
      size: the side in pixels that the picture will be shrunk to.

    Raises:
      PictureError: "truncated" or "broken".
    """
    try:
        picture.draft(None, (_REDUCTION_MARGIN * size, _REDUCTION_MARGIN * size))
        picture.load()
    except Exception as error:  # As above.
        reason = "truncated" if "truncated" in str(error).lower() else "broken"
        raise PictureError(reason) from error


def _shrunk_rgb(picture: Image.Image, size: int) -> Image.Image:
    """Converts a decoded picture to RGB; a large one in strips, which are shrunk at once."""
    width, height = picture.size
    factor = min(width, height) // (size * _REDUCTION_MARGIN)
    if width * height <= _STRIP_PIXELS or factor < 2:
        return _opaque_rgb(picture)
    rows = max(1, _STRIP_PIXELS // width // factor) * factor
    shrunk = Image.new("RGB", (-(-width // factor), -(-height // factor)))
    for top in range(0, height, rows):
        strip = picture.crop((0, top, width, min(top + rows, height)))
        strip.info = picture.info
        shrunk.paste(_opaque_rgb(strip).reduce(factor), (0, top // factor))
    return shrunk


def _opaque_rgb(picture: Image.Image) -> Image.Image:
    """Converts a decoded picture of any mode to sRGB, with white behind transparency."""
    if picture.mode.startswith("I;16"):  # Pillow's own conversion clips instead of scaling.
        levels = np.asarray(picture).astype(np.uint32)  # [H, W] in [0, 65535]
        picture = Image.fromarray(((levels + 128) // 257).astype(np.uint8))
    if picture.mode in ("I", "F", "LAB"):  # The white level of 32-bit greys is unknown.
        raise PictureError("unsupported_mode")
    to_srgb = _to_srgb(picture)
    if not picture.has_transparency_data:
        if to_srgb is not None and picture.mode in ("RGB", "CMYK", "L"):
            return ImageCms.applyTransform(picture, to_srgb)
        return picture.convert("RGB")
    with_alpha = picture.convert("RGBA")
    colours = with_alpha.convert("RGB")
    if to_srgb is not None:
        colours = ImageCms.applyTransform(colours, to_srgb)
    opaque = Image.new("RGB", picture.size, "white")
    opaque.paste(colours, mask=with_alpha.getchannel("A"))
    return opaque


def _to_srgb(picture: Image.Image) -> ImageCms.ImageCmsTransform | None:
    """Returns the transform from a picture's profile to sRGB; None without one, or for sRGB."""
    data = picture.info.get("icc_profile")
    mode = "RGB" if picture.has_transparency_data or picture.mode == "P" else picture.mode
    return _transform(data, mode) if isinstance(data, bytes) else None


@functools.lru_cache(maxsize=16)  # few profiles are in use
def _transform(data: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    try:
        profile = ImageCms.getOpenProfile(io.BytesIO(data))
        if "srgb" in ImageCms.getProfileDescription(profile).lower():
            return None
        return ImageCms.buildTransform(profile, _SRGB, mode, "RGB")
    except Exception:  # A broken profile, or one of another mode: the pixels are usable.
        return None


def _orientation(picture: Image.Image) -> int | None:
    try:
        return picture.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # The pixels are usable even if the EXIF data is broken.
        return None
