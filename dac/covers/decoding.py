"""Decodes the covers of a dataset, in threads: once if they fit in memory, ahead of their use."""

import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from dac.covers.images import shrink

# A thread's task is as many covers as leave work for all threads, up to this number.
_MOST_PER_TASK = 16
_TASKS = 64


class DecodedCovers:
    """The covers of a dataset at any resolution.

    All covers at the present resolution are held if they fit in memory. If `plan` tells of several
    resolutions, and the covers fit at full size, they are decoded once; each resolution is pooled
    from that copy, and the next one while the present one is in use. None of it changes a cover.
    """

    def __init__(
        self, read: Callable[[int], np.ndarray], count: int, size: int, memory_bytes: float
    ):
        """Decodes nothing yet.

        Args:
          read: returns the cover with an index, `[S, S, 3]` uint8; threads call it.
          count: number of covers, N.
          size: side of the covers in pixels, S.
          memory_bytes: what is held takes no more than this.
        """
        self._read, self._count, self._size, self._memory_bytes = read, count, size, memory_bytes
        self._pool = ThreadPoolExecutor(thread_name_prefix="covers")
        self._after: dict[int, int] = {}
        self._next: _Filling | None = None
        self._ahead: tuple[np.ndarray, _Filling] | None = None
        self.plan(())

    def plan(self, resolutions: Sequence[int]) -> None:
        """Tells which resolutions `images` will be asked for, in order; drops all that is held."""
        self._drop_next()
        self._drop_ahead()
        self._after = dict(itertools.pairwise(resolutions))
        self._resolution, self._held, self._full = 0, None, None
        self._keeps_full = bool(self._after) and self._fits(self._size)

    def images(self, indices: np.ndarray, resolution: int) -> np.ndarray:
        """Returns covers at a resolution, `[len(indices), R, R, 3]` uint8.

        Raises:
          Exception: what `read` raised for one of them, now or ahead.
        """
        if self._resolution != resolution:
            self._switch(resolution)
        if self._held is not None:
            return self._held[indices]
        if self._ahead:
            expected, filling = self._ahead
            if filling.resolution == resolution and np.array_equal(expected, indices):
                self._ahead = None
                return filling.result()
            self._drop_ahead()
        return self._fill(indices, resolution).result()

    def read_ahead(self, indices: np.ndarray, resolution: int) -> None:
        """Starts with what `images` will be asked for next, unless it is or will be held."""
        self._drop_ahead()
        if not self._fits(resolution):
            self._ahead = indices, self._fill(indices, resolution)

    def _switch(self, resolution: int) -> None:
        """Makes a resolution the present one, and starts with the one that is planned after it."""
        self._resolution, self._held = 0, None
        if self._next and self._next.resolution != resolution:
            self._drop_next()
        if self._keeps_full and self._full is None:
            self._full = self._fill_all(self._size).result()
        if self._full is not None and resolution == self._size:
            self._held = self._full
        elif self._fits(resolution):
            filling, self._next = self._next or self._fill_all(resolution), None
            self._held = filling.result()
        self._resolution = resolution
        following = self._after.get(resolution, self._size)
        at_hand = self._keeps_full and following == self._size
        if resolution in self._after and not at_hand and self._fits(resolution, following):
            self._next = self._fill_all(following)

    def _fits(self, *resolutions: int) -> bool:
        """Whether all covers fit in memory at these resolutions, beside the full size if kept."""
        sides = {*resolutions, self._size} if self._keeps_full else {*resolutions}
        return 3 * self._count * sum(side**2 for side in sides) <= self._memory_bytes

    def _fill_all(self, resolution: int) -> "_Filling":
        return self._fill(np.arange(self._count), resolution)

    def _fill(self, indices: np.ndarray, resolution: int) -> "_Filling":
        full = self._full

        def covers(part):
            if full is not None:
                return shrink(full[part], resolution)
            return np.stack([shrink(self._read(int(index)), resolution) for index in part])

        return _Filling(self._pool, covers, np.asarray(indices), resolution)

    def _drop_next(self) -> None:
        filling, self._next = self._next, None
        if filling:
            filling.cancel()

    def _drop_ahead(self) -> None:
        ahead, self._ahead = self._ahead, None
        if ahead:
            ahead[1].cancel()


class _Filling:
    """Covers at one resolution that the threads of a pool are making."""

    def __init__(
        self,
        pool: ThreadPoolExecutor,
        covers: Callable[[np.ndarray], np.ndarray],
        indices: np.ndarray,
        resolution: int,
    ):
        self.resolution = resolution
        self._images = np.empty((len(indices), resolution, resolution, 3), np.uint8)
        each = min(max(len(indices) // _TASKS, 1), _MOST_PER_TASK)

        def fill(start):
            part = slice(start, start + each)
            self._images[part] = covers(indices[part])

        self._tasks = [pool.submit(fill, start) for start in range(0, len(indices), each)]

    def result(self) -> np.ndarray:
        """Waits for the covers; raises the first error."""
        try:
            for task in self._tasks:
                task.result()
        except BaseException:
            self.cancel()
            raise
        return self._images

    def cancel(self) -> None:
        """Leaves out what no thread has begun with."""
        for task in self._tasks:
            task.cancel()
