"""Ways back to a cover: the query string of a link, and a PNG that somebody drops on the page."""

import urllib.parse
from pathlib import Path
from typing import Any

from dac.errors import UserError
from dac.making.settings import Record, Settings, read_record

MAX_LINK = 20_000  # characters


def link_of(cover: Settings, model: str) -> str:
    """Returns the query string that brings a cover back."""
    return "?" + urllib.parse.urlencode({"cover": Record(model, (cover,)).to_json()})


def read_link(query: Any) -> Record | None:
    """Reads a query string; None if it has no cover.

    Raises:
      UserError: it has one that is not valid.
    """
    if not isinstance(query, str) or len(query) > MAX_LINK:
        raise UserError("the link is too long, so it is none of this page")
    try:
        values = urllib.parse.parse_qs(query.removeprefix("?"), max_num_fields=10).get("cover")
    except ValueError:
        values = None
    if not values:
        return None
    try:
        return Record.from_json(values[0])
    except UserError as error:
        raise UserError(f"the link can't be read: {error}") from error


def read_upload(path: str) -> Record:
    """Reads the record of an uploaded PNG, and removes the file.

    Raises:
      UserError: it is no PNG of this program; the message has its name without the folder.
    """
    try:
        return read_record(path)
    except UserError as error:
        raise UserError(str(error).replace(path, Path(path).name[:60])) from error
    finally:
        Path(path).unlink(missing_ok=True)
