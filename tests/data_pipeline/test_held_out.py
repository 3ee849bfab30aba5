import random

import hypothesis
import hypothesis.strategies as st

from data_pipeline.folder import CoverRecord, Skipped
from data_pipeline.held_out import LEAST, choose_held_out


def record(album, artist=None, same_as=None):
    return CoverRecord("", "", 0, f"{album}", artist=artist, same_as=same_as and f"{same_as}")


def sides(records):
    """Returns the albums that are held out, and those that are not."""
    held_out = choose_held_out(records, records)
    held = {r.album_id for r in records if r in held_out}
    return held, {r.album_id for r in records} - held


def test_about_a_thousand_covers_are_held_out_by_artist():
    for count, least, most in ((2000, 300, 500), (10_000, 800, 1200), (40_000, 1700, 2300)):
        records = [record(i, f"artist {i // 3}") for i in range(count)]
        held, _ = sides(records)
        assert least <= len(held) <= most
        for i in range(0, count - 2, 3):
            assert len({f"{i + j}" in held for j in range(3)}) == 1
    unnamed, _ = sides([record(i) for i in range(10_000)])
    assert 800 <= len(unnamed) <= 1200


def test_spellings_of_a_name_are_one_artist():
    names = ("Árstíðir", "  árstíðir ", "A\u0301RSTI\u0301ÐIR")
    records = [record(i, f"{names[i % 3]} {i // 3}") for i in range(900)]
    held, _ = sides(records)
    assert held
    assert all(len({f"{3 * i + j}" in held for j in range(3)}) == 1 for i in range(300))


def test_an_artist_is_held_out_of_any_larger_collection_less_often():
    few, many = ([record(i, f"artist {i}") for i in range(n)] for n in (4000, 30_000))
    held_of_few, held_of_many = (sides(records)[0] for records in (few, many))
    assert {album for album in held_of_many if int(album) < 4000} < held_of_few


@hypothesis.settings(max_examples=15, deadline=None)
@hypothesis.given(st.integers(0, 2**32), st.integers(1, 60))
def test_albums_that_share_a_picture_are_on_one_side(seed, links):
    chance = random.Random(seed)
    records = [record(i, f"artist {chance.randrange(400)}") for i in range(800)]
    pairs = [(chance.randrange(800), chance.randrange(900)) for _ in range(links)]  # some are gone
    for one, other in pairs:
        records[one] = record(one, records[one].artist, other)
    held, trained = sides(records)
    for r in records:
        if r.same_as and int(r.same_as) < 800:
            assert {r.album_id, r.same_as} <= held or {r.album_id, r.same_as} <= trained
    by_artist = {}
    for r in records:
        by_artist.setdefault(r.artist, set()).add(r.album_id in held)
    assert all(len(found) == 1 for found in by_artist.values())
    chance.shuffle(records)
    assert sides(records) == (held, trained)


def test_small_collections_and_those_of_one_artist_are_used_whole():
    for records in (
        [],
        [record(i) for i in range(LEAST - 1)],
        *([record(i, f"only {name}") for i in range(2 * LEAST)] for name in range(20)),
    ):
        assert sides(records)[0] == set()
    records = [record(i) for i in range(LEAST)]
    assert sides(records)[0]
    assert Skipped("a.png", 1, "missing") not in choose_held_out(records, records)
