"""What all runs share. Each config derives from this one and states what differs.

Values that depend on the resolution are tuples, one value for each of 4x4, 8x8, ... up; those
above the final resolution are not used, and networks that do not grow use that of the final one
alone. Paper: Karras et al. 2018 (arXiv 1710.10196); official code:
tkarras/progressive_growing_of_gans.
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
    """Returns the base config: the paper's ProGAN, unconditional, on one GPU."""
    config = ml_collections.ConfigDict()
    config.name = "default"  # the run directory is runs/<name> unless --workdir says otherwise
    config.seed = 0

    # Data. A TFDS dataset of covers; `tfds build data_pipeline/<dataset>` makes it.
    config.dataset = "album_covers"
    config.dataset_memory_gib = 8.0  # covers are held in memory up to this size
    config.augment = "none"  # or "diffaugment", or "auto": that, if there are under 30,000 covers

    # Networks.
    config.gan = "progan"  # or "wgan_gp", "dcgan"
    config.resolution = 64
    config.latent_size = 512
    config.latent_distribution = "normal"  # or "uniform", in [-1, 1]
    config.fmap_base = 8192  # width at resolution R: min(2 * fmap_base / R, fmap_max)
    config.fmap_max = 512

    # Conditions: any of "genres", "year", "artist", "title".
    config.conditions = ()
    config.condition_drop_rate = 0.1  # how often each of a cover's fields is hidden in training
    config.condition_ramp_kimg = 0.0  # over which conditions come to count fully

    # Schedule, by resolution: official code, config.py, for one GPU.
    config.batch_sizes = (128, 128, 128, 64, 32, 16, 8, 4, 4)
    config.learning_rates = (1e-3,) * 8 + (1.5e-3,)
    config.fade_kimg = (0.0,) + (600.0,) * 8  # there is nothing to fade in at 4x4
    config.stable_kimg = (600.0,) * 9
    config.n_critic = 1  # updates of the critic for each of the generator, a batch each

    # Optimization.
    config.loss = "wgan_gp"  # or "non_saturating", "rpgan_r1r2"
    config.gradient_penalty_weight = 10.0  # of wgan_gp
    config.drift_weight = 1e-3  # of wgan_gp
    config.r1_r2_gamma = 10.0  # of rpgan_r1r2
    config.adam_b1 = 0.0
    config.adam_b2 = 0.99
    config.adam_epsilon = 1e-8
    config.ema_half_life_kimg = 10.0  # official: 0.999 a step, about 11 kimg at batch 16

    # Devices.
    config.precision = "float32"  # or "bf16": convolutions in bfloat16, all else in float32
    config.parallelism = "shard_map"  # or "pmap"

    # Reports and checkpoints.
    config.tick_kimg = 10.0  # a line in the log and a grid of samples
    config.checkpoint_kimg = 50.0
    config.keep_every_kimg = 1000.0  # beside the last two checkpoints; 0: those two alone
    config.grid_columns = 8
    return config
