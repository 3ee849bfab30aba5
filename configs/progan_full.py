"""ProGAN conditioned on genres, release year, artist and title.

python -m experiments.train --config=configs/progan_full.py        # a GPU
python -m experiments.train --config=configs/progan_full.py:demo   # minutes on two CPU cores
python -m experiments.train --config=configs/progan_full.py:cpu    # real covers, two CPU cores
python -m experiments.train --config=configs/progan_full.py:pretrained   # what ships; a GPU
"""

import ml_collections

from configs import progan, progan_genre


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """Returns the config at 64x64; variants as in `configs/progan.py`.

    One more is `pretrained`: the generator in `dac/pretrained`, at 128x128 on `demo_covers`, for a
    GPU.
    """
    config = progan.get_config("demo" if variant == "pretrained" else variant)
    config.name = config.name.replace("progan", "progan_full")
    config.conditions = ("genres", "year", "artist", "title")
    # A high rate, so that sampling works with any subset of the fields.
    config.condition_drop_rate = 0.5
    config.resolution = min(config.resolution, 64)
    progan_genre.use_relativistic_loss(config)
    if variant not in ("demo", "cpu", "pretrained"):
        config.class_loss_weight = 0.1
        config.augment = "auto"
    if variant == "pretrained":
        config.name = "progan_full_pretrained"
        config.resolution = 128
        config.precision = "bf16"
        config.augment = "diffaugment"
        config.fmap_base = 2048
        config.fmap_max = 128
        config.class_loss_weight = 0.1
        config.batch_sizes = (32,) * 6
        config.learning_rates = (3e-3,) * 6
        config.ema_half_life_kimg = 10.0
        config.fade_kimg = (0.0, 16.0, 24.0, 32.0, 48.0, 64.0)
        config.stable_kimg = (16.0, 24.0, 48.0, 96.0, 200.0, 400.0)
        config.tick_kimg = 50.0
        config.checkpoint_kimg = 100.0
    return config
