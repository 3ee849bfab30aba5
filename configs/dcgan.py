"""DCGAN (Radford et al. 2016, arXiv 1511.06434) at 64x64, conditioned on genre.

python -m experiments.train --config=configs/dcgan.py        # a GPU
python -m experiments.train --config=configs/dcgan.py:demo   # minutes on two CPU cores
python -m experiments.train --config=configs/dcgan.py:cpu    # real covers, two CPU cores
"""

import ml_collections

from configs import default


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """Returns the config.

    Hyperparameters are the paper's (section 4). The length of training is this project's choice.

    Args:
      variant: empty for the full config; `demo` for a small model at 32x32 on `demo_covers`, which
        is built on first use; `cpu` for a small model at 64x64 on `album_covers`.
    """
    config = default.get_config()
    config.name = "_".join(filter(None, ("dcgan", variant)))
    config.gan = "dcgan"
    config.conditions = ("genres",)
    config.latent_size = 100
    config.latent_distribution = "uniform"
    config.condition_scale = 0.1  # at 0.3, latents hardly mattered: docs/experiments.md
    config.fmap_base = 2048
    config.fmap_max = 1024
    config.batch_sizes = (128,) * 9
    config.learning_rates = (2e-4,) * 9
    config.stable_kimg = (10_000.0,) * 9
    config.loss = "non_saturating"
    config.adam_b1 = 0.5
    config.adam_b2 = 0.999
    if variant in ("demo", "cpu"):
        config.latent_size = 64
        config.fmap_base = 512
        config.fmap_max = 128
        config.batch_sizes = (32,) * 9
        config.ema_half_life_kimg = 2.0
        config.keep_every_kimg = 0.0
    elif variant:
        raise ValueError(f"dcgan.py has the variants demo and cpu, not {variant!r}")
    if variant == "demo":
        config.dataset = "demo_covers"
        config.resolution = 32
        config.stable_kimg = (30.0,) * 9
        config.tick_kimg = 2.0
        config.checkpoint_kimg = 8.0
    elif variant == "cpu":
        config.stable_kimg = (100.0,) * 9
        config.tick_kimg = 4.0
        config.checkpoint_kimg = 4.0
    return config
