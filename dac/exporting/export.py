"""Writes a generator as a folder in the layout of Hugging Face repositories.

Beside what a model folder has, it holds `generator.jaxexport`, the compiled-anywhere program of
`jax.export`; `draw.py`, which draws covers with both and nothing of this project; and a model card.
"""

import importlib.util
import json
from pathlib import Path

import jax
import jax.export
import jax.numpy as jnp
from flax.traverse_util import flatten_dict, unflatten_dict

from dac.covers.conditions import Album, encode
from dac.errors import UserError
from dac.files import write_bytes, write_text
from dac.models import digest, save_model
from dac.run.players import draw_latents, gan_of, make_players
from dac.sampling import PRECISION, Run, to_uint8

PLATFORMS = ("cpu", "cuda", "tpu")
PROGRAM_FILE, SCRIPT_FILE, CARD_FILE = "generator.jaxexport", "draw.py", "README.md"

# Who may use the covers, by dataset; "" is any other.
_RIGHTS = {
    "demo_covers": "The training covers were drawn by a program and are free to use, and so are "
    "the generated ones.",
    "": "The training covers belong to their owners. A generator trained on few covers can "
    "reproduce them: look at its output before you publish it.",
}


def export(run: Run, folder: Path, figures: str | None = None) -> None:
    """Writes the folder, which is created if it does not exist.

    Args:
      run: the generator.
      folder: where to.
      figures: tables of how good it is, as text, if it was measured.

    Raises:
      UserError: the extra `export` is missing.
    """
    if importlib.util.find_spec("flatbuffers") is None:  # for the format of `jax.export`
        raise UserError("exporting needs an extra: pip install -e '.[export]'")
    save_model(run, folder)
    write_bytes(folder / PROGRAM_FILE, program(run))
    script = Path(__file__).with_name(SCRIPT_FILE)
    write_text(folder / SCRIPT_FILE, script.read_text(encoding="utf-8"))
    write_text(folder / CARD_FILE, card(run, figures))


def program(run: Run) -> bytes:
    """Returns a program for CPUs, NVIDIA GPUs and TPUs, and any number of covers.

    It is a serialised `jax.export.Exported`, a function of the parameters (arrays by the names in
    the weights file), seeds `[B]` uint32, conditions (see `dac.covers.conditions.encode`) and
    truncation `[B]` float32. It returns pictures `[B, R, R, 3]` uint8.
    """
    generator, _ = make_players(run.config, PRECISION)
    stage = gan_of(run.config).stage(run.resolution, run.alpha)

    def draw(weights, seeds, conditions, truncation):
        variables = {"batch_stats": {}} | unflatten_dict(weights, sep="/")
        keys = jax.vmap(lambda i: jax.random.fold_in(jax.random.key(0), i))(seeds)
        latents = draw_latents(run.config, keys)
        return to_uint8(
            generator.apply(variables, latents, conditions, *stage, truncation=truncation[:, None])
        )

    (covers,) = jax.export.symbolic_shape("covers")
    shapes = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct((covers, *x.shape[1:]), x.dtype),
        (
            jnp.zeros(1, jnp.uint32),
            encode([Album()], run.fields, len(run.genres)),
            jnp.zeros(1, jnp.float32),
        ),
    )
    weights = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), flatten_dict(run.variables, sep="/")
    )
    # So that the program does not name the folders of the machine that wrote it.
    frames = jax.config.jax_traceback_in_locations_limit
    jax.config.update("jax_traceback_in_locations_limit", 0)
    try:
        return jax.export.export(jax.jit(draw), platforms=PLATFORMS)(weights, *shapes).serialize()
    finally:
        jax.config.update("jax_traceback_in_locations_limit", frames)


def card(run: Run, figures: str | None) -> str:
    """Returns the model card; arguments as in `export`."""
    example = {"genres": {run.genres[0]: 1}} if "genres" in run.fields else {}
    example |= {"year": run.years[1]} if "year" in run.fields and run.years else {}
    example |= {name: "Version" for name in ("title",) if name in run.fields}
    template = Path(__file__).with_name("card.md").read_text(encoding="utf-8")
    return template.format(
        gan=run.config.gan,
        name=run.config.name,
        resolution=run.resolution,
        fields=", ".join(run.fields) or "nothing",
        count=sum(x.size for x in jax.tree.leaves(run.variables["params"])),
        digest=digest(run),
        dataset=run.config.dataset,
        kimg=run.images_seen / 1000,
        genres=", ".join(run.genres) if "genres" in run.fields else "not known",
        years="{} to {}".format(*run.years) if "year" in run.fields and run.years else "not known",
        figures="" if figures is None else f"\n## Figures\n\n```\n{figures.strip()}\n```\n",
        jax_version=jax.__version__,
        example=json.dumps(example).replace("'", r"\u0027"),
        rights=_RIGHTS["demo_covers" if run.config.dataset == "demo_covers" else ""],
    )
