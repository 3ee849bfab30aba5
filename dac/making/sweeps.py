"""Sheets that show what a setting does: a row for each of its values, a column for each seed."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from dac.errors import UserError
from dac.making.settings import Settings
from dac.sampling import Run

AXES = ("genre", "truncation", "year")
TRUNCATIONS = (0.0, 0.25, 0.5, 0.75, 1.0)
YEARS = 8


def sweep(
    run: Run, base: Settings, axis: str, seeds: Sequence[int]
) -> tuple[list[Settings], list[str]]:
    """Returns the covers of a sheet by row, and the label of each row.

    Args:
      run: the generator.
      base: what all covers have in common.
      axis: one of `AXES`. Genres are those of `base`, or all; years go from the first to the last
        that the generator was trained on.
      seeds: one for each column.

    Raises:
      UserError: the generator was not trained on that field.
    """
    match axis:
        case "truncation":
            rows = {f"{value:g}": {"truncation": value} for value in TRUNCATIONS}
        case "genre":
            _check_trained(run, "genres", axis)
            rows = {genre: {"genre": {genre: 1.0}} for genre in base.genre or run.genres}
        case _:
            _check_trained(run, "year", axis)
            years = np.linspace(*run.years, YEARS).round().astype(int).tolist()
            rows = {str(year): {"year": year} for year in years}
    covers = [
        dataclasses.replace(base, seed=seed, **changes)
        for changes in rows.values()
        for seed in seeds
    ]
    return covers, list(rows)


def _check_trained(run: Run, field: str, axis: str) -> None:
    if field not in run.fields or (field == "year" and run.years is None):
        raise UserError(f"the generator was not trained on {axis}; choose another --sheet")
