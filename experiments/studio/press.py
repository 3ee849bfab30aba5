"""Makes the pictures of the page: light proofs at once, prints when there is time."""

import base64
import dataclasses
import io
import re
import secrets
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from dac import models
from dac.covers.conditions import Album
from dac.covers.finishing import FINISHES, check_finish, finish_for
from dac.covers.typesetting import LAYOUTS, check_choices, inks
from dac.errors import UserError
from dac.making.make import albums_of, draw, make, print_cover
from dac.making.save import SUFFIXES, save_cover
from dac.making.settings import Record, Settings
from dac.sampling import Run
from experiments.studio.wall import NO_TYPE

# Sides in pixels: of one of nine covers, of the picked one, of previews, and of a download.
PROOF, PREVIEW, THUMBNAIL, PRINT = 320, 720, 256, 3000
KEPT = 1024  # pictures, and drawings: at 128 pixels about 40 MB of each
BLEED = 3.0  # millimetres; what printers ask for
INKS = 5  # of a cover's own colours
_PRINTING = ("size", "bleed", "finish", "typeset", "layout", "font", "ink")
_UNPRINTED = {name: getattr(Settings(), name) for name in _PRINTING}


class Press:
    """Makes pictures with one generator, for all visitors.

    Attributes:
      run: the generator.
      model: its digest.
      typesets: whether names can be set in type: the extra `type` is there.
    """

    def __init__(self, run: Run):
        self.run = run
        self.model = models.digest(run)
        try:
            check_choices(None, None, None)
            self.typesets = True
        except UserError:
            self.typesets = False
        # By settings, as JSON. They show nothing else, so visitors may share them.
        self._pictures: dict[str, str] = {}
        self._drawings: dict[str, np.ndarray] = {}
        self._lock = threading.Lock()

    def proofs(self, covers: Sequence[Settings]) -> tuple[list[str], list[str]]:
        """Makes covers as they are drawn, with type, but smooth instead of finished.

        A finish takes seconds, which is too long for nine covers that follow a slider.

        Args:
          covers: their settings.

        Returns:
          The covers as data URLs, and what was changed of the settings, in words.

        Raises:
          UserError: as `dac.making.make.albums_of`.
        """
        for finish in {cover.finish for cover in covers} - {None}:
            check_finish(finish)
        return self._made([self._printable(cover, PROOF, "none") for cover in covers])

    def warm_up(self) -> None:
        """Makes some covers, so that no visitor waits for a compiler or for fonts."""
        for cover in (Settings(1), Settings(1, artist="A", typeset=True)):
            for count in (1, 9):
                self.proofs([dataclasses.replace(cover, seed=seed) for seed in range(count)])

    def preview(self, cover: Settings) -> str:
        """Makes a cover as it is printed, only smaller, as a data URL."""
        (picture,), _ = self._made([self._printable(cover, PREVIEW, cover.finish)])
        return picture

    def finishes(self, cover: Settings) -> Iterator[tuple[str, str]]:
        """Yields each finish and the picture of a cover that has it; "" is the automatic one."""
        plain = dataclasses.replace(cover, typeset=False)
        automatic = finish_for(cover.main_genre, cover.year)
        for finish in FINISHES:
            (picture,), _ = self._made([self._printable(plain, THUMBNAIL, finish)])
            yield finish, picture
            if finish == automatic:
                yield "", picture

    def layouts(self, cover: Settings) -> Iterator[tuple[str, str]]:
        """Yields the pictures of a cover by layout; "" is the automatic one, `NO_TYPE` has none."""
        changes = {"": {"typeset": True, "layout": None}, NO_TYPE: {"typeset": False}}
        if self.typesets and (cover.artist or cover.title):
            changes |= {layout: {"typeset": True, "layout": layout} for layout in LAYOUTS}
        for name, change in changes.items():
            typed = self._printable(dataclasses.replace(cover, **change), THUMBNAIL, "none")
            (picture,), _ = self._made([typed])
            yield name, picture

    def swatches(self, cover: Settings) -> Iterator[tuple[str, str]]:
        """Yields colours for the type, as `#rrggbb`, and pictures of them.

        They are paper, black, the most vivid colours of the cover, and the one that was asked for.
        """
        plain = self._printable(dataclasses.replace(cover, typeset=False), PROOF, "none")
        (picture,) = self._draw([plain], albums_of(self.run, [plain], lambda text: None))
        own = sorted(inks.palette_of(picture), key=inks.saturation, reverse=True)[:INKS]
        asked = [inks.parse(cover.ink)] if cover.ink else []
        for colour in dict.fromkeys((inks.PAPER, inks.BLACK, *own, *asked)):
            swatch = np.broadcast_to(np.array(colour, np.uint8), (8, 8, 3))
            yield f"#{bytes(colour).hex()}", data_url(swatch)

    def save(self, cover: Settings, suffix: str, folder: Path, bleed: float = 0.0) -> Path:
        """Writes a cover in print size.

        Args:
          cover: its settings.
          suffix: one of `dac.making.save.SUFFIXES`.
          folder: the file goes to a folder of its own within it.
          bleed: what is added on each side, in millimetres.
        """
        if suffix not in SUFFIXES:
            raise UserError(f"a cover is saved as {', '.join(SUFFIXES)}, not {suffix!r:.40}")
        cover = dataclasses.replace(cover, bleed=bleed)
        printed = self._printable(cover, PRINT, cover.finish)
        # The name can't be guessed, as the server hands the file to whoever knows it.
        path = folder / secrets.token_hex(16) / f"{file_name(cover)}{suffix}"
        path.parent.mkdir(parents=True)
        (picture,) = make(self.run, [printed], lambda text: None)
        save_cover(picture, path, Record(self.model, (printed,)))
        return path

    def _printable(self, cover: Settings, size: int, finish: str | None) -> Settings:
        """Returns settings in a size, without names that would be neither set nor known."""
        size = max(size, self.run.resolution)
        changes = {"size": size, "finish": finish, "typeset": cover.typeset and self.typesets}
        if not changes["typeset"]:
            unknown = {"artist", "title"} - set(self.run.fields)
            changes |= dict.fromkeys(unknown) | dict.fromkeys(("layout", "font", "ink"))
        return dataclasses.replace(cover, **changes)

    def _made(self, covers: Sequence[Settings]) -> tuple[list[str], list[str]]:
        """Returns covers as data URLs, and warnings; those made lately are not made again."""
        warnings: list[str] = []
        albums = albums_of(self.run, covers, warnings.append)
        keys = [Record(self.model, (cover,)).to_json() for cover in covers]
        with self._lock:
            made = {key: self._pictures[key] for key in keys if key in self._pictures}
        if len(made) < len(set(keys)):
            drawn = self._draw(covers, albums)
            for key, picture, cover in zip(keys, drawn, covers, strict=True):
                if key not in made:
                    made[key] = data_url(print_cover(picture, cover))
        self._keep(self._pictures, made)
        return [made[key] for key in keys], list(dict.fromkeys(warnings))

    def _draw(self, covers: Sequence[Settings], albums: Sequence[Album]) -> list[np.ndarray]:
        """Returns covers as the generator draws them; each is drawn once for all its prints."""
        plain = [dataclasses.replace(cover, **_UNPRINTED) for cover in covers]
        keys = [Record(self.model, (cover,)).to_json() for cover in plain]
        with self._lock:
            drawn = {key: self._drawings[key] for key in keys if key in self._drawings}
        if len(drawn) < len(set(keys)):
            drawn = dict(zip(keys, draw(self.run, covers, albums), strict=True))
        self._keep(self._drawings, drawn)
        return [drawn[key] for key in keys]

    def _keep(self, kept: dict, made: dict) -> None:
        """Adds to what is kept; what was added first makes room."""
        with self._lock:
            kept |= made
            while len(kept) > KEPT:
                del kept[next(iter(kept))]


def data_url(picture: np.ndarray) -> str:
    """Returns a picture as a URL that holds it: nothing is written, or can be asked for."""
    content = io.BytesIO()
    Image.fromarray(picture).save(content, "JPEG", quality=88)
    return f"data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode()}"


def file_name(cover: Settings) -> str:
    """Returns the name of a cover's file, without suffix: letters, digits and hyphens."""
    words = re.sub(r"[^\w]+", "-", f"{cover.artist or ''} {cover.title or ''}".lower())
    return f"{words[:40].strip('-_') or 'cover'}-{cover.seed}"
