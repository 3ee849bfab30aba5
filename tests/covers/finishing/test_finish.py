import numpy as np
import pytest

from dac.covers.finishing import FINISHES, check_finish, finish, finish_for
from dac.covers.images import shrink
from dac.errors import UserError
from data_pipeline.demo_covers.discography import GENRES

PRINTS = [style for style in FINISHES if style != "none"]


@pytest.mark.parametrize("style", PRINTS)
def test_a_print_depends_on_its_arguments_alone(rough, style):
    first = finish(rough, 200, style, seed=1)
    np.testing.assert_array_equal(first, finish(rough.copy(), 200, style, seed=1))
    other = finish(rough, 200, style, seed=2)
    assert (first != other).mean() > 0.05
    # The colours do not depend on the seed.
    np.testing.assert_allclose(first.mean((0, 1)), other.mean((0, 1)), atol=2)


@pytest.mark.parametrize("style", FINISHES)
def test_a_finish_keeps_the_picture(rough, style):
    seen = shrink(finish(rough, 8 * 64, style), 64).astype(float)
    for channel in range(3):
        alike = np.corrcoef(seen[..., channel].ravel(), rough[..., channel].ravel())[0, 1]
        turned = np.corrcoef(seen[..., channel].ravel(), rough[:, ::-1, channel].ravel())[0, 1]
        assert alike > 0.93 > turned + 0.2
    assert np.abs(seen - rough).mean() < 17
    assert np.abs(seen.mean((0, 1)) - rough.mean((0, 1))).max() < 9


@pytest.mark.parametrize("style", PRINTS)
def test_a_small_print_is_the_large_one_seen_from_further_away(rough, style):
    large, small = finish(rough, 1600, style), finish(rough, 400, style)
    # Dots of three pixels have no clean edges.
    most = 7 if style == "halftone" else 3
    assert np.abs(shrink(large, 100).astype(float) - shrink(small, 100)).mean() < most


@pytest.mark.parametrize(
    ("side", "size", "style"),
    [
        (8, 8, "lino"),
        (64, 999, "riso"),
        (100, 333, "none"),
        (64, 3000, "halftone"),
        (600, 601, "lino"),
    ],
)
def test_prints_have_the_size_that_was_asked_for(side, size, style):
    picture = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    printed = finish(picture, size, style)
    assert printed.shape == (size, size, 3)
    assert printed.dtype == np.uint8


@pytest.mark.parametrize("style", FINISHES)
@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_flat_picture_is_printed_flat(style, level):
    seen = shrink(finish(np.full((16, 16, 3), level, np.uint8), 480, style), 4)
    assert np.ptp(seen.reshape(-1, 3), axis=0).max() < 25
    assert abs(seen.mean() - level) < 45


def test_none_enlarges_smoothly_and_no_more(rough):
    np.testing.assert_array_equal(finish(rough, 64, "none"), rough)
    steps = np.abs(np.diff(rough.astype(int), axis=0)).max()
    large = finish(rough, 640, "none").astype(int)
    assert np.abs(np.diff(large, axis=0)).max() < steps / 4


def test_every_genre_and_year_has_a_print():
    genres = [None, "", *GENRES]
    chosen = {finish_for(genre, year) for genre in genres for year in (None, 1955, 1980, 2020)}
    assert chosen == set(PRINTS)


def test_the_finish_follows_the_genre_and_the_decade():
    assert finish_for("Thrash Metal", 1988) == finish_for("thrash-metal", 1988) == "lino"
    assert finish_for("soul", 1972) == "halftone" != finish_for("soul", 2010)
    assert len({finish_for(None, year) for year in (1950, 1975, 2000)}) == 3
    assert finish_for("unheard of", None) == finish_for(None, 2024)


def test_an_unknown_finish_is_answered_with_the_nearest():
    with pytest.raises(UserError, match=r"'rizo'.*none, halftone, lino, riso.*mean riso") as error:
        check_finish("rizo")
    assert "\n" not in str(error.value)
    for other in (None, 7, "", "x" * 1000, ["riso"]):
        with pytest.raises(UserError, match="choose none, halftone") as error:
            check_finish(other)
        assert len(str(error.value)) < 120


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"picture": np.zeros((64, 32, 3), np.uint8)}, r"square .* not \[64, 32, 3\] uint8"),
        ({"picture": np.zeros((64, 64, 3), np.float32)}, "not .* float32"),
        ({"picture": np.zeros((2, 2, 3), np.uint8)}, "4 to 1024"),
        ({"picture": np.uint8(1)}, "square"),
        ({"size": 63}, "64 to 6000 pixels a side, not 63"),
        ({"size": 6001}, "not 6001"),
        ({"size": 99.5}, "not 99.5"),
        ({"size": float("nan")}, "not nan"),
        ({"size": "3000"}, "not 3000"),
        ({"seed": -1}, "not -1"),
        ({"seed": None}, "not None"),
    ],
)
def test_bad_input_is_one_clear_line(rough, change, message):
    with pytest.raises(UserError, match=message) as error:
        finish(**{"picture": rough, "size": 128, "style": "lino"} | change)
    assert "\n" not in str(error.value)
