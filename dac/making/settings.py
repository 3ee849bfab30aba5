"""How a cover is made. A PNG carries it, so that any cover can be made again, or varied."""

import dataclasses
import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from PIL import Image

from dac.covers.conditions import MAX_YEAR, MIN_YEAR
from dac.errors import UserError

KEY = "Duck and Cover"  # of the PNG's text chunk
FORMAT = 1  # of its JSON; see docs/making.md
MAX_SEED = 2**32 - 1
MAX_SIZE = 6000  # pixels
MAX_BLEED = 20.0  # millimetres
DPI = 300  # of printed covers
MAX_TEXT = 1000  # characters of a name
MAX_GENRES = 32
MAX_TURNS = 64


@dataclasses.dataclass(frozen=True)
class Settings:
    """All that a cover is made of, besides the generator.

    Creating one checks types and ranges, and raises a `UserError`.

    Attributes:
      seed: which latent; in [0, 2^32).
      genre: weights above 0 by name, or None: open.
      year: year of release, or None: open.
      artist: name of the artist, or None: open.
      title: name of the album, or None: open.
      toward: seeds to whose latents the latent turns, one after the other, and how far each time:
        from 0, not at all, to 1, all the way. What lies near a cover is a small turn from it.
      truncation: in [0, 1]; see `Run.draw`.
      size: side of the finished cover in pixels, or None: as the generator makes it.
      bleed: what is added on each side for the printer to cut off, in millimetres, at `DPI`.
      finish: one of `dac.covers.finishing.FINISHES`, or None: in the manner of genre and decade.
      typeset: whether artist and title are set in type.
      layout: one of `dac.covers.typesetting.LAYOUTS`, or None: chosen.
      font: one of `dac.covers.typesetting.FONTS`, or None: chosen.
      ink: colour of the type as `#rrggbb`, or None: chosen.
    """

    seed: int = 0
    genre: Mapping[str, float] | None = None
    year: int | None = None
    artist: str | None = None
    title: str | None = None
    toward: tuple[tuple[int, float], ...] = ()
    truncation: float = 1.0
    size: int | None = None
    bleed: float = 0.0
    finish: str | None = None
    typeset: bool = False
    layout: str | None = None
    font: str | None = None
    ink: str | None = None

    def __post_init__(self):
        _check_number("seed", self.seed, int, 0, MAX_SEED)
        object.__setattr__(self, "toward", _checked_turns(self.toward))
        _check_number("truncation", self.truncation, float, 0, 1)
        _check_number("bleed", self.bleed, float, 0, MAX_BLEED)
        if self.size is not None:
            _check_number("size", self.size, int, 1, MAX_SIZE)
        if self.year is not None:
            _check_number("year", self.year, int, MIN_YEAR, MAX_YEAR)
        if not isinstance(self.typeset, bool):
            raise UserError(f"typeset must be true or false, not {self.typeset!r:.40}")
        for name in ("artist", "title", "finish", "layout", "font", "ink"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, str) and len(value) <= MAX_TEXT):
                raise UserError(
                    f"the {name} must be a text of at most {MAX_TEXT} characters, not {value!r:.40}"
                )
        if self.genre is not None:
            if not isinstance(self.genre, Mapping) or not 0 < len(self.genre) <= MAX_GENRES:
                raise UserError(f"a cover takes 1 to {MAX_GENRES} genres, not {self.genre!r:.40}")
            for name, weight in self.genre.items():
                if not isinstance(name, str) or len(name) > MAX_TEXT:
                    raise UserError(f"a genre must be a name, not {name!r:.40}")
                number = isinstance(weight, (int, float)) and not isinstance(weight, bool)
                if not (number and 0 < weight < math.inf):
                    raise UserError(
                        f"the weight of {name!r:.40} must be a number above 0, not {weight!r:.40}"
                    )

    @property
    def main_genre(self) -> str | None:
        """The genre with the highest weight; the first of several."""
        return max(self.genre, key=self.genre.get) if self.genre else None


def _checked_turns(turns: Any) -> tuple[tuple[int, float], ...]:
    pairs = isinstance(turns, (list, tuple)) and all(
        isinstance(turn, (list, tuple)) and len(turn) == 2 for turn in turns
    )
    if not pairs or len(turns) > MAX_TURNS:
        raise UserError(
            f"toward must be at most {MAX_TURNS} pairs of a seed and how far, not {turns!r:.40}"
        )
    for seed, share in turns:
        _check_number("seed", seed, int, 0, MAX_SEED)
        _check_number("share of a turn", share, float, 0, 1)
    return tuple((seed, share) for seed, share in turns)


def _check_number(name: str, value: Any, kind: type, least: float, largest: float) -> None:
    kinds = (int,) if kind is int else (int, float)
    right = isinstance(value, kinds) and not isinstance(value, bool)
    if not (right and math.isfinite(value) and least <= value <= largest):
        whole = "a whole number" if kind is int else "a number"
        raise UserError(
            f"the {name} must be {whole} from {least} to {largest:g}, not {value!r:.40}"
        )


