"""Unconditional ProGAN (Karras et al. 2018, arXiv 1710.10196) at 512x512.

python -m experiments.train --config=configs/progan.py          # one GPU: weeks
python -m experiments.train --config=configs/progan.py:8gpus    # also 2gpus, 4gpus
python -m experiments.train --config=configs/progan.py:demo     # minutes on two CPU cores
python -m experiments.train --config=configs/progan.py:cpu      # real covers, two CPU cores
"""

import ml_collections

from configs import default

# Batch sizes and learning rates at 4x4, 8x8, ... 1024x1024 by number of GPUs, from the official
# code: config.py, preset-v2-*.
PRESETS = {
    "2gpus": (
        (256, 256, 128, 64, 32, 16, 8, 8, 8),
        (1e-3,) * 7 + (1.5e-3, 2e-3),
    ),
    "4gpus": (
        (512, 256, 128, 64, 32, 16, 16, 16, 16),
        (1e-3,) * 6 + (1.5e-3, 2e-3, 3e-3),
    ),
    "8gpus": (
        (512, 256, 128, 64, 32, 32, 32, 32, 32),
        (1e-3,) * 5 + (1.5e-3, 2e-3, 3e-3, 3e-3),
    ),
}


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """Returns the config.

    Batch sizes, learning rates and phase lengths are the official code's. They are not all the
    paper's: see docs/departures.md.

    Args:
      variant: empty for one GPU; `2gpus`, `4gpus`, `8gpus` for the batch sizes and learning rates
        for several GPUs; `demo` for a small model on `demo_covers`, which is built on first use;
        `cpu` for a small model on `album_covers`. Both are at 64x64.
    """
    config = default.get_config()
    config.name = "_".join(filter(None, ("progan", variant)))
    if variant in PRESETS:
        config.batch_sizes, config.learning_rates = PRESETS[variant]
    elif variant in ("demo", "cpu"):
        config.fmap_base = 512
        config.fmap_max = 64
        config.latent_size = 64
        # On a CPU the cost per image hardly depends on the batch size, so small batches give more
        # updates for the same time.
        config.batch_sizes = (8,) * 5
        config.learning_rates = (1.5e-3,) * 5
        config.ema_half_life_kimg = 2.0
        config.keep_every_kimg = 0.0
    elif variant:
        known = ", ".join([*PRESETS, "demo", "cpu"])
        raise ValueError(f"the ProGAN configs have the variants {known}, not {variant!r}")
    if variant == "demo":
        config.dataset = "demo_covers"
        config.fade_kimg = (0.0, 3.0, 5.0, 4.0, 3.0)
        config.stable_kimg = (6.0, 6.0, 10.0, 6.0, 4.5)
        config.tick_kimg = 2.0
        config.checkpoint_kimg = 8.0
    elif variant == "cpu":
        config.fade_kimg = (0.0, 4.0, 6.0, 6.0, 6.0)
        config.stable_kimg = (8.0, 8.0, 14.0, 20.0, 60.0)
        config.tick_kimg = 4.0
        config.checkpoint_kimg = 4.0
    else:
        config.resolution = 512
    return config
