"""WGAN-GP (Gulrajani et al. 2017, arXiv 1704.00028) at 64x64, conditioned on genre.

python -m experiments.train --config=configs/wgan_gp.py        # a GPU
python -m experiments.train --config=configs/wgan_gp.py:demo   # minutes on two CPU cores
python -m experiments.train --config=configs/wgan_gp.py:cpu    # real covers, two CPU cores
"""

import ml_collections

from configs import default


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """Returns the config.

    Hyperparameters are those of the official code, igul222/improved_wgan_training,
    gan_64x64.py.

    Args:
      variant: empty for the full config; `demo` for a small model at 32x32 on `demo_covers`, which
        is built on first use; `cpu` for a small model at 64x64 on `album_covers`.
    """
    config = default.get_config()
    config.name = "_".join(filter(None, ("wgan_gp", variant)))
    config.gan = "wgan_gp"
    config.conditions = ("genres",)
    config.latent_size = 128
    config.fmap_base = 2048
    config.fmap_max = 512
    config.batch_sizes = (64,) * 9
    config.learning_rates = (1e-4,) * 9
    config.n_critic = 5
    config.stable_kimg = (64_000.0,) * 9  # 200,000 updates of the generator
    config.drift_weight = 0.0
    config.adam_b2 = 0.9
    if variant in ("demo", "cpu"):
        config.latent_size = 64
        config.fmap_base = 512
        config.fmap_max = 64
        config.batch_sizes = (16,) * 9
        config.learning_rates = (4e-4,) * 9
        config.n_critic = 2
        config.ema_half_life_kimg = 2.0
        config.keep_every_kimg = 0.0
    elif variant:
        raise ValueError(f"wgan_gp.py has the variants demo and cpu, not {variant!r}")
    if variant == "demo":
        config.dataset = "demo_covers"
        config.resolution = 32
        config.stable_kimg = (16.0,) * 9
        config.tick_kimg = 1.0
        config.checkpoint_kimg = 8.0
    elif variant == "cpu":
        config.stable_kimg = (50.0,) * 9
        config.tick_kimg = 2.0
        config.checkpoint_kimg = 4.0
    return config
