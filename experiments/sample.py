"""Makes covers: as files, sheets, PDF pages or animations."""

import dataclasses
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags
from PIL import Image
from tqdm import tqdm

from dac import models
from dac.covers.finishing import FINISHES
from dac.covers.images import grid
from dac.errors import UserError
from dac.files import write_lines
from dac.making import batch, interpolation, sweeps
from dac.making.make import make
from dac.making.save import check_suffix, save_cover, save_pdf
from dac.making.settings import (
    MAX_BLEED,
    MAX_SIZE,
    Record,
    Settings,
    more_seeds,
    parse_seeds,
    parse_year,
    read_record,
)
from dac.sampling import Run
from data_pipeline.cli import warn
from experiments import cli, generators

FLAGS = flags.FLAGS
PRINT_SIZE = 3000  # pixels; what shops ask for
# Least side in pixels of one of several covers in a picture: as drawn, and finished or typeset.
CELL, PRINTED_CELL = 128, 512
SHEET_COVERS = 16
SHEET_PIXELS = 2**26  # of the largest sheet, 8192x8192: 200 MB in memory
PDF_PIXELS = 2**28  # of all pages of a PDF: 800 MB
NAME_LENGTH = 40  # characters of a name in the report
# The settings that have a flag of their name; genre and seeds are read from theirs.
SETTINGS = ("year", "artist", "title", "truncation", "typeset", "layout", "font", "ink")
SETTINGS += ("finish", "size", "bleed")


def define_flags() -> None:
    """Defines the flags of the command."""
    generators.define_flags()
    flags.DEFINE_list(
        "genre", None, "genres, separated by commas; weighted, as in dub=0.7,punk=0.3"
    )
    flags.DEFINE_string("year", None, "year of release")
    flags.DEFINE_string("artist", None, "name of the artist")
    flags.DEFINE_string("title", None, "name of the album")
    flags.DEFINE_integer("n", None, "number of covers; 16 without --seeds", 1, 1_000_000)
    flags.DEFINE_string("seeds", None, "a seed for each cover, as in 0,4-6; --n continues them")
    flags.DEFINE_float("truncation", 1.0, "below 1: more typical covers, which differ less", 0, 1)
    flags.DEFINE_bool("typeset", False, "set artist and title in type")
    flags.DEFINE_string("layout", None, "layout of the type; by default chosen")
    flags.DEFINE_string("font", None, "family of the type; by default chosen")
    flags.DEFINE_string("ink", None, "colour of the type, as in #ffe9c4; by default chosen")
    flags.DEFINE_enum(
        "finish",
        None,
        FINISHES,
        "how the cover is printed; by default in the manner of genre and "
        "decade where it is enlarged",
    )
    flags.DEFINE_integer(
        "size", None, f"side in pixels; with --typeset {PRINT_SIZE} by default", 1, MAX_SIZE
    )
    flags.DEFINE_float(
        "bleed", 0.0, "millimetres to cut off on each side, at 300 dpi", 0, MAX_BLEED
    )
    flags.DEFINE_string("like", None, "a PNG to make again, with what other flags change")
    flags.DEFINE_string("batch", None, "a list of albums, a JSON object a line")
    flags.DEFINE_enum("sheet", None, sweeps.AXES, "a sheet with a row for each value")
    flags.DEFINE_enum("interpolate", None, ("seeds", "year", "genre"), "an animation")
    flags.DEFINE_integer("frames", 20, "frames of an animation from a cover to the next", 2, 1000)
    flags.DEFINE_string(
        "out",
        "covers.png",
        "a PNG, JPEG or PDF file (a GIF or MP4 for an animation), or a folder for a PNG a cover; "
        "covers that do not fit in one file go to the folder of that name",
    )


