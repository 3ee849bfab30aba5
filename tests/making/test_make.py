"""Tests of making covers from settings."""

import dataclasses

import numpy as np
import pytest

from dac.covers.conditions import FIELDS, Album
from dac.covers.finishing import finish, finish_for
from dac.covers.typesetting import typeset
from dac.errors import UserError
from dac.making.interpolation import interpolate
from dac.making.make import albums_of, make
from dac.making.settings import Settings
from dac.making.sweeps import AXES, sweep
from dac.sampling import fixed_latents
from tests.test_sampling import make_run


def draw_one(run, album, seed):
    return run.draw([album], fixed_latents(run.config, 0, [seed]))[0]


def test_a_cover_is_drawn_finished_and_typeset_as_its_settings_say(config):
    run = make_run(config, conditions=FIELDS)
    cover = Settings(seed=7, genre={"dub": 1.0}, year=1979, artist="King Echo", size=300)
    typed = dataclasses.replace(cover, title="Version", typeset=True, layout="corner", bleed=2.0)
    plain, printed = make(run, [cover, typed], pytest.fail)

    style = finish_for("dub", 1979)
    album = Album({1: 1.0}, 1979, "King Echo")
    np.testing.assert_array_equal(plain, finish(draw_one(run, album, 7), 300, style, 7))
    drawn = draw_one(run, Album({1: 1.0}, 1979, "King Echo", "Version"), 7)
    with_bleed = finish(drawn, 300 + 2 * 24, style, 7)  # 2 mm are 23.6 pixels at 300 dpi
    with_bleed[24:-24, 24:-24] = typeset(
        with_bleed[24:-24, 24:-24], "King Echo", "Version", genre="dub", year=1979, seed=7,
        layout="corner",
    )  # fmt: skip
    np.testing.assert_array_equal(printed, with_bleed)


def test_a_cover_does_not_depend_on_the_others(config):
    run = make_run(config, conditions=FIELDS)
    genres, truncations = (None, {"dub": 2.0, "ambient": 1.0}), (1.0, 0.3, 0.0)
    covers = [
        Settings(seed=seed, genre=genres[seed % 2], truncation=truncations[seed % 3])
        for seed in range(20)
    ]
    together = list(make(run, covers, pytest.fail))
    for i in (0, 1, 2, 17, 19):
        (alone,) = make(run, covers[i : i + 1], pytest.fail)
        np.testing.assert_array_equal(alone, together[i])


def test_names_can_be_set_in_type_by_a_generator_that_does_not_know_them(config):
    run = make_run(config, conditions=("genres",))
    asked = Settings(artist="King Echo", title="Version", size=300)
    with pytest.raises(UserError, match="it knows no artist or title"):
        albums_of(run, [asked], pytest.fail)
    assert albums_of(run, [dataclasses.replace(asked, typeset=True)], pytest.fail) == [Album()]


def test_warnings_come_once_for_covers_that_differ_by_their_seeds(config):
    run, warnings = make_run(config, conditions=FIELDS), []
    albums_of(run, [Settings(seed=i, year=1901) for i in range(5)], warnings.append)
    assert len(warnings) == 1
    assert "1950 to 2025" in warnings[0]


def test_a_sweep_has_a_row_for_each_value_and_a_column_for_each_seed(config):
    run = make_run(config, conditions=FIELDS)
    base = Settings(title="Version")
    for axis in AXES:
        covers, labels = sweep(run, base, axis, [3, 5])
        assert [cover.seed for cover in covers] == [3, 5] * len(labels)
        assert {cover.title for cover in covers} == {"Version"}
    covers, labels = sweep(run, base, "year", [0])
    assert (covers[0].year, covers[-1].year, labels[0]) == (1950, 2025, "1950")
    assert sweep(run, base, "genre", [0])[1] == list(run.genres)
    some = dataclasses.replace(base, genre={"dub": 1.0, "ambient": 1.0})
    assert sweep(run, some, "genre", [0])[1] == ["dub", "ambient"]


def test_frames_pass_through_the_covers_and_between_them(config):
    """At the stops a frame is the cover itself; between, it is of the mean of both albums."""
    run = make_run(config, conditions=("genres", "year"))
    stops = [
        Settings(seed=2, genre={"dub": 1.0}, year=1960, finish="none"),
        Settings(seed=2, genre={"ambient": 3.0}, year=1970, finish="none"),
    ]
    frames = list(interpolate(run, stops, 2, pytest.fail))
    between = draw_one(run, Album({1: 0.5, 0: 0.5}, 1965), 2)
    expected = [
        draw_one(run, Album({1: 1.0}, 1960), 2),
        between,
        draw_one(run, Album({0: 1.0}, 1970), 2),
        between,
    ]
    np.testing.assert_array_equal(frames, expected)
    turned = list(interpolate(run, [Settings(seed=s, finish="none") for s in (1, 2)], 4, print))
    assert len({frame.tobytes() for frame in turned[:5]}) == 5
    np.testing.assert_array_equal(turned[1:4], turned[:4:-1])  # there and back
    mixed = [Settings(year=1960), Settings()]
    with pytest.raises(UserError, match="at all stops of an animation, or at none"):
        list(interpolate(run, mixed, 2, pytest.fail))
