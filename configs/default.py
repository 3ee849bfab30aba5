"""The base config. Every other config starts from this one and sets what differs.

Values that depend on the resolution are tuples with one value each for 4x4, 8x8, and so on. Values
above the final resolution are not used. Networks that do not grow use only the value of the final
resolution. Paper: Karras et al. 2018 (arXiv 1710.10196). Official code:
tkarras/progressive_growing_of_gans.
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
    """Returns the base config: unconditional ProGAN, as in the official code, on one GPU."""
    config = ml_collections.ConfigDict()
    config.name = "default"  # the run directory is runs/<name> unless --workdir says otherwise
    config.seed = 0

    # Data: a TFDS dataset of covers, built by `tfds build data_pipeline/<dataset>`.
    config.dataset = "album_covers"
    config.dataset_memory_gib = 8.0  # larger datasets are read from disk
    config.augment = "none"  # or "diffaugment", or "auto": DiffAugment below 30,000 covers
    config.augment_resolution = 32  # from this one on

    # Networks.
    config.gan = "progan"  # or "wgan_gp", "dcgan"
    config.resolution = 64
    config.latent_size = 512
    config.latent_distribution = "normal"  # or "uniform", in [-1, 1]
    config.fmap_base = 8192  # width at resolution R: min(2 * fmap_base / R, fmap_max)
    config.fmap_max = 512

    # Conditions: any of "genres", "year", "artist", "title".
    config.conditions = ()
    config.condition_drop_rate = 0.1  # probability of hiding a field in training
    config.condition_scale = 0.3  # root mean square of what the generator sees of them
    config.class_loss_weight = 0.0  # of the classes that the critic reads off covers; 0: none

    # Schedule by resolution: the official code's config.py for one GPU. Its default is 600 kimg per
    # phase; the paper used 800.
    config.batch_sizes = (128, 128, 128, 64, 32, 16, 8, 4, 4)
    config.learning_rates = (1e-3,) * 8 + (1.5e-3,)
    config.learning_rate_end = 1.0  # factor at the end of the run, along a cosine; 1: constant
    config.fade_kimg = (0.0,) + (600.0,) * 8  # 4x4 has no fade-in
    config.stable_kimg = (600.0,) * 9
    config.n_critic = 1  # critic updates per generator update, each on its own batch

    # Optimization.
    config.loss = "wgan_gp"  # or "non_saturating", "rpgan_r1r2"
    config.gradient_penalty_weight = 10.0  # for wgan_gp
    config.drift_weight = 1e-3  # for wgan_gp
    config.r1_r2_gammas = (0.06, 0.12, 0.25, 0.5, 1.0, 4.0, 16.0, 64.0, 256.0)  # for rpgan_r1r2
    config.r1_r2_gamma_end = 1.0  # factor at the end of the run, along a cosine; 1: constant
    config.penalty_interval = 1  # for rpgan_r1r2: R1 and R2 in every k-th step, times k
    config.adam_b1 = 0.0
    config.adam_b2 = 0.99
    config.adam_epsilon = 1e-8
    config.ema_half_life_kimg = 10.0  # official code: 0.999 per step, 11 kimg at batch 16

    # Devices.
    config.precision = "float32"  # or "bf16": convolutions and activations in bfloat16
    config.parallelism = "shard_map"  # or "pmap"

    # Reports and checkpoints.
    config.tick_kimg = 10.0  # interval of log lines and sample grids
    config.checkpoint_kimg = 50.0
    config.keep_every_kimg = 1000.0  # interval of checkpoints kept besides the last two; 0: none
    config.grid_columns = 8

    # Measuring in training, with the metrics extra. The best checkpoint is kept.
    config.eval_every_kimg = 0.0  # 0: not at all
    config.eval_samples = 2000
    config.eval_figure = "fd_efficientnet_lite0"  # or kd_..., held_out_fd_..., coverage, genre_auc
    return config