def main() -> None:
    """Makes what the flags ask for, and says what it is."""
    out = Path(FLAGS.out)
    _check_flags(out)
    like = read_record(FLAGS.like) if FLAGS.like else None
    first = like.covers[0] if like else Settings()
    run = generators.load()
    model = models.digest(run)
    if like and like.model != model:
        warn(f"{FLAGS.like} was made by another generator; this one makes another cover of it")
    asked = _asked(run)
    base = dataclasses.replace(first, **asked)
    seeds = _seeds(first)
    jobs = batch.read_jobs(Path(FLAGS.batch), base) if FLAGS.batch else []
    if jobs and not out.suffix:
        return _make_batch(run, model, jobs, out)
    if FLAGS.interpolate:
        return _animate(run, base, seeds, out)
    columns, labels = None, None
    if FLAGS.sheet:
        covers, labels = sweeps.sweep(run, base, FLAGS.sheet, seeds)
        columns = len(seeds)
    elif like and not (FLAGS.seeds or FLAGS.n or jobs):
        covers = [dataclasses.replace(cover, **asked) for cover in like.covers]
        columns, labels = like.columns, like.labels
    else:
        covers = [job.cover for job in jobs]
        covers = covers or [dataclasses.replace(base, seed=seed) for seed in seeds]
        columns = math.ceil(len(covers) ** 0.5) if len(covers) > 1 else None
    return _make(run, Record(model, tuple(covers), columns, labels and tuple(labels)), out)


def _check_flags(out: Path) -> None:
    """Raises a `UserError` for what can be known before a generator is loaded."""
    modes = [f"--{name}" for name in ("batch", "sheet", "interpolate") if getattr(FLAGS, name)]
    if len(modes) > 1:
        raise UserError(f"{modes[0]} and {modes[1]} can't be combined; give one of them")
    if FLAGS.interpolate:
        interpolation.check_suffix(out)
    elif out.suffix:
        check_suffix(out)
    if not out.parent.is_dir():
        raise UserError(f"--out={out}: there is no folder {out.parent}; create it first")


def _asked(run: Run) -> dict[str, Any]:
    """Returns the settings that flags give."""
    asked = {name: getattr(FLAGS, name) for name in SETTINGS if FLAGS[name].present}
    if "year" in asked:
        asked["year"] = parse_year(FLAGS.year)
    if FLAGS.genre is not None:
        weights = run.album(FLAGS.genre).genres
        asked["genre"] = {run.genres[i]: weight for i, weight in weights.items()}
    return asked


def _seeds(first: Settings) -> tuple[int, ...]:
    """Returns the seeds that the flags give: `--seeds`, continued up to `--n`."""
    if not FLAGS.seeds:
        return more_seeds((first.seed,), FLAGS.n or SHEET_COVERS)
    seeds = parse_seeds(FLAGS.seeds)
    if FLAGS.n and FLAGS.n < len(seeds):
        raise UserError(f"--n={FLAGS.n} is less than the number of --seeds; leave one of them out")
    return more_seeds(seeds, FLAGS.n or len(seeds))


def _sized(cover: Settings, run: Run, cell: bool) -> Settings:
    """Gives a cover without a size the one that suits its use.

    Args:
      cover: its settings.
      run: the generator.
      cell: whether it is one of several in a picture.
    """
    if cover.size is not None:
        return cover
    if cover.typeset or cover.finish not in (None, "none"):
        return dataclasses.replace(cover, size=PRINTED_CELL if cell else PRINT_SIZE)
    size = max(run.resolution, CELL) if cell else None
    return dataclasses.replace(cover, size=size, finish="none")


def _make(run: Run, record: Record, out: Path) -> None:
    """Makes the covers of a record as a file, or as a folder if they don't fit in one."""
    count, kind = len(record.covers), out.suffix.lower()
    sheet = count > 1 and kind not in ("", ".pdf")
    covers = [_sized(cover, run, sheet) for cover in record.covers]
    pixels = count * max(cover.size or run.resolution for cover in covers) ** 2
    if count > 1 and kind and pixels > (SHEET_PIXELS if sheet else PDF_PIXELS):
        warn(f"{count:,} covers do not fit in {out.name}; writing a file for each")
        out, kind, sheet = out.with_suffix(""), "", False
        covers = [_sized(cover, run, cell=False) for cover in record.covers]
    record = dataclasses.replace(record, covers=tuple(covers))
    pictures = tqdm(
        make(run, covers, warn), total=count, unit=" covers", disable=count == 1 or None
    )
    if not kind:
        _save_folder(pictures, record, out)
    elif kind == ".pdf":
        save_pdf([Image.fromarray(picture) for picture in pictures], out)
    elif sheet:
        cells = np.stack(list(pictures))
        save_cover(grid(cells, record.columns, cells.shape[1], record.labels), out, record)
    else:
        (picture,) = pictures
        save_cover(picture, out, record)
    size = covers[0].size or run.resolution
    what = "1 cover" if count == 1 else f"{count:,} covers"
    alike = len({described(cover) for cover in covers}) == 1
    of = described(covers[0]) if alike else "several albums"
    print(f"{out}: {what} of {of}, {size}x{size}")


