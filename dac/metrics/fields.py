"""Whether covers show what they were asked for, field by field.

A field is asked for alone; all else is left open. Genres are asked for equally often and years
evenly; names are those of real albums. A probe reads genres or the year back. An artist or a title
can't be seen on a cover, but albums of an artist lean to a genre: that is what is read for them.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dac.covers.conditions import Album, encode
from dac.metrics import adherence, groups
from dac.metrics.covers import Covers, draw_covers
from dac.metrics.features.extractor import Extractor
from dac.metrics.probe import Probe, train_probe
from dac.sampling import Run

MOST = 2000  # covers drawn by one field, unless there are very many genres
LEAST_KNOWN = 50  # real covers of which a field is known, to read it from others
LEAST_PER_GENRE = adherence.LEAST


@dataclasses.dataclass(frozen=True)
class Fields:
    """What fields are measured with.

    Attributes:
      run: the run.
      extractor: the features.
      like_real: its covers, each asked for as a real one is described.
      real: training covers.
      unseen: held-out covers.
      samples: no more covers are drawn by a field.
      seed: of the covers and the relabelings.
      say: receives a line about each part of the work.
    """

    run: Run
    extractor: Extractor
    like_real: Covers
    real: Covers
    unseen: Covers
    samples: int
    seed: int
    say: Callable[[str], None]

    def measure(self, field: str) -> tuple[dict[str, Any], Covers | None]:
        """Returns how well a field is shown, as JSON values, and the covers drawn by it.

        The covers are `generated`, held-out `real` ones, generated ones with `relabelled` requests
        and, for genres, generated ones `like_real`. If too little is known, there is a reason under
        `skipped`, and no covers.
        """
        by_year = field == "year"
        probe = (
            train_year_probe(self.real)
            if by_year
            else train_genre_probe(self.real, len(self.run.genres))
        )
        asked = self._albums(field)
        if probe is None or not asked:
            what = "year" if by_year else "genre"
            return {"skipped": f"fewer than {LEAST_KNOWN} real covers have a known {what}"}, None
        self.say(f"drawing {len(asked):,} covers by {field} alone ...")
        alone = [Album(**{field: getattr(album, field)}) for album in asked]
        drawn = draw_covers(self.run, alone, self.seed, self.extractor)
        drawn = dataclasses.replace(drawn, albums=asked)  # with the genres of named albums
        shuffled = np.random.default_rng(self.seed).permutation(len(asked))
        sets = {
            "generated": drawn,
            "real": self.unseen,
            "relabelled": dataclasses.replace(drawn, albums=[asked[i] for i in shuffled]),
        }
        if field == "genres":
            sets["like_real"] = self.like_real
        measured = {
            name: read_years(probe, covers)
            if by_year
            else read_genres(probe, covers, self.run.genres, self.seed)
            for name, covers in sets.items()
        }
        return {name: found for name, found in measured.items() if found is not None}, drawn

    def between_genres(self, by_genre: Covers) -> dict[str, Any] | None:
        """Returns how much of the variance lies between genres, the real share, and the slope.

        In pixels and in features. None if fewer than two genres have enough covers.

        Args:
          by_genre: covers drawn by genre alone.
        """
        sets = {"generated": by_genre, "real": self.real, "held_out": self.unseen}
        of, num_genres = (
            {n: covers.only_genre() for n, covers in sets.items()},
            len(self.run.genres),
        )
        counts = [np.bincount(found[found >= 0], minlength=num_genres) for found in of.values()]
        (common,) = np.nonzero(np.min(counts, axis=0) >= LEAST_PER_GENRE)
        if len(common) < 2:
            return None
        result: dict[str, Any] = {"genres": len(common)}
        for space in ("pixels", "features"):
            found = {
                name: groups.moments([getattr(covers, space)], of[name], num_genres)
                for name, covers in sets.items()
            }
            result[space] = {
                "generated": found["generated"].between_share(common),
                "real": found["real"].between_share(common),
                "slope": groups.slope(*found.values(), common),
            }
        return result

    def _albums(self, field: str) -> list[Album]:
        """Returns albums to ask for by a field; names come with the genres of their albums."""
        count, random = min(self.samples, MOST), np.random.default_rng(self.seed)
        if field == "genres":
            # Each genre gets enough covers to be tested, or as many as there may be in all.
            order = random.permutation(len(self.run.genres))
            count = min(max(count, LEAST_PER_GENRE * len(order)), self.samples)
            return [Album(genres={int(order[i % len(order)]): 1.0}) for i in range(count)]
        if field == "year":
            return [Album(year=round(year)) for year in np.linspace(*self.run.years, count)]
        named = [album for album in self.real.albums if getattr(album, field) and album.genres]
        return [named[i] for i in np.resize(random.permutation(len(named)), count)] if named else []


def train_genre_probe(real: Covers, num_genres: int) -> Probe | None:
    """Returns a probe for genres, or None if they are known of too few covers."""
    real = real.chosen(_known(real, "genres"))
    if len(real) < LEAST_KNOWN:
        return None
    return train_probe(real.features, encode(real.albums, ["genres"], num_genres)["genres"])


def train_year_probe(real: Covers) -> Probe | None:
    """Returns a probe for the year, or None if it is known of too few covers."""
    real = real.chosen(_known(real, "year"))
    if len(real) < LEAST_KNOWN:
        return None
    return train_probe(real.features, np.array([[album.year] for album in real.albums]))


def read_genres(
    probe: Probe, covers: Covers, genres: Sequence[str], seed: int = 0
) -> dict[str, Any] | None:
    """Returns how well a probe reads the genres of covers, or None if there are too few."""
    covers = covers.chosen(_known(covers, "genres"))
    if not len(covers):
        return None
    member = covers.genres(len(genres))
    measured = adherence.genre_adherence(probe(covers.features), member, seed)
    if measured is None:
        return None
    areas = {genres[genre]: area for genre, area in measured.by_genre.items()}
    return _as_json(len(covers), measured) | {"by_genre": areas}


def read_years(probe: Probe, covers: Covers) -> dict[str, Any] | None:
    """Returns how well a probe reads the years of covers, or None if there are too few."""
    covers = covers.chosen(_known(covers, "year"))
    if len(covers) < LEAST_PER_GENRE:
        return None
    asked = np.array([album.year for album in covers.albums])
    return _as_json(len(covers), adherence.year_adherence(probe(covers.features)[:, 0], asked))


def _known(covers: Covers, field: str) -> np.ndarray:
    return np.array([bool(getattr(album, field)) for album in covers.albums], bool)


def _as_json(
    count: int, measured: adherence.GenreAdherence | adherence.YearAdherence
) -> dict[str, Any]:
    words = {"shown": measured.shown, "verdict": measured.verdict}
    return {"covers": count, **dataclasses.asdict(measured), **words}
