"""Makes covers: drawn by a generator, finished for print, and set in type."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from dac.covers.conditions import Album
from dac.covers.finishing import check_finish, finish, finish_for
from dac.covers.typesetting import check_choices, typeset
from dac.errors import UserError
from dac.making.settings import DPI, MAX_SIZE, Settings
from dac.sampling import BATCH_SIZE, Run, fixed_latents

INCH = 25.4  # millimetres
LEAST_TYPESET = 256  # pixels; letters on smaller covers can't be read


def albums_of(run: Run, covers: Sequence[Settings], warn: Callable[[str], None]) -> list[Album]:
    """Returns the album of each cover, and checks that all of them can be made.

    Args:
      run: the generator.
      covers: their settings.
      warn: receives a line for each value that was changed.

    Raises:
      UserError: a value does not suit the generator, or a finish, layout, font or ink is unknown.
    """
    albums: dict[tuple, Album] = {}  # covers often differ by their seeds alone

    def album(cover: Settings) -> Album:
        key = tuple(v for name, v in vars(cover).items() if name not in ("seed", "genre"))
        key += tuple((cover.genre or {}).items())
        if key not in albums:
            _check_print(run, cover)
            albums[key] = _album(run, cover, warn)
        return albums[key]

    return [album(cover) for cover in covers]


def _album(run: Run, cover: Settings, warn: Callable[[str], None]) -> Album:
    genres = cover.genre and [f"{name}={weight!r}" for name, weight in cover.genre.items()]
    names = {
        field: getattr(cover, field)
        for field in ("artist", "title")
        # Names can be set in type even if the generator was not trained on them.
        if field in run.fields or not cover.typeset
    }
    return run.album(genres, cover.year, **names, warn=warn)


def _check_print(run: Run, cover: Settings) -> None:
    if cover.finish is not None:
        check_finish(cover.finish)
    size = cover.size or run.resolution
    if not run.resolution <= size <= MAX_SIZE:
        raise UserError(
            f"the size must be from {run.resolution}, which the generator makes, to {MAX_SIZE}, "
            f"not {size}"
        )
    if cover.typeset:
        check_choices(cover.layout, cover.font, cover.ink)
        if size < LEAST_TYPESET:
            raise UserError(
                f"a cover of {size} pixels is too small for type; use a size of {LEAST_TYPESET} or "
                "more"
            )


def make(run: Run, covers: Sequence[Settings], warn: Callable[[str], None]) -> Iterator[np.ndarray]:
    """Makes covers one after the other; they are drawn in batches.

    Args:
      run: the generator.
      covers: their settings.
      warn: as in `albums_of`.

    Yields:
      `[S, S, 3]` uint8, where S is the size with the bleed on both sides.

    Raises:
      UserError: as in `albums_of`, before the first cover.
    """
    albums = albums_of(run, covers, warn)
    for start in range(0, len(covers), BATCH_SIZE):
        part = covers[start : start + BATCH_SIZE]
        drawn = draw(run, part, albums[start : start + BATCH_SIZE])
        yield from map(print_cover, drawn, part)


def draw(run: Run, covers: Sequence[Settings], albums: Sequence[Album]) -> np.ndarray:
    """Draws covers as the generator makes them, `[N, R, R, 3]` uint8; a latent for each seed."""
    return run.draw(albums, latents_of(run, covers), [cover.truncation for cover in covers])


def latents_of(run: Run, covers: Sequence[Settings]) -> np.ndarray:
    """Returns the latent of each cover after its turns, `[N, Z]` float32."""
    latents = np.array(fixed_latents(run.config, 0, [cover.seed for cover in covers]))
    for step in range(max(len(cover.toward) for cover in covers)):
        turns = [cover.toward[step] if step < len(cover.toward) else (0, 0) for cover in covers]
        targets = np.asarray(fixed_latents(run.config, 0, [seed for seed, _ in turns]))
        for row, target, (_, share) in zip(latents, targets, turns, strict=True):
            row[:] = turn(row, target, share)
    return latents


def turn(a: np.ndarray, b: np.ndarray, share: float) -> np.ndarray:
    """Turns a vector toward another: spherical interpolation (Shoemake 1985).

    Args:
      a: `[Z]` float32.
      b: `[Z]` float32.
      share: from 0, which gives `a`, to 1, which gives `b`.

    Returns:
      `[Z]` float32, computed in float64, so that it does not depend on the machine.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    cosine = np.sum(a * b) / np.sqrt(np.sum(a * a) * np.sum(b * b))
    angle = np.arccos(np.clip(cosine, -1.0, 1.0))
    if share == 0 or angle < 1e-3:
        return a.astype(np.float32)
    turned = (np.sin((1 - share) * angle) * a + np.sin(share * angle) * b) / np.sin(angle)
    return turned.astype(np.float32)


def print_cover(picture: np.ndarray, cover: Settings) -> np.ndarray:
    """Finishes a drawn cover and sets its type.

    Args:
      picture: `[R, R, 3]` uint8.
      cover: its settings.

    Returns:
      `[S, S, 3]` uint8, where S is the size with the bleed on both sides.
    """
    size = cover.size or len(picture)
    bleed = round(cover.bleed / INCH * DPI)
    if size + 2 * bleed > len(picture):
        style = cover.finish or finish_for(cover.main_genre, cover.year)
        picture = finish(picture, size + 2 * bleed, style, cover.seed)
    if not cover.typeset:
        return picture
    picture = picture.copy()
    trimmed = slice(bleed, bleed + size)
    picture[trimmed, trimmed] = typeset(
        picture[trimmed, trimmed],
        cover.artist,
        cover.title,
        genre=cover.main_genre,
        year=cover.year,
        seed=cover.seed,
        layout=cover.layout,
        font=cover.font,
        ink=cover.ink,
    )
    return picture
