"""Tests of the generator that ships."""

from dac.covers.conditions import FIELDS
from dac.exporting import draw
from dac.models import PRETRAINED, digest, load_model


def test_the_generator_that_ships_draws_covers_that_differ_by_genre_and_latent():
    run = load_model(PRETRAINED)
    assert (run.resolution, run.fields) == (128, FIELDS)
    albums = [run.album([genre]) for genre in ("dub", "thrash metal") for _ in range(2)]
    covers = run.sample(albums, latents=[0, 1, 0, 1]).astype(float)
    assert covers.std(axis=(1, 2, 3)).min() > 20  # none is flat
    dub, metal = covers[:2], covers[2:]
    assert abs(dub[0] - dub[1]).mean() > 5
    green = [(x[..., 1] - x[..., 0]).mean() for x in (dub, metal)]
    assert green[0] > green[1] + 20  # dub is green and yellow, metal red and black


def test_its_folder_is_as_it_is_exported_today():
    """Its card is of these weights, and its script the present one."""
    assert digest(load_model(PRETRAINED)) in (PRETRAINED / "README.md").read_text()
    script = (PRETRAINED / "draw.py").read_text()
    assert script == draw.__loader__.get_source(draw.__name__)
    assert sum(file.stat().st_size for file in PRETRAINED.iterdir()) < 8e6
