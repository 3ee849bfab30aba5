"""ProGAN conditioned on genre.

python -m experiments.train --config=configs/progan_genre.py        # a GPU
python -m experiments.train --config=configs/progan_genre.py:demo   # minutes on two CPU cores
python -m experiments.train --config=configs/progan_genre.py:cpu    # real covers, two CPU cores
"""

import ml_collections

from configs import default


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """Returns the config.

    Args:
      variant: empty for the paper's widths at 64x64 on `album_covers`; `demo` for a small one at
        32x32 on `demo_covers`, which is built on first use; `cpu` for a small one at 64x64 on
        `album_covers`.
    """
    config = default.get_config()
    config.name = "_".join(filter(None, ("progan_genre", variant)))
    if variant in ("demo", "cpu"):
        config.fmap_base = 512
        config.fmap_max = 64
        config.latent_size = 64
        # Small batches: on a CPU an image costs the same in any, and updates are what is short.
        config.batch_sizes = (32, 16, 16, 8, 8)
        config.learning_rates = (1.5e-3,) * 5
        config.ema_half_life_kimg = 2.0
        config.keep_every_kimg = 0.0
    if variant == "demo":
        config.dataset = "demo_covers"
        config.resolution = 32
        config.fade_kimg = (0.0, 6.0, 5.0, 3.0)
        config.stable_kimg = (16.0, 10.0, 6.0, 4.5)
        config.tick_kimg = 2.0
        config.checkpoint_kimg = 8.0
    elif variant == "cpu":
        config.fade_kimg = (0.0, 16.0, 12.0, 12.0, 12.0)
        config.stable_kimg = (24.0, 32.0, 28.0, 20.0, 12.0)
        config.tick_kimg = 4.0
        config.checkpoint_kimg = 4.0
    elif variant:
        raise ValueError(f"progan_genre.py has the variants demo and cpu, not {variant!r}")
    return config
