"""ProGAN conditioned on genre.

python -m experiments.train --config=configs/progan_genre.py        # a GPU
python -m experiments.train --config=configs/progan_genre.py:gpu    # real covers, minutes on a GPU
python -m experiments.train --config=configs/progan_genre.py:cpu    # real covers, two CPU cores
python -m experiments.train --config=configs/progan_genre.py:demo   # minutes on two CPU cores
"""

import ml_collections

from configs import progan


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """Returns the config at 64x64; variants as in `configs/progan.py`.

    One more is `gpu`: wider than `cpu` and longer, for a GPU and a few thousand covers.
    """
    config = progan.get_config("cpu" if variant == "gpu" else variant)
    config.name = "_".join(filter(None, ("progan_genre", variant)))
    config.conditions = ("genres",)
    config.resolution = min(config.resolution, 64)
    use_relativistic_loss(config)
    if variant != "demo":
        config.class_loss_weight = 0.3
    if variant == "cpu":
        config.condition_scale = 0.1
    elif variant == "gpu":
        config.precision = "bf16"
        config.augment = "diffaugment"
        config.fmap_base = 2048
        config.fmap_max = 256
        config.latent_size = 256
        config.batch_sizes = (32,) * 5
        config.ema_half_life_kimg = 10.0
        config.fade_kimg = (0.0, 16.0, 24.0, 32.0, 48.0)
        config.stable_kimg = (16.0, 24.0, 48.0, 80.0, 300.0)
        config.tick_kimg = 50.0
        config.checkpoint_kimg = 100.0
    elif variant != "demo":
        config.augment = "auto"
    return config


def use_relativistic_loss(config: ml_collections.ConfigDict) -> None:
    """Sets what won in short trainings on few covers: docs/experiments.md."""
    config.loss = "rpgan_r1r2"
    config.penalty_interval = 4
    config.adam_b2 = 0.9
    config.learning_rates = (3e-3,) * len(config.batch_sizes)
    config.learning_rate_end = 0.2
    config.r1_r2_gamma_end = 0.3
