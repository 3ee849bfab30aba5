import contextlib
import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageOps

from data_pipeline import pictures
from data_pipeline.pictures import PictureError, open_picture, read_picture, square_rgb

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def encode(image: Image.Image, file_format: str = "PNG", **options) -> bytes:
    data = io.BytesIO()
    image.save(data, file_format, **options)
    return data.getvalue()


def decode(data: bytes, size: int = 8) -> np.ndarray:
    square = square_rgb(open_picture(data), size)
    assert square.mode == "RGB"
    pixels = np.asarray(square)
    assert pixels.shape == (size, size, 3)
    return pixels


def assert_colour(pixels: np.ndarray, colour: tuple[int, int, int], tolerance: int = 0) -> None:
    assert np.abs(pixels - np.array(colour, np.float32)).max() <= tolerance


def reason(data: bytes) -> str:
    with pytest.raises(PictureError) as caught:
        decode(data)
    return caught.value.reason


def quadrants() -> Image.Image:
    """Returns a 32x32 picture that each rotation or flip changes."""
    image = Image.new("RGB", (32, 32), RED)
    image.paste(GREEN, (16, 0, 32, 16))
    image.paste(BLUE, (0, 16, 16, 32))
    return image


def png_header(width: int, height: int) -> bytes:
    """Returns a PNG with a size in its header but no pixels."""

    def chunk(name: bytes, content: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + crc

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def half_transparent(mode: str) -> Image.Image:
    """Returns a black picture: left half opaque, right half transparent."""
    image = Image.new("RGBA", (16, 16), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (0, 0, 8, 16))
    return image.convert(mode)


@pytest.mark.parametrize(
    ("image", "file_format", "expected"),
    [
        (Image.new("RGB", (16, 16), (10, 20, 30)), "PNG", (10, 20, 30)),
        (Image.new("L", (16, 16), 77), "PNG", (77, 77, 77)),
        (Image.new("1", (16, 16), 1), "PNG", WHITE),
        (Image.new("P", (16, 16), 0), "PNG", (0, 0, 0)),
        (Image.new("RGB", (16, 16), RED).quantize(4), "GIF", RED),
        (Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "TIFF", RED),
        (Image.new("RGB", (16, 16), BLUE), "WEBP", BLUE),
        (Image.new("RGB", (16, 16), GREEN), "BMP", GREEN),
    ],
)
def test_modes_and_formats_are_converted_to_rgb(image, file_format, expected):
    options = {"lossless": True} if file_format == "WEBP" else {}
    assert_colour(decode(encode(image, file_format, **options)), expected)


@pytest.mark.parametrize(
    ("inks", "expected"),
    [((0, 255, 255, 0), RED), ((0, 0, 0, 0), WHITE), ((0, 0, 0, 255), (0, 0, 0))],
)
def test_cmyk_jpeg_is_not_inverted(inks, expected):
    data = encode(Image.new("CMYK", (16, 16), inks), "JPEG", quality=95)
    assert b"Adobe" in data  # The marker of inverted inks.
    assert_colour(decode(data), expected, 3)


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
@pytest.mark.parametrize(("level", "expected"), [(0, 0), (257, 1), (32896, 128), (65535, 255)])
def test_16_bit_grey_is_scaled(file_format, level, expected):
    image = Image.fromarray(np.full((16, 16), level, np.uint16))
    assert image.mode == "I;16"
    assert (decode(encode(image, file_format)) == expected).all()


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_composited_over_white(mode):
    pixels = decode(encode(half_transparent(mode)), 16)
    assert (pixels[:, :8] == 0).all()
    assert (pixels[:, 8:] == 255).all()


def test_half_alpha_mixes_with_white():
    pixels = decode(encode(Image.new("RGBA", (16, 16), (255, 0, 0, 128))))
    assert_colour(pixels, (255, 127, 127), 1)


def test_transparent_palette_entry_is_composited_over_white():
    image = Image.new("P", (16, 16), 0)
    image.putpalette([0, 0, 0, 255, 0, 0])
    image.paste(1, (8, 0, 16, 16))
    pixels = decode(encode(image, transparency=0), 16)
    assert_colour(pixels[0, 0], WHITE)
    assert_colour(pixels[0, 15], RED)


def test_transparent_colour_of_rgb_png_is_composited_over_white():
    pixels = decode(encode(Image.new("RGB", (16, 16), RED), transparency=RED))
    assert (pixels == 255).all()


def test_first_frame_of_an_animation_is_used():
    frames = [Image.new("RGB", (16, 16), colour) for colour in (RED, BLUE)]
    data = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert_colour(decode(data)[4, 4], RED)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    data = encode(quadrants(), exif=exif)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    np.testing.assert_array_equal(decode(data, 32), np.asarray(upright.convert("RGB")))


def test_exif_orientation_6_of_a_jpeg_moves_the_corner():
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6  # Rotated: top left belongs at top right.
    pixels = decode(encode(quadrants(), "JPEG", exif=exif, quality=95), 8)
    assert_colour(pixels[1, 6], RED, 12)
    assert_colour(pixels[6, 6], GREEN, 12)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("file_format", ["PNG", "JPEG"])
@pytest.mark.parametrize("exif", [b"MM\0*\xff\xff\xff\xffnonsense", b"nonsense"])
def test_broken_exif_is_ignored(file_format, exif):
    data = encode(quadrants(), file_format, exif=b"Exif\0\0" + exif)
    assert_colour(decode(data)[1, 1], RED, 12)


@pytest.mark.parametrize("size", [(96, 32), (97, 32), (32, 96), (32, 97)])
def test_centre_is_cropped(size):
    image = Image.new("RGB", size, RED)
    left, top = (size[0] - 32) // 2, (size[1] - 32) // 2
    image.paste(GREEN, (left, top, left + 32, top + 32))
    assert (decode(encode(image), 32) == GREEN).all()
    assert (decode(encode(image), 8) == GREEN).all()


def test_oblong_pictures_can_be_padded():
    image = Image.new("RGB", (64, 32), RED)
    pixels = np.asarray(square_rgb(open_picture(encode(image)), 64, pad=True))
    assert (pixels[[0, 15, 48, 63]] == 255).all()
    assert (pixels[20:44] == RED).all()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "I;16", "1"])
