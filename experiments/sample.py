"""Makes covers with a trained run, as a PNG."""

from pathlib import Path

from absl import flags

from dac import sampling
from dac.covers.images import grid, save_picture
from dac.errors import UserError
from experiments import cli

WORKDIR = flags.DEFINE_string("workdir", None, "run directory", required=True)
GENRE = flags.DEFINE_list("genre", [], "genres of the album, separated by commas")
COUNT = flags.DEFINE_integer("n", 16, "number of covers", lower_bound=1, upper_bound=10_000)
SEED = flags.DEFINE_integer("seed", 0, "the same seed gives the same covers", 0, 2**32 - 1)
OUT = flags.DEFINE_string("out", "covers.png", "picture to write")
CELL = 128  # pixels: smaller covers are enlarged in the grid


def main() -> None:
    """Writes the covers as one picture, in a grid."""
    out = Path(OUT.value)
    if out.suffix.lower() != ".png":
        raise UserError(f"--out={out} must end in .png")
    if not out.parent.is_dir():
        raise UserError(f"--out={out}: there is no folder {out.parent}; make it first")
    run = sampling.load_run(Path(WORKDIR.value), lambda text: print(f"warning: {text}"))
    genres = run.find_genres(GENRE.value)
    covers = run.sample([genres] * COUNT.value, SEED.value)
    columns = min(round(COUNT.value**0.5 + 0.49), COUNT.value)
    save_picture(grid(covers, columns, CELL), out)
    named = ", ".join(run.genres[i] for i in genres) if genres else "any genre"
    print(f"{out}: {len(covers)} covers of {named}, {run.resolution}x{run.resolution}")


if __name__ == "__main__":
    cli.run(main)
