"""Makes dataset examples from a collection's lines, on all cores.

Every worker process imports this module, so it imports neither TFDS nor TensorFlow.
"""

import contextlib
import io
import itertools
import multiprocessing
import os
import signal
import sys
import threading
import types
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

from PIL import Image

from data_pipeline.cores import count_cores
from data_pipeline.folder import CoverRecord, Skipped
from data_pipeline.pictures import PictureError, has_profile, read_picture, square_rgb

SKIPPED_FILE = "skipped.jsonl"

# An example with `dac.covers.dataset.cover_features`, its picture encoded, and what is to be
# counted of it; or the reason why there is no example.
Made = tuple[dict[str, Any], tuple[str, ...]] | Skipped

OBLONG = 1.5  # longer side by shorter one; a crop keeps less than two thirds
JPEG_QUALITY = 95

# Covers per task: enough to hide the overhead of passing them between processes.
_BATCH = 16


@dataclass(frozen=True)
class Recipe:
    """How examples are made."""

    size: int  # the side of the square pictures in pixels
    encoding: str = "png"  # or "jpeg", of `JPEG_QUALITY` and full colour resolution
    pad: bool = False  # whether to pad oblong pictures with white instead of cropping them
    max_aspect: float = 3.0  # the longer side by the shorter one, up to which pictures are used
    drop_doubles: bool = False  # whether to leave out covers that are (nearly) the same as another
    genres: frozenset[str] | None = None  # the genres to keep, None for all


def make_example(line: CoverRecord | Skipped, recipe: Recipe) -> Made:
    """Makes the example of a cover from the arguments and the picture's file alone.

    Args:
      line: a line from `read_folder`; a skipped one is returned unchanged.
      recipe: how to make it.
    """
    if isinstance(line, Skipped):
        return line
    if recipe.drop_doubles and (line.same_as or line.similar_to):
        return Skipped(line.file_name, line.line, "double")
    try:
        picture = read_picture(line.path)
        short, long = sorted(picture.size)
        if long > recipe.max_aspect * short:
            raise PictureError("too_oblong")
        facts = {
            "upscaled": (long if recipe.pad else short) < recipe.size,
            "oblong": long > OBLONG * short,
            "colour_managed": has_profile(picture),
        }
        square = square_rgb(picture, recipe.size, recipe.pad)
    except PictureError as error:
        return Skipped(line.file_name, line.line, error.reason)
    genres = [genre for genre in line.genres if recipe.genres is None or genre in recipe.genres]
    example = {
        # Encoded here, because TFDS would encode an array with TensorFlow.
        "image": _encode(square, recipe.encoding),
        "album_id": line.album_id,
        "genres": genres,
        "genres_known": bool(genres),
        "release_year": line.release_year,
        "artist": line.artist,
        "title": line.title,
    }
    return example, tuple(name for name, is_so in facts.items() if is_so)


def _encode(square: Image.Image, encoding: str) -> bytes:
    data = io.BytesIO()
    if encoding == "jpeg":
        square.save(data, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    else:
        # On 4,002 real covers at 64 pixels: 1% larger than the default, in 57% of the time.
        square.save(data, "PNG", compress_level=1, compress_type=zlib.Z_RLE)
    return data.getvalue()


def make_examples(lines: Iterable[CoverRecord | Skipped], recipe: Recipe) -> Iterator[Made]:
    """Yields `make_example` of each line in order, using one process per core that may be used.

    Processes avoid contention for the GIL, which Pillow and TFDS hold at times: on two cores, two
    threads made 1,220 covers a second and two processes 1,570. Lines are read as needed, so memory
    use does not grow with their number.
    """
    lines = iter(lines)
    cores = count_cores()
    context = multiprocessing.get_context("spawn")  # Forking is unsafe if the caller has threads.
    with ProcessPoolExecutor(cores, context, initializer=_start_worker) as pool:
        batches = deque()
        while batch := list(itertools.islice(lines, _BATCH)):
            with _main_hidden():
                batches.append(pool.submit(_make_batch, batch, recipe))
            if len(batches) > 2 * cores:  # Enough to keep every process busy.
                yield from batches.popleft().result()
        while batches:
            yield from batches.popleft().result()


def _make_batch(lines: list[CoverRecord | Skipped], recipe: Recipe) -> list[Made]:
    return [make_example(line, recipe) for line in lines]


def _start_worker() -> None:
    """Makes a worker ignore Ctrl-C and end with its parent process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # The parent gets Ctrl-C as well.

    def end_with_parent():
        multiprocessing.parent_process().join()
        os._exit(1)

    # A killed parent cannot stop its pool.
    threading.Thread(target=end_with_parent, daemon=True).start()


@contextlib.contextmanager
def _main_hidden() -> Iterator[None]:
    """Keeps new worker processes from importing the main program.

    They do not need it, and the `tfds` command would load TensorFlow into each of them.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