# What a record that is not valid may raise while it is read.
_INVALID = (UserError, ValueError, KeyError, TypeError, AttributeError, RecursionError)
_DEFAULTS = {field.name: field.default for field in dataclasses.fields(Settings)}


@dataclasses.dataclass(frozen=True)
class Record:
    """What a picture tells of its covers.

    Attributes:
      model: digest of the generator; see `dac.models.digest`.
      covers: settings of each cover, by row.
      columns: covers in a row of a sheet; None for a cover on its own.
      labels: texts to the left of a sheet's rows, or None.
    """

    model: str
    covers: tuple[Settings, ...]
    columns: int | None = None
    labels: tuple[str, ...] | None = None

    def to_json(self) -> str:
        """Returns the record as JSON; what all covers share is said once, defaults are not."""
        all_fields = [dataclasses.asdict(cover) for cover in self.covers]
        same = {
            name: value
            for name, value in all_fields[0].items()
            if all(fields[name] == value for fields in all_fields)
        }
        covers = [{n: v for n, v in fields.items() if n not in same} for fields in all_fields]
        shown = {name: value for name, value in same.items() if value != _DEFAULTS[name]}
        content = {"format": FORMAT, "model": self.model, "same": shown, "covers": covers}
        if self.columns is not None:
            content["columns"] = self.columns
        if self.labels is not None:
            content["labels"] = list(self.labels)
        return json.dumps(content, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads what `to_json` wrote, or somebody else; raises a `UserError` if it is not valid."""
        try:
            content = json.loads(text)
            if content["format"] != FORMAT:
                raise ValueError(f"format {content['format']!r:.20} is not {FORMAT}")
            same, covers = content["same"], content["covers"]
            unknown = {*same, *(name for cover in covers for name in cover)} - _DEFAULTS.keys()
            if unknown:
                raise ValueError(f"unknown setting {min(unknown)!r:.40}")
            labels = content.get("labels")
            record = cls(
                model=content["model"],
                covers=tuple(Settings(**(same | cover)) for cover in covers),
                columns=content.get("columns"),
                labels=None if labels is None else tuple(labels),
            )
            if not record.covers:
                raise ValueError("no cover")
            if not isinstance(record.model, str):
                raise ValueError("the model is not named")
            if record.columns is None and len(record.covers) > 1:
                raise ValueError("several covers without columns")
            if record.columns is not None:
                _check_number("columns", record.columns, int, 1, len(record.covers))
            rows = -(-len(record.covers) // (record.columns or 1))
            if record.labels is not None and (
                len(record.labels) != rows or not all(isinstance(x, str) for x in record.labels)
            ):
                raise ValueError("labels do not fit the rows")
            return record
        except _INVALID as error:
            raise UserError(f"its settings are damaged ({str(error)!s:.120})") from error


def read_record(path: str | Path) -> Record:
    """Returns the record that a PNG carries.

    Raises:
      UserError: it is no PNG, or has no record, or one that is not valid.
    """
    try:
        with Image.open(path, formats=["PNG"]) as picture:
            text = picture.info.get(KEY)
    except FileNotFoundError:
        raise UserError(f"there is no file {path}") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError(
            f"{path} is no PNG that can be read; give one that this program made"
        ) from (error)
    if not isinstance(text, str):
        raise UserError(
            f"{path} carries no settings; give a PNG that this program made (other programs, and "
            "many sites, remove them)"
        )
    try:
        return Record.from_json(text)
    except UserError as error:
        raise UserError(f"{path}: {error}; give another PNG") from error


def parse_year(text: str) -> int:
    """Reads a year; raises a `UserError` if it is none that an album can have."""
    if not (re.fullmatch(r"\s*\d{4}\s*", text) and MIN_YEAR <= int(text) <= MAX_YEAR):
        raise UserError(f"the year must be from {MIN_YEAR} to {MAX_YEAR}, not {text!r:.40}")
    return int(text)


def parse_seeds(text: str) -> tuple[int, ...]:
    """Reads seeds such as `0,4-6`, which are 0, 4, 5 and 6.

    Raises:
      UserError: they can't be read, or there are more than a million.
    """
    seeds: list[int] = []
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\d{1,10})\s*(?:-\s*(\d{1,10})\s*)?", part, re.ASCII)
        if not found:
            raise UserError(f"the seeds must be numbers and ranges such as 0,4-6, not {text!r:.60}")
        start, stop = int(found[1]), int(found[2] or found[1])
        if stop < start or stop > MAX_SEED or stop - start >= 1_000_000:
            raise UserError(
                f"the seeds {part.strip()!r:.40} must go up, by less than a million, to at most "
                f"{MAX_SEED}"
            )
        seeds += range(start, stop + 1)
    return tuple(seeds)


def more_seeds(seeds: Sequence[int], count: int) -> tuple[int, ...]:
    """Continues seeds by the numbers after the last, up to `count` of them."""
    missing = range(seeds[-1] + 1, seeds[-1] + 1 + count - len(seeds))
    return tuple(s & MAX_SEED for s in (*seeds, *missing))[:count]
