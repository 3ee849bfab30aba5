import importlib
import json

import jax
import pytest

from configs import progan
from dac.covers.conditions import FIELDS
from dac.covers.dataset import CoverDataset, find_dataset
from dac.run.schedule import phases
from dac.training import loop
from dac.training.checks import check_config

NAMES = ("dcgan", "wgan_gp", "progan", "progan_genre", "progan_full")


VARIANTS = [(name, variant) for name in NAMES for variant in ("", "demo", "cpu")]


def get_config(name, variant):
    return importlib.import_module(f"configs.{name}").get_config(variant)


@pytest.mark.parametrize(
    ("name", "variant"),
    [*VARIANTS, ("progan_genre", "gpu"), ("progan_full", "pretrained")],
)
def test_each_config_is_valid_and_has_its_own_run_directory(name, variant):
    config = get_config(name, variant)
    check_config(config)
    assert config.name == "_".join(filter(None, (name, variant)))
    assert phases(config)[-1].resolution == config.resolution
    with pytest.raises(ValueError, match="variants"):
        get_config(name, "nope")


@pytest.mark.parametrize("gpus", [1, 2, 4, 8])
def test_official_batch_sizes_divide_over_gpus(gpus):
    """At 1024x1024; each GPU's share is a multiple of 4, the group size of minibatch stddev."""
    config = progan.get_config(f"{gpus}gpus" if gpus > 1 else "")
    config.resolution = 1024
    run = phases(config)
    assert [phase.resolution for phase in run] == [4, 8, 16, 32, 64, 128, 256, 512, 1024]
    assert all(phase.batch_size % (4 * gpus) == 0 for phase in run)
    assert run[-1].end == pytest.approx(17 * 600_000, rel=1e-3)
    assert (run[-1].batch_size, run[-1].learning_rate) == {
        1: (4, 1.5e-3),
        2: (8, 2e-3),
        4: (16, 3e-3),
        8: (32, 3e-3),
    }[gpus]


@pytest.mark.parametrize("name", NAMES)
def test_shrunk_demo_of_each_config_trains(name, tmp_path, data_dir):
    config = get_config(name, "demo")
    config.update({"resolution": 8, "fmap_base": 16, "fmap_max": 8, "latent_size": 8})
    config.update({"batch_sizes": (8, 8), "learning_rates": config.learning_rates[:2]})
    config.update({"fade_kimg": (0.0, 0.016), "stable_kimg": (0.016, 0.016)})
    config.update({"tick_kimg": 0.016, "checkpoint_kimg": 0.016, "grid_columns": 2})
    dataset = CoverDataset(find_dataset(data_dir, "demo_covers", 8), 1.0)
    assert loop.train(config, tmp_path, dataset, jax.devices()[:1]) is None
    end = phases(config)[-1].end
    assert (tmp_path / "samples" / f"{end:010d}.png").exists()
    run = json.loads((tmp_path / "run.json").read_text())
    assert set(run["config"]["conditions"]) <= set(run["dataset"]["fields"]) == set(FIELDS)


def test_augmentation_of_few_covers_is_logged(tmp_path, data_dir):
    config = get_config("progan_genre", "cpu")
    config.update({"resolution": 4, "fmap_base": 16, "fmap_max": 8, "latent_size": 8})
    config.update({"stable_kimg": (0.032,), "tick_kimg": 1.0, "checkpoint_kimg": 1.0})
    config.update({"augment": "auto", "augment_resolution": 4})
    dataset = CoverDataset(find_dataset(data_dir, "demo_covers", 4), 1.0)
    loop.train(config, tmp_path, dataset, jax.devices()[:1])
    log = (tmp_path / "train.log").read_text()
    assert "DiffAugment is on from 4x4, as there are under 30,000 covers" in log
