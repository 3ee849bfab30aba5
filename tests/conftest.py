"""Fixtures; all tests run with strict dtype promotion and eight fake CPU devices."""

import importlib.metadata
import os
import tempfile

# Tests spend most of their time compiling. Without optimisation that takes half as long, and half
# of that again with earlier emitters of fusions, which later versions of XLA no longer have.
QUICK_TO_COMPILE = "--xla_backend_optimization_level=0"
if importlib.metadata.version("jax").startswith("0.10."):
    QUICK_TO_COMPILE += " --xla_cpu_use_fusion_emitters=false"
os.environ["XLA_FLAGS"] = f"{QUICK_TO_COMPILE} --xla_force_host_platform_device_count=8"
os.environ["JAX_PLATFORMS"] = "cpu"
# Tests, and the processes that they start, share a compilation cache.
_compiled = tempfile.TemporaryDirectory()
os.environ["JAX_COMPILATION_CACHE_DIR"] = _compiled.name
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.3"
# The environment of commands that tests start: one device.
ONE_DEVICE = os.environ | {"XLA_FLAGS": QUICK_TO_COMPILE}

import jax
import ml_collections
import pytest

from configs import progan_genre
from data_pipeline.demo_covers.demo_covers_dataset_builder import DemoCovers

jax.config.update("jax_numpy_dtype_promotion", "strict")


def small_config() -> ml_collections.ConfigDict:
    """The demo config made tiny: 4x4 and 8x8, 320 images, fade-in from image 128 to 224."""
    config = progan_genre.get_config("demo")
    config.update(
        {
            "resolution": 8,
            "fmap_base": 16,
            "fmap_max": 8,
            "latent_size": 8,
            **{"loss": "non_saturating", "penalty_interval": 1},  # the quickest to compile
            "batch_sizes": (8, 8),
            "learning_rates": (1e-3, 1e-3),
            "fade_kimg": (0.0, 0.096),
            "stable_kimg": (0.128, 0.096),
            "ema_half_life_kimg": 0.1,
            "tick_kimg": 0.064,
            "checkpoint_kimg": 0.04,
            "grid_columns": 2,
        }
    )
    return config


@pytest.fixture
def config() -> ml_collections.ConfigDict:
    return small_config()


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    """A TFDS data directory with 64 demo covers."""
    folder = tmp_path_factory.mktemp("datasets")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DemoCovers, "num_covers", 64)
        DemoCovers(data_dir=folder).download_and_prepare()
    return folder
