"""The run directory: `run.json` says which config and which dataset it belongs to."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import ml_collections

from dac.errors import UserError
from dac.files import write_text

RUN_FILE = "run.json"
FIGURES_FILE = "evaluations.jsonl"  # what was measured in training
REPORT_FILE = "evaluation.json"  # what `experiments.evaluate` measured


def claim_workdir(
    workdir: Path, config: ml_collections.ConfigDict, identity: dict[str, Any]
) -> dict[str, Any]:
    """Creates a run directory, or checks that an existing one belongs to this run.

    Args:
      workdir: the run directory.
      config: the config of the run.
      identity: the identity of its dataset.

    Returns:
      The content for `run.json`: `config` and `dataset`, as JSON values.

    Raises:
      UserError: it belongs to another config or dataset, or it can't be written.
    """
    wanted = {"config": json.loads(config.to_json()), "dataset": identity}
    file = workdir / RUN_FILE
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        if not os.access(workdir, os.W_OK):
            raise PermissionError(errno.EACCES, "it is not writable")
        if not file.exists():
            return wanted
        found = json.loads(file.read_text(encoding="utf-8"))
        if not all(isinstance(found[part], dict) for part in wanted):
            raise ValueError("its values are not objects")
    except OSError as error:
        raise UserError(
            f"the run directory {workdir} can't be used ({error.strerror or error}); "
            "give another --workdir"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{file} is damaged; delete it and start the run with the same config as before, or "
            "give another --workdir"
        ) from error
    check_same_run(found, wanted, workdir)
    return wanted


def write_run(workdir: Path, run_json: dict[str, Any]) -> None:
    """Writes `run.json` with the content that `claim_workdir` returned."""
    write_text(workdir / RUN_FILE, json.dumps(run_json, indent=2) + "\n")


def check_same_run(found: dict[str, Any], wanted: dict[str, Any], where: Path) -> None:
    """Compares the config and dataset of a saved run with those of the present one.

    Raises:
      UserError: they differ; the message names the fields.
    """
    differing = [
        f"{part}.{field}: {found[part].get(field)!r:.60} there, {wanted[part].get(field)!r:.60} now"
        for part in wanted
        for field in found[part] | wanted[part]
        if found[part].get(field) != wanted[part].get(field)
    ]
    if differing:
        raise UserError(
            f"{where} holds another run: {'; '.join(differing)}. "
            "Give another --workdir, or the config and the dataset that the run began with"
        )


def read_run(workdir: Path) -> tuple[ml_collections.ConfigDict, dict[str, Any]]:
    """Returns the config of the run in a directory, and the identity of its dataset.

    Raises:
      UserError: the directory holds no run, or its `run.json` is damaged.
    """
    file = workdir / RUN_FILE
    if not file.is_file():
        raise UserError(
            f"{workdir} is not a run directory: it has no {RUN_FILE}; train first: "
            "python -m experiments.train --config=configs/progan_genre.py:demo"
        )
    try:
        saved = json.loads(file.read_text(encoding="utf-8"))
        return ml_collections.ConfigDict(saved["config"]), dict(saved["dataset"])
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{file} is damaged ({error!r:.80}); train again") from error


def dataset_of_run(workdir: Path) -> str | None:
    """Returns the full name of the dataset that a run started with; None if there is no run yet."""
    try:
        return str(json.loads((workdir / RUN_FILE).read_text(encoding="utf-8"))["dataset"]["name"])
    except (OSError, ValueError, KeyError, TypeError):  # `claim_workdir` tells what is wrong
        return None
