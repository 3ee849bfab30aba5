import json
import re
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

from dac.covers.conditions import FIELDS, Album
from dac.errors import UserError
from dac.models import digest, load_model, load_run, save_model
from dac.run.checkpoint import Checkpoints
from dac.run.workdir import claim_workdir, write_run
from tests.test_sampling import GENRES, make_run, random_state

IDENTITY = {"genres": list(GENRES), "fields": list(FIELDS), "years": [1950, 2025]}


def test_load_run_restores_the_saved_run(config, tmp_path):
    config.conditions = FIELDS
    with pytest.raises(UserError, match=r"experiments\.train"):
        load_run(tmp_path, pytest.fail)
    write_run(tmp_path, claim_workdir(tmp_path, config, IDENTITY))
    with pytest.raises(UserError, match="no checkpoint yet"):
        load_run(tmp_path, pytest.fail)
    checkpoints = Checkpoints(tmp_path)
    state = random_state(config).replace(images_seen=jnp.int32(176))
    checkpoints.save(state, 176, {})
    checkpoints.wait()
    checkpoints.close()
    loaded = load_run(tmp_path, pytest.fail)
    assert (loaded.genres, loaded.years, loaded.fields) == (GENRES, (1950, 2025), FIELDS)
    # Halfway through the fade-in, from 128 to 224.
    assert (loaded.images_seen, loaded.resolution, loaded.alpha) == (176, 8, 0.5)
    jax.tree.map(np.testing.assert_array_equal, loaded.variables, state.ema_variables)


@pytest.fixture
def folder(config, tmp_path):
    """A model folder of random numbers."""
    save_model(make_run(config, conditions=FIELDS), tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize("gan", ["progan", "wgan_gp", "dcgan"])
def test_a_model_folder_draws_the_covers_of_its_run(config, tmp_path, gan):
    run = make_run(config, conditions=FIELDS, gan=gan, images_seen=176)
    save_model(run, tmp_path)
    loaded = load_model(tmp_path)
    albums = [Album({1: 1.0}, 1988, "King Echo", "Version"), Album()]
    np.testing.assert_array_equal(loaded.sample(albums), run.sample(albums))
    assert (loaded.images_seen, loaded.alpha, loaded.years) == (176, run.alpha, run.years)
    assert loaded.album(["dub"], 1988) == run.album(["dub"], 1988)
    assert digest(loaded) == digest(run)


def test_the_digest_tells_generators_apart(config):
    first, other = make_run(config), make_run(config)
    leaves, tree = jax.tree.flatten(other.variables)
    leaves[0] = leaves[0].at[(0,) * leaves[0].ndim].add(1e-6)
    assert digest(first) == digest(other)
    other.variables.update(jax.tree.unflatten(tree, leaves))
    assert digest(first) != digest(other)


def edited(folder, **changes):
    """Changes values of `config.json`; a value of None removes one."""
    described = json.loads((folder / "config.json").read_text()) | changes
    described = {k: v for k, v in described.items() if k not in changes or v is not None}
    (folder / "config.json").write_text(json.dumps(described))


@pytest.mark.parametrize(
    "changes",
    [
        {"format": 2},
        {"format": None},
        {"genres": 3},
        {"genres": ["dub"]},
        {"years": [1950, "soon"]},
        {"resolution": 7},
        {"resolution": 64},
        {"config": None},
        {"config": []},
        {"alpha": "much"},
    ],
)
def test_a_damaged_description_is_refused_in_one_line(folder, changes):
    edited(folder, **changes)
    with pytest.raises(UserError, match="is damaged, or of another version") as error:
        load_model(folder)
    assert "\n" not in str(error.value)


def test_damaged_weights_are_refused(folder, tmp_path):
    file = folder / "model.safetensors"
    whole = file.read_bytes()
    arrays = safetensors.numpy.load(whole)
    name = next(iter(arrays))
    without = {k: v for k, v in arrays.items() if k != name}
    other_shape = arrays | {name: arrays[name][..., :1]}
    other_type = arrays | {name: arrays[name].astype(np.float16)}
    more = arrays | {"params/more": arrays[name]}
    for content, message in (
        (whole[:-4], "damaged"),
        (b"\xff" * 100, "damaged"),
        (b"", "damaged"),
        (safetensors.numpy.save(without), f"{name} is missing, expected float32"),
        (safetensors.numpy.save(other_shape), rf"{name} is float32 \[.*1\], expected"),
        (safetensors.numpy.save(other_type), f"{name} is float16"),
        (safetensors.numpy.save(more), "params/more is float32.*expected missing"),
    ):
        file.write_bytes(content)
        with pytest.raises(UserError, match=message):
            load_model(folder)
    file.unlink()
    with pytest.raises(UserError, match="damaged"):
        load_model(folder)
    with pytest.raises(UserError, match=r"not a model folder: it has no config\.json"):
        load_model(tmp_path)


def test_a_model_folder_is_loaded_without_orbax_and_training_code(folder):
    code = f"import sys, dac.models; dac.models.load_model({str(folder)!r}); print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    unwanted = ("orbax", "optax", "tensorflow_datasets", "tensorboardX", "dac.training")
    assert not [name for name in result.stdout.split() if name.startswith(unwanted)]


def test_readme_python_example_runs(config, tmp_path):
    config.conditions = ("genres",)
    identity = IDENTITY | {"genres": ["dub", "punk", "jazz"]}
    write_run(tmp_path, claim_workdir(tmp_path, config, identity))
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(random_state(config).replace(images_seen=jnp.int32(0)), 0, {})
    checkpoints.wait()
    checkpoints.close()
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", readme, re.S)
    assert "runs/progan_genre_demo" in code
    names = {}
    exec(code.replace("runs/progan_genre_demo", str(tmp_path)), names)
    assert names["covers"].shape == (4, 4, 4, 3)  # at the start of the run
