"""ProGAN conditioned on genres, release year, artist and title.

python -m experiments.train --config=configs/progan_full.py        # a GPU
python -m experiments.train --config=configs/progan_full.py:demo   # minutes on two CPU cores
python -m experiments.train --config=configs/progan_full.py:cpu    # real covers, two CPU cores
"""

import ml_collections

from configs import progan, progan_genre


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """Returns the config at 64x64; variants as in `configs/progan.py`."""
    config = progan.get_config(variant)
    config.name = config.name.replace("progan", "progan_full")
    config.conditions = ("genres", "year", "artist", "title")
    # A high rate, so that sampling works with any subset of the fields.
    config.condition_drop_rate = 0.5
    config.resolution = min(config.resolution, 64)
    if variant in ("demo", "cpu"):
        progan_genre.use_relativistic_loss(config)
    else:
        config.augment = "auto"
    return config