def _save_folder(pictures: Iterable[np.ndarray], record: Record, folder: Path) -> None:
    """Writes covers as `000000.png`, `000001.png`, ... while they are made."""
    count = len(record.covers)
    if any(path.stem >= f"{count:06d}" for path in folder.glob("[0-9]*.png")):
        raise UserError(f"--out={folder} holds more covers than {count:,}; give another folder")
    folder.mkdir(exist_ok=True)
    for number, (picture, cover) in enumerate(zip(pictures, record.covers, strict=True)):
        save_cover(picture, folder / f"{number:06d}.png", Record(record.model, (cover,)))


def _make_batch(run: Run, model: str, jobs: Sequence[batch.Job], folder: Path) -> None:
    """Makes the covers of a list; those that are there already are left alone."""
    jobs = [dataclasses.replace(job, cover=_sized(job.cover, run, cell=False)) for job in jobs]
    todo = [job for job in jobs if not batch.is_made(job, folder, model)]
    pictures = make(run, [job.cover for job in todo], warn)
    bar = tqdm(todo, unit=" covers", disable=None)
    for job, picture in zip(bar, pictures, strict=True):
        path = folder / job.file
        path.parent.mkdir(parents=True, exist_ok=True)
        save_cover(picture, path, Record(model, (job.cover,)))
    write_lines(folder / "metadata.jsonl", batch.metadata(jobs))
    print(f"{folder}: {len(todo):,} covers made, {len(jobs) - len(todo):,} were there already")


def _animate(run: Run, base: Settings, seeds: Sequence[int], out: Path) -> None:
    """Writes an animation from cover to cover."""
    if FLAGS.interpolate == "seeds":
        stops = [dataclasses.replace(base, seed=seed) for seed in seeds]
    else:
        stops, _ = sweeps.sweep(run, base, FLAGS.interpolate, seeds[:1])
    if base.size is None:
        finish = base.finish or ("none" if not base.typeset else None)
        shown = {"size": max(run.resolution, PRINTED_CELL), "finish": finish}
        stops = [dataclasses.replace(stop, **shown) for stop in stops]
    total = len(stops) * FLAGS.frames
    frames = interpolation.interpolate(run, stops, FLAGS.frames, warn)
    interpolation.save_loop(tqdm(frames, total=total, unit=" frames", disable=None), out)
    print(f"{out}: {total:,} frames through {len(stops)} covers, {stops[0].size}x{stops[0].size}")


def described(cover: Settings) -> str:
    """Returns an album in words."""
    said = []
    if cover.genre:
        total = sum(cover.genre.values())
        shares = [(name, weight / total) for name, weight in cover.genre.items()]
        said = [name if share == 1 else f"{share:.0%} {name}" for name, share in shares]
    if cover.year:
        said.append(str(cover.year))
    if cover.title:
        said.append(f"'{shown(cover.title)}'")
    said = said or ["any album"]
    if cover.artist:
        said.append(f"by {shown(cover.artist)}")
    return ", ".join(said)


def shown(name: str) -> str:
    """Returns a name as a terminal can show it: on one line, and not too long."""
    visible = "".join(c for c in " ".join(name.split()) if c.isprintable())
    return visible if len(visible) <= NAME_LENGTH else f"{visible[: NAME_LENGTH - 1]}…"


if __name__ == "__main__":
    cli.run(main, define_flags)
