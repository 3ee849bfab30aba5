"""Makes covers with a trained run, as a PNG."""

import sys
from pathlib import Path

from absl import flags

from dac import sampling
from dac.covers.conditions import Album
from dac.covers.images import grid, save_picture
from dac.errors import UserError
from experiments import cli

WORKDIR = flags.DEFINE_string("workdir", None, "run directory", required=True)
GENRE = flags.DEFINE_list(
    "genre", None, "genres of the album, separated by commas; weighed, as in dub=0.7,punk=0.3"
)
YEAR = flags.DEFINE_string("year", None, "year of the album's release")
ARTIST = flags.DEFINE_string("artist", None, "name of the artist")
TITLE = flags.DEFINE_string("title", None, "name of the album")
COUNT = flags.DEFINE_integer("n", 16, "number of covers", lower_bound=1, upper_bound=10_000)
SEED = flags.DEFINE_integer("seed", 0, "the same seed gives the same covers", 0, 2**32 - 1)
OUT = flags.DEFINE_string("out", "covers.png", "picture to write")
CELL = 128  # pixels: smaller covers are enlarged in the grid
NAME_LENGTH = 40  # characters of a name that the report shows


def main() -> None:
    """Writes the covers as one picture, in a grid."""
    out = Path(OUT.value)
    if out.suffix.lower() != ".png":
        raise UserError(f"--out={out} must end in .png")
    if not out.parent.is_dir():
        raise UserError(f"--out={out}: there is no folder {out.parent}; make it first")
    run = sampling.load_run(Path(WORKDIR.value), warn)
    album = run.album(GENRE.value, YEAR.value, ARTIST.value, TITLE.value, warn=warn)
    covers = run.sample([album] * COUNT.value, SEED.value)
    columns = min(round(COUNT.value**0.5 + 0.49), COUNT.value)
    save_picture(grid(covers, columns, CELL), out)
    count = "1 cover" if len(covers) == 1 else f"{len(covers)} covers"
    print(f"{out}: {count} of {described(album, run.genres)}, {run.resolution}x{run.resolution}")


def warn(text: str) -> None:
    """Tells what does not stop the command."""
    print(f"warning: {text}", file=sys.stderr)


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
    """Returns a name as a terminal can show it, on one line and not too long."""
    visible = "".join(c for c in " ".join(name.split()) if c.isprintable())
    return visible if len(visible) <= NAME_LENGTH else f"{visible[: NAME_LENGTH - 1]}…"


if __name__ == "__main__":
    cli.run(main)
