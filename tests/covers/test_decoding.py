import threading

import numpy as np
import pytest

from dac.covers.decoding import DecodedCovers
from dac.covers.images import shrink

COUNT, SIZE = 70, 16
COVERS = np.random.default_rng(0).integers(0, 256, (COUNT, SIZE, SIZE, 3), np.uint8)
FULL = COVERS.nbytes


class Reader:
    """Counts what is read; stops at a cover until it is let go."""

    def __init__(self, stop_at=None):
        self.read, self.stop_at = [], stop_at
        self.stopped, self.let_go = threading.Event(), threading.Event()

    def __call__(self, index):
        self.read.append(index)
        if index == self.stop_at:
            self.stopped.set()
            assert self.let_go.wait(30)
        return COVERS[index]


def held_at(*sides):
    return COUNT * 3 * sum(side**2 for side in sides)


def assert_right(covers, *resolutions):
    indices = np.array([5, 0, 69, 5])
    for resolution in resolutions:
        expected = shrink(COVERS[indices], resolution)
        np.testing.assert_array_equal(covers.images(indices, resolution), expected, strict=True)


@pytest.mark.parametrize("planned", [(), (4, 8, 16), (8,), (4, 8)])
@pytest.mark.parametrize(
    "memory", [0, held_at(4), held_at(8), held_at(4, 8), FULL, held_at(8, 16), 10 * FULL]
)
def test_neither_memory_nor_plan_changes_a_cover(planned, memory):
    covers = DecodedCovers(COVERS.__getitem__, COUNT, SIZE, memory)
    covers.plan(planned)
    assert_right(covers, *planned, 2, 16, 8, 4)
    covers.read_ahead(np.array([5, 0, 69, 5]), 4)
    assert_right(covers, 4)
    covers.read_ahead(np.array([1, 2, 3]), 4)
    assert_right(covers, 4, 8, 16)
    covers.plan(planned[:1])
    assert_right(covers, 16)


def test_covers_that_fit_are_decoded_once():
    reader = Reader()
    covers = DecodedCovers(reader, COUNT, SIZE, 10 * FULL)
    covers.plan((4, 8, 16))
    assert_right(covers, 4, 8, 16)
    assert sorted(reader.read) == list(range(COUNT))


@pytest.mark.parametrize(
    ("memory", "times"),
    [
        (held_at(4, 8, 16), 1),
        (held_at(8, 16), 1),  # the next one is not prepared beside them
        (FULL, 1),  # each batch is pooled
        (FULL - 1, 2),  # all are decoded for 4x4, and for 8x8; each batch for 16x16
        (held_at(4), 1),
        (held_at(4) - 1, 0),
    ],
)
def test_the_memory_is_used_and_not_exceeded(memory, times):
    reader = Reader()
    covers = DecodedCovers(reader, COUNT, SIZE, memory)
    covers.plan((4, 8, 16))
    assert_right(covers, 4, 8)
    assert len(reader.read) // COUNT == times
    arrays = {
        id(array): array.nbytes for array in (covers._full, covers._held) if array is not None
    }
    assert sum(arrays.values()) <= memory


def test_one_resolution_alone_keeps_no_larger_copy():
    covers = DecodedCovers(COVERS.__getitem__, COUNT, SIZE, 10 * FULL)
    covers.plan((4,))
    assert_right(covers, 4)
    assert covers._full is None


def test_the_next_resolution_is_made_while_the_present_one_is_in_use():
    reader = Reader()
    covers = DecodedCovers(reader, COUNT, SIZE, FULL - 1)
    covers.plan((4, 8))
    covers.images(np.arange(COUNT), 4)
    covers._next.result()
    assert len(reader.read) == 2 * COUNT
    assert_right(covers, 4, 8)
    assert len(reader.read) == 2 * COUNT


def test_the_next_batch_is_read_ahead():
    reader = Reader(stop_at=3)
    covers = DecodedCovers(reader, COUNT, SIZE, 0)
    covers.read_ahead(np.array([7, 3]), 8)
    assert reader.stopped.wait(30)  # it is being read, though nothing waits for it
    reader.let_go.set()
    expected = shrink(COVERS[[7, 3]], 8)
    np.testing.assert_array_equal(covers.images(np.array([7, 3]), 8), expected)
    assert sorted(reader.read) == [3, 7]


def test_what_fails_ahead_is_told_where_it_is_needed_and_read_again():
    damaged = set()

    def read(index):
        if index in damaged:
            raise ValueError(f"cover {index} is damaged")
        return COVERS[index]

    def batches_ahead(covers):
        covers.read_ahead(np.array([69]), 8)

    def next_resolution_ahead(covers):
        damaged.clear()
        covers.plan((4, 8))
        covers._resolution, covers._held = 4, shrink(COVERS, 4)
        damaged.add(69)
        covers._next = covers._fill_all(8)

    for memory, start in ((0, batches_ahead), (FULL - 1, next_resolution_ahead)):
        damaged.add(69)
        covers = DecodedCovers(read, COUNT, SIZE, memory)
        start(covers)
        assert_right(covers, *[4] * (memory > 0))  # what is whole is not touched by that
        with pytest.raises(ValueError, match="cover 69 is damaged"):
            covers.images(np.array([69]), 8)
        damaged.clear()
        assert_right(covers, 8)


def test_a_new_plan_ends_what_is_under_way():
    reader = Reader(stop_at=0)
    covers = DecodedCovers(lambda index: reader(index % COUNT), 10_000, SIZE, 1e9)
    covers.read_ahead(np.arange(10_000), 8)
    assert covers._ahead is None  # as they will be held
    covers._next = under_way = covers._fill_all(8)
    assert reader.stopped.wait(30)
    covers.plan(())
    assert any(task.cancelled() for task in under_way._tasks)
    reader.let_go.set()
