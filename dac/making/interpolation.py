"""Frames between covers: through latents, years, or genres. A looping GIF or MP4."""

import itertools
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from dac.covers.conditions import Album
from dac.errors import UserError
from dac.making.make import albums_of, latents_of, print_cover, turn
from dac.making.settings import Settings
from dac.sampling import BATCH_SIZE, Run

SUFFIXES = (".gif", ".mp4")
FRAMES_PER_SECOND = 20
GIF_COLORS = 128
MP4_QUALITY = 16  # the constant rate factor: 0 is lossless, 23 usual


def interpolate(
    run: Run, stops: Sequence[Settings], frames: int, warn: Callable[[str], None]
) -> Iterator[np.ndarray]:
    """Makes the frames of a loop through covers: from each to the next, and back to the first.

    Latents turn from one to the next on the sphere that they lie on; genres cross-fade by their
    weights; years go year by year. Names can't be interpolated: they must be the same at all stops.

    Args:
      run: the generator.
      stops: settings of the covers, two or more. Finish, size and type are those of the first.
      frames: number of frames from one stop to the next.
      warn: as in `albums_of`.

    Yields:
      `len(stops) * frames` pictures, `[S, S, 3]` uint8.

    Raises:
      UserError: as in `albums_of`.
    """
    albums = albums_of(run, stops, warn)
    places = np.arange(len(stops) * frames) / frames
    for start in range(0, len(places), BATCH_SIZE):
        part = places[start : start + BATCH_SIZE]
        between = [(int(p), (int(p) + 1) % len(stops), p % 1) for p in part]
        latents = latents_of(run, stops)
        drawn = run.draw(
            [_blend(albums[a], albums[b], share) for a, b, share in between],
            np.stack([turn(latents[a], latents[b], share) for a, b, share in between]),
            [stops[a].truncation * (1 - t) + stops[b].truncation * t for a, b, t in between],
        )
        for picture in drawn:
            yield print_cover(picture, stops[0])


def _blend(a: Album, b: Album, share: float) -> Album:
    """Returns an album between two."""
    if a == b:
        return a
    if (a.artist, a.title) != (b.artist, b.title):
        raise UserError("names can't be interpolated; give one artist and one title")
    if (a.genres is None) != (b.genres is None) or (a.year is None) != (b.year is None):
        raise UserError("a field must be given at all stops of an animation, or at none")
    genres, year = None, None
    if a.genres is not None:
        of_a, of_b = ({g: w / sum(x.values()) for g, w in x.items()} for x in (a.genres, b.genres))
        mixed = {g: of_a.get(g, 0) * (1 - share) + of_b.get(g, 0) * share for g in {**of_a, **of_b}}
        genres = {g: w for g, w in mixed.items() if w > 0}
    if a.year is not None:
        year = round(a.year * (1 - share) + b.year * share)
    return Album(genres, year, a.artist, a.title)


def check_suffix(path: Path) -> None:
    """Raises a `UserError` if the format of a path can't be written."""
    if path.suffix.lower() not in SUFFIXES:
        raise UserError(f"{path} must end in {' or '.join(SUFFIXES)}: it is an animation")


def save_loop(frames: Iterator[np.ndarray], path: Path) -> None:
    """Writes frames as a looping GIF or an MP4, whole or not at all.

    Args:
      frames: `[S, S, 3]` uint8 each.
      path: ends in one of `SUFFIXES`. An MP4 needs the extra `video`.

    Raises:
      UserError: the extra is missing.
    """
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.stem, suffix=path.suffix)
    os.close(handle)
    try:
        if path.suffix.lower() == ".gif":
            _write_gif(frames, temporary)
        else:
            _write_mp4(frames, temporary)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _write_gif(frames: Iterator[np.ndarray], path: str) -> None:
    pictures = [
        Image.fromarray(frame).quantize(GIF_COLORS, Image.Quantize.MEDIANCUT) for frame in frames
    ]
    pictures[0].save(
        path,
        save_all=True,
        append_images=pictures[1:],
        duration=round(1000 / FRAMES_PER_SECOND),
        loop=0,
    )


def _write_mp4(frames: Iterator[np.ndarray], path: str) -> None:
    try:
        from imageio_ffmpeg import get_ffmpeg_exe
    except ImportError:
        raise UserError(
            "an MP4 needs the extra: pip install -e '.[video]'; or give --out a name in .gif"
        ) from None
    frames = (frame[: len(frame) // 2 * 2, : len(frame) // 2 * 2] for frame in frames)
    first = next(frames)  # before a process starts: it may be refused
    # The command itself: the package's writer forks, which JAX warns of.
    raw = f"-f rawvideo -pix_fmt rgb24 -s {len(first)}x{len(first)} -r {FRAMES_PER_SECOND} -i -"
    coded = f"-an -c:v libx264 -crf {MP4_QUALITY} -pix_fmt yuv420p -movflags +faststart"
    command = [get_ffmpeg_exe(), "-v", "error", "-y", *raw.split(), *coded.split(), path]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as encoder:
        for frame in itertools.chain([first], frames):
            encoder.stdin.write(frame.tobytes())
    if encoder.returncode:
        raise UserError("the video could not be written; give --out a name in .gif")