def test_large_pictures_take_little_memory_and_look_the_same(mode, monkeypatch):
    """Each mode in strips, and all at once."""
    ramp = np.linspace(0, 255, 1200).astype(np.uint8)
    grey = Image.fromarray(np.add.outer(ramp[:900] // 2, ramp // 2))
    image = grey.convert("RGB").convert(mode) if mode != "I;16" else None
    if image is None:
        image = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    data = encode(image)
    whole = np.asarray(square_rgb(open_picture(data), 32))
    sizes = []
    convert = pictures._opaque_rgb
    monkeypatch.setattr(pictures, "_STRIP_PIXELS", 100_000)
    monkeypatch.setattr(
        pictures, "_opaque_rgb", lambda strip: sizes.append(strip.size) or convert(strip)
    )
    strips = np.asarray(square_rgb(open_picture(data), 32))
    assert len(sizes) > 5
    assert max(width * height for width, height in sizes) <= 100_000
    np.testing.assert_allclose(strips - 0.0, whole - 0.0, atol=3)


@pytest.mark.parametrize("file_format", ["PNG", "JPEG"])
def test_shrinking_is_antialiased(file_format):
    rows, columns = np.indices((256, 256))
    checkers = Image.fromarray((255 * ((rows + columns) % 2)).astype(np.uint8))
    pixels = decode(encode(checkers, file_format), 32)
    np.testing.assert_allclose(pixels - 0.0, 127.5, atol=4)


def test_large_jpeg_is_decoded_at_reduced_size():
    ramp = np.linspace(0, 255, 512).astype(np.uint8)
    image = Image.merge("RGB", [Image.fromarray(np.tile(ramp, (512, 1)))] * 3)
    picture = open_picture(encode(image, "JPEG", quality=95))
    square = square_rgb(picture, 32)
    assert picture.size == (64, 64)
    exact = image.resize((32, 32), Image.Resampling.LANCZOS)
    np.testing.assert_allclose(np.asarray(square) - 0.0, np.asarray(exact) - 0.0, atol=2)


def test_small_picture_is_upscaled():
    picture = open_picture(encode(Image.new("RGB", (3, 5), BLUE)))
    assert picture.size == (3, 5)
    np.testing.assert_array_equal(np.asarray(square_rgb(picture, 64)), np.full((64, 64, 3), BLUE))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "empty"),
        (b"<html>404 Not Found</html>", "not_a_picture"),
        (encode(quadrants(), "EPS"), "not_a_picture"),  # Would start Ghostscript.
        (encode(Image.new("F", (16, 16), 0.5), "TIFF"), "unsupported_mode"),
        (encode(Image.new("I", (16, 16), 70_000), "TIFF"), "unsupported_mode"),
        (png_header(0, 16), "not_a_picture"),
        (png_header(16, 16), "truncated"),
    ],
)
def test_unusable_pictures_have_a_reason(data, expected):
    assert reason(data) == expected


@pytest.mark.parametrize("side", [7_100, 10_000, 20_000, 2_000_000])
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_pixel_limit_is_checked_from_the_header(side):
    # Above our limit, Pillow's warning, Pillow's error, and any machine's memory.
    assert side**2 > pictures.MAX_PIXELS
    assert reason(png_header(side, side)) == "too_large"


@pytest.mark.filterwarnings("error::PIL.Image.DecompressionBombWarning")
def test_pixel_limit_applies_where_warnings_are_errors():
    assert reason(png_header(10_000, 10_000)) == "too_large"


@pytest.mark.parametrize(
    ("file_format", "expected"),
    [("PNG", "truncated"), ("JPEG", "truncated"), ("GIF", "truncated"), ("WEBP", "not_a_picture")],
)
def test_truncated_file_is_rejected(file_format, expected):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    data = encode(Image.fromarray(noise), file_format)
    assert reason(data[: len(data) // 2]) == expected


def test_corrupt_pixels_are_reported_as_broken():
    data = bytearray(encode(quadrants()))
    start = data.index(b"IDAT") + 4
    data[start : start + 8] = b"\xff" * 8
    assert reason(bytes(data)) == "broken"


@settings(deadline=None)
@given(
    file_format=st.sampled_from(["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"]),
    edits=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=8),
    cut=st.integers(1, 10_000),
)
def test_damaged_files_give_a_square_or_a_picture_error(file_format, edits, cut):
    data = bytearray(encode(quadrants(), file_format))
    for position, value in edits:
        data[position % len(data)] = value
    with contextlib.suppress(PictureError):
        decode(bytes(data[:cut]))


def test_read_picture(tmp_path, monkeypatch):
    path = tmp_path / "cover.png"
    path.write_bytes(encode(quadrants()))
    assert read_picture(path).size == (32, 32)
    monkeypatch.setattr(pictures, "MAX_BYTES", path.stat().st_size - 1)
    with pytest.raises(PictureError, match="too_large"):
        read_picture(path)
    with pytest.raises(PictureError, match="unreadable"):
        read_picture(tmp_path / "missing.png")
