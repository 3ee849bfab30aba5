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
    # The demo is too short for the critic to overfit, so augmentation would not help.
    config.augment = "none" if variant == "demo" else "auto"
    config.resolution = min(config.resolution, 64)
    return config
