"""Makes covers with a trained run: one picture of all of them, or a file for each."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from absl import flags
from PIL import Image

from dac import models
from dac.covers.conditions import Album
from dac.covers.images import grid, save_picture
from dac.errors import UserError
from data_pipeline.cli import warn
from experiments import cli

FLAGS = flags.FLAGS
CELL = 128  # pixels; smaller covers are enlarged on the sheet
SHEET_PIXELS = 2**26  # of the largest sheet, 8192x8192: 200 MB in memory
NAME_LENGTH = 40  # characters of a name in the report


def define_flags() -> None:
    """Defines the flags of the command."""
    flags.DEFINE_string("workdir", None, "run directory", required=True)
    flags.DEFINE_list(
        "genre", None, "genres, separated by commas; weighted, as in dub=0.7,punk=0.3"
    )
    flags.DEFINE_string("year", None, "year of release")
    flags.DEFINE_string("artist", None, "name of the artist")
    flags.DEFINE_string("title", None, "name of the album")
    flags.DEFINE_integer("n", 16, "number of covers", 1, 1_000_000)
    flags.DEFINE_integer("seed", 0, "the same seed gives the same covers", 0, 2**32 - 1)
    flags.DEFINE_integer(
        "pick", 1, "candidates drawn for each cover; the critic's favourite is kept", 1, 1024
    )
    flags.DEFINE_string(
        "out",
        "covers.png",
        "a PNG file for one sheet, or a folder for a file per cover; covers that do not fit on a "
        "sheet go to the folder of that name",
    )


def main() -> None:
    """Writes the covers and says what they are."""
    out = Path(FLAGS.out)
    if out.suffix.lower() not in (".png", ""):
        raise UserError(f"--out={out} must end in .png, or have no suffix for a folder")
    if not out.parent.is_dir():
        raise UserError(f"--out={out}: there is no folder {out.parent}; create it first")
    run = models.load_run(Path(FLAGS.workdir), warn, pick=FLAGS.pick)
    album = run.album(FLAGS.genre, FLAGS.year, FLAGS.artist, FLAGS.title, warn=warn)
    batches = run.sample_batches([album] * FLAGS.n, FLAGS.seed)
    if out.suffix and FLAGS.n * max(run.resolution, CELL) ** 2 > SHEET_PIXELS:
        warn(f"{FLAGS.n:,} covers do not fit on a sheet; writing a file for each")
        out = out.with_suffix("")
    if not out.suffix and any(path.stem >= f"{FLAGS.n:06d}" for path in out.glob("[0-9]*.png")):
        raise UserError(f"--out={out} holds more covers than --n={FLAGS.n}; give another folder")
    if out.suffix:
        columns = min(round(FLAGS.n**0.5 + 0.49), FLAGS.n)
        save_picture(grid(np.concatenate(list(batches)), columns, CELL), out)
    else:
        save_covers(batches, out)
    count = "1 cover" if FLAGS.n == 1 else f"{FLAGS.n:,} covers"
    print(f"{out}: {count} of {described(album, run.genres)}, {run.resolution}x{run.resolution}")


def save_covers(batches: Iterator[np.ndarray], folder: Path) -> None:
    """Writes covers as `000000.png`, `000001.png`, ... while they are drawn.

    Args:
      batches: covers, `[B, R, R, 3]` uint8 each.
      folder: where to; created if it does not exist.
    """
    folder.mkdir(exist_ok=True)
    number = 0
    for batch in batches:
        for cover in batch:
            save_picture(Image.fromarray(cover), folder / f"{number:06d}.png")
            number += 1


def described(album: Album, genres: tuple[str, ...]) -> str:
    """Returns an album in words."""
    said = []
    if album.genres:
        total = sum(album.genres.values())
        shares = [(genres[i], weight / total) for i, weight in album.genres.items()]
        said = [name if share == 1 else f"{share:.0%} {name}" for name, share in shares]
    if album.year:
        said.append(str(album.year))
    if album.title:
        said.append(f"'{shown(album.title)}'")
    said = said or ["any album"]
    if album.artist:
        said.append(f"by {shown(album.artist)}")
    return ", ".join(said)


def shown(name: str) -> str:
    """Returns a name as a terminal can show it: on one line, and not too long."""
    visible = "".join(c for c in " ".join(name.split()) if c.isprintable())
    return visible if len(visible) <= NAME_LENGTH else f"{visible[: NAME_LENGTH - 1]}…"


if __name__ == "__main__":
    cli.run(main, define_flags)
