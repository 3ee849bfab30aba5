"""ProGAN conditioned on genre.

python -m experiments.train --config=configs/progan_genre.py        # a GPU
python -m experiments.train --config=configs/progan_genre.py:demo   # minutes on two CPU cores
python -m experiments.train --config=configs/progan_genre.py:cpu    # real covers, two CPU cores
"""

import ml_collections

from configs import progan


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """Returns the config at 64x64; variants as in `configs/progan.py`."""
    config = progan.get_config(variant)
    config.name = config.name.replace("progan", "progan_genre")
    config.conditions = ("genres",)
    config.resolution = min(config.resolution, 64)
    if variant in ("demo", "cpu"):
        use_relativistic_loss(config)
    else:
        config.augment = "auto"
    if variant == "cpu":
        config.class_loss_weight = 0.3
    return config


def use_relativistic_loss(config: ml_collections.ConfigDict) -> None:
    """Sets what won in short trainings on few covers: docs/experiments.md."""
    config.loss = "rpgan_r1r2"
    config.penalty_interval = 4
    config.adam_b2 = 0.9
    config.learning_rates = (3e-3,) * 5
    config.learning_rate_end = 0.2
    config.r1_r2_gamma_end = 0.3
