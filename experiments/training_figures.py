"""Measuring a run while it trains: `config.eval_every_kimg`."""

from pathlib import Path

import ml_collections

from dac.covers.dataset import HELD_OUT, CoverDataset
from dac.errors import UserError
from dac.metrics.evaluate import quick_figure_names, quick_figures
from dac.metrics.features.extractor import load_extractor
from dac.sampling import Run
from dac.training.loop import Evaluate
from experiments import cli

FEATURES = "efficientnet_lite0"
LOWER_IS_BETTER = ("fd", "kd", "held_out_fd", "held_out_kd")


def evaluate_in_training(config: ml_collections.ConfigDict, path: Path) -> Evaluate | None:
    """Returns what measures a run while it trains, or None if the config wants no measuring.

    Args:
      config: the config of the run.
      path: folder of its dataset.

    Raises:
      UserError: the figure of the config is not known, or the features are not installed.
    """
    if not config.eval_every_kimg:
        return None
    known = quick_figure_names(FEATURES)
    if config.eval_figure not in known:
        raise UserError(
            f"config.eval_figure is {config.eval_figure!r}; it must be one of {', '.join(known)}"
        )
    extractor = load_extractor(FEATURES)
    # Read from disk; what is computed from the covers is cached.
    training = CoverDataset(path, 0.0)
    try:
        held_out = CoverDataset(path, 0.0, HELD_OUT)
    except UserError:  # a small dataset holds nothing out
        held_out = None

    def evaluate(run: Run) -> tuple[dict[str, float], float]:
        cache = cli.cache_folder() / "features"
        found = quick_figures(run, training, held_out, extractor, cache, config.eval_samples)
        if config.eval_figure not in found:
            raise UserError(
                f"config.eval_figure is {config.eval_figure!r}, which can't be measured with "
                f"{path}; choose another one"
            )
        figure = found[config.eval_figure]
        return found, -figure if config.eval_figure.startswith(LOWER_IS_BETTER) else figure

    return evaluate
