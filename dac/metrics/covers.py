"""Sets of covers as figures need them, real or drawn: features, small pictures and albums."""

import dataclasses
import hashlib
import io
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from dac.covers.conditions import Album
from dac.covers.dataset import CoverDataset
from dac.covers.images import shrink
from dac.files import write_bytes
from dac.metrics.features.extractor import Extractor
from dac.sampling import Run

FILTER = "mean of blocks"  # `shrink`, which also makes the covers of a training
MOST_REAL = 10_000  # covers of a split
SMALL = 32  # side of the small pictures in pixels, at most
_BLOCK = 256


@dataclasses.dataclass(frozen=True)
class Covers:
    """A set of N covers.

    Attributes:
      albums: what they are of, or were asked for.
      places: indices of real covers in their dataset, or latents of drawn ones, `[N]` int.
      features: `[N, F]` float32.
      pixels: the covers, shrunk to at most `SMALL`, `[N, S, S, 3]` uint8.
    """

    albums: Sequence[Album]
    places: np.ndarray
    features: np.ndarray
    pixels: np.ndarray

    def __len__(self) -> int:
        """N."""
        return len(self.albums)

    def genres(self, num_genres: int) -> np.ndarray:
        """Returns which genres each cover has, `[N, num_genres]` bool."""
        member = np.zeros((len(self), num_genres), bool)
        for i, album in enumerate(self.albums):
            member[i, list(album.genres or ())] = True
        return member

    def only_genre(self) -> np.ndarray:
        """Returns the genre of each cover that has exactly one, and -1 for others, `[N]`."""
        genres = [tuple(album.genres or ()) for album in self.albums]
        return np.array([found[0] if len(found) == 1 else -1 for found in genres], int)

    def chosen(self, which: np.ndarray) -> "Covers":
        """Returns some of the covers; `which` is `[N]` bool."""
        albums = [album for album, taken in zip(self.albums, which, strict=True) if taken]
        return Covers(albums, self.places[which], self.features[which], self.pixels[which])


def read_covers(
    dataset: CoverDataset,
    resolution: int,
    extractor: Extractor,
    cache: Path,
    say: Callable[[str], None] = lambda text: None,
) -> Covers:
    """Returns the covers of a split, in random order, at most `MOST_REAL`.

    What was computed is cached by a hash of all that it depends on, the records' bytes included.

    Args:
      dataset: the split.
      resolution: side in pixels that the covers are shrunk to before anything else.
      extractor: the features.
      cache: folder of the cache; created if it does not exist.
      say: receives a line about the work.

    Raises:
      UserError: a record can't be read.
    """
    indices = np.random.default_rng(0).permutation(len(dataset))[:MOST_REAL]
    albums = [dataset.album(int(i)) for i in indices]
    made_from = [dataset.content_digest(indices), extractor.digest, extractor.name]
    made_from += [f"{resolution} {SMALL} {FILTER} 1"]
    key = hashlib.sha256("\n".join(made_from).encode()).hexdigest()
    file = cache / f"{key}.npz"
    try:
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as saved:
            return Covers(albums, indices, saved["features"], saved["pixels"])
    except FileNotFoundError:
        pass
    except Exception:  # damaged: it is made again
        say(f"warning: {file} is damaged; computing it again")
    say(f"features of {len(indices):,} real covers ({extractor.name}) ...")
    parts = (indices[i : i + _BLOCK] for i in range(0, len(indices), _BLOCK))
    pictures = (dataset.images(part, resolution) for part in parts)
    covers = _gather(albums, indices, pictures, resolution, extractor)
    content = io.BytesIO()
    np.savez(content, features=covers.features, pixels=covers.pixels)
    cache.mkdir(parents=True, exist_ok=True)
    write_bytes(file, content.getvalue())
    return covers


def draw_covers(run: Run, albums: Sequence[Album], seed: int, extractor: Extractor) -> Covers:
    """Draws a cover for each album; cover i starts from latent i of the seed."""
    batches = run.sample_batches(albums, seed)
    return _gather(albums, np.arange(len(albums)), batches, run.resolution, extractor)


def _gather(
    albums: Sequence[Album],
    places: np.ndarray,
    batches: Iterable[np.ndarray],
    resolution: int,
    extractor: Extractor,
) -> Covers:
    small = []

    def passing():
        for batch in batches:
            small.append(shrink(batch, min(resolution, SMALL)))
            yield batch

    features = extractor(passing())
    return Covers(albums, places, features, np.concatenate(small))
