"""Tests of the exported folder: other programs draw the same covers with it."""

import dataclasses
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import jax
import jax.export
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dac.covers.conditions import FIELDS, NUM_NGRAMS, Album, hash_name
from dac.exporting import draw as script
from dac.exporting.export import PLATFORMS, export
from dac.models import load_model
from dac.sampling import fixed_latents
from tests.test_sampling import make_run

ALBUM = {
    "genres": {"thrash metal": 3, "dub": 0.7},
    "year": 1988,
    "artist": "椎名林檎 \uff24ub\u200b",
    "title": "Straße \tnach İzmir",
}


def load_script(folder):
    """Returns the module `draw.py` of an exported folder."""
    spec = importlib.util.spec_from_file_location("exported_draw", folder / "draw.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("gan", "conditions"),
    [("progan", FIELDS), ("progan", ("genres", "year")), ("wgan_gp", ("year",)), ("dcgan", ())],
)
def test_the_script_draws_the_covers_of_the_run_bit_for_bit(config, tmp_path, gan, conditions):
    run = make_run(config, gan=gan, conditions=conditions)
    variances = jax.tree.map(np.abs, run.variables["batch_stats"])
    run = dataclasses.replace(run, variables=run.variables | {"batch_stats": variances})
    export(run, tmp_path)
    asked = {field: ALBUM[field] for field in conditions}
    weights = asked.get("genres")
    album = run.album(
        weights and [f"{name}={weight}" for name, weight in weights.items()],
        *(asked.get(field) for field in ("year", "artist", "title")),
    )
    seeds = [0, 4, 2**32 - 1, *range(30)]
    drawn = load_script(tmp_path).draw(asked, seeds)
    assert drawn.dtype == np.uint8
    for one in (run, load_model(tmp_path)):
        np.testing.assert_array_equal(
            drawn, one.draw([album] * len(seeds), fixed_latents(config, 0, seeds))
        )
    assert len({cover.tobytes() for cover in drawn[:3]}) == 3
    empty = load_script(tmp_path).draw({}, [7])
    np.testing.assert_array_equal(empty, run.draw([Album()], fixed_latents(config, 0, [7])))


def test_the_script_needs_nothing_of_this_project(config, tmp_path):
    export(make_run(config, conditions=FIELDS), tmp_path)
    here = str(Path(__file__).parents[2]).encode()
    assert not [path.name for path in tmp_path.iterdir() if here in path.read_bytes()]
    code = "import sys, runpy; runpy.run_path('draw.py', run_name='__main__'); print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code, json.dumps(ALBUM), "covers.ppm"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert not {"dac", "flax", "safetensors", "PIL"} & set(result.stdout.split())
    assert (tmp_path / "covers.ppm").read_bytes().startswith(b"P6 32 8 255\n")


def test_the_program_is_for_all_platforms_and_any_number_of_covers(config, tmp_path):
    export(make_run(config, conditions=()), tmp_path)
    program = jax.export.deserialize((tmp_path / "generator.jaxexport").read_bytes())
    assert program.platforms == PLATFORMS == ("cpu", "cuda", "tpu")
    assert [str(a.shape[0]) for a in program.out_avals] == ["covers"]


@given(st.text(max_size=200))
def test_the_script_hashes_names_as_training_did(name):
    expected = hash_name(name).tolist()
    ids = script.ngrams(name)
    assert ids.shape == (1, NUM_NGRAMS)
    assert ids[0].tolist() == expected + [0] * (NUM_NGRAMS - len(expected))


def test_the_card_tells_what_the_generator_knows(config, tmp_path):
    run = make_run(config, conditions=FIELDS)
    export(run, tmp_path, "recall 0.5")
    text = (tmp_path / "README.md").read_text()
    for told in ("ambient, dub, thrash metal", "1950 to 2025", "recall 0.5", "8x8 pixels"):
        assert told in text
    assert ("belong to their owners" in text) == (config.dataset != "demo_covers")
