"""The flags that say which generator draws: the one that ships, a run's, or a model folder's."""

from absl import flags

from dac import models
from dac.errors import UserError
from dac.sampling import Run
from data_pipeline.cli import warn

FLAGS = flags.FLAGS
NAMES = ("pretrained", "workdir", "model")


def define_flags() -> None:
    """Defines the three flags."""
    flags.DEFINE_bool("pretrained", False, "use the generator that ships with this program")
    flags.DEFINE_string("workdir", None, "run directory of a training")
    flags.DEFINE_string("model", None, "model folder, as experiments.export writes it")


def load() -> Run:
    """Loads the generator that the flags name.

    Raises:
      UserError: none is named, or several; or it can't be loaded.
    """
    if sum(bool(getattr(FLAGS, name)) for name in NAMES) != 1:
        raise UserError(
            "give one of --pretrained (the generator that ships), --workdir=RUN (one that you "
            "trained) or --model=FOLDER"
        )
    if FLAGS.workdir:
        return models.load_run(FLAGS.workdir, warn)
    return models.load_model(models.PRETRAINED if FLAGS.pretrained else FLAGS.model)
