"""The invented albums, artists and genres that all services agree on."""

import dataclasses
import re
from collections.abc import Iterator

import numpy as np

from tests.cover_services.covers import cover_jpeg
from tests.cover_services.ids import make_mbid, make_spotify_id, number_of, stable_hash
from tests.cover_services.words import COUNTRIES, JOINS, SCRIPTS, TYPES, genre_names


def make_catalogue(
    albums: int = 3000,
    artists: int = 600,
    genres: int = 40,
    seed: int = 0,
    cover_pixels: int | None = None,
) -> "Catalogue":
    """Invents a catalogue. The same arguments give the same catalogue.

    Args:
        albums: how many albums; 600,000 take a second and a few dozen megabytes.
        artists: how many artists. Those with the smallest numbers have the most albums.
        genres: how many genres. The first are the most popular.
        seed: the seed of everything random.
        cover_pixels: the largest width of a cover, which keeps covers small; None for no limit.
    """
    return Catalogue(albums, artists, genres, seed, cover_pixels)


@dataclasses.dataclass(frozen=True)
class Artist:
    """An artist as both services know them."""

    number: int
    mbid: str
    spotify_id: str
    name: str
    genres: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Album:
    """An album as both services know it."""

    number: int
    mbid: str
    spotify_id: str
    title: str
    artists: tuple[Artist, ...]
    joinphrase: str
    genres: tuple[str, ...]
    types: tuple[str, ...]  # the secondary types
    label: str
    country: str  # ISO 3166-1
    release_date: str | None  # "1988", "1988-05" or "1988-05-01"
    has_cover: bool

    @property
    def artist(self) -> str:
        """The artist credit as MusicBrainz writes it."""
        return self.joinphrase.join(artist.name for artist in self.artists)

    @property
    def release_year(self) -> int | None:
        """The year of `release_date`."""
        return int(self.release_date[:4]) if self.release_date else None


class Catalogue:
    """Everything that exists, as arrays of numbers. Names and ids are made on demand.

    Attributes:
        genres: the names of the genres, unique.
        num_albums: the number of albums.
        num_artists: the number of artists.
        has_cover: for each album, whether it has a cover.
        cover_pixels: the largest width of a cover, whatever size is asked for; None for no limit.
    """

    def __init__(self, albums: int, artists: int, genres: int, seed: int, cover_pixels: int | None):
        self.genres = genre_names(genres)
        self.num_albums, self.num_artists = albums, artists
        self.seed, self.cover_pixels = seed, cover_pixels
        self._genre_number = {name: number for number, name in enumerate(self.genres)}

        # In all tables of numbers, -1 is an empty cell.
        rng = np.random.default_rng(seed)
        popularity = 1 / np.arange(4, 4 + genres)
        artist_genres = rng.choice(genres, (artists, 3), p=popularity / popularity.sum())
        covered = min(artists, genres)
        artist_genres[:covered, 0] = np.arange(covered)  # so that every genre has albums
        keep = np.arange(3) < rng.integers(1, 4, (artists, 1))
        artist_genres = _without(artist_genres, keep)
        self._artist_genres = artist_genres.astype(np.int16)

        first = (artists * rng.random(albums) ** 2).astype(np.int32)
        first[:artists] = np.arange(min(albums, artists))
        second = rng.integers(0, artists, albums, dtype=np.int32)
        second[(rng.random(albums) > 0.05) | (second == first)] = -1
        self._album_artists = np.stack([first, second], axis=1)
        self._album_genres = _without(artist_genres[first], rng.random((albums, 3)) < 0.8)
        self._album_genres[:, 0] = np.where(
            (self._album_genres < 0).all(axis=1), artist_genres[first, 0], self._album_genres[:, 0]
        )
        self._album_genres[:covered, 0] = artist_genres[first[:covered], 0]
        self._album_genres = self._album_genres.astype(np.int16)

        # Dates are numbers like 19880501; an unknown day, month or year is zero.
        date = rng.integers([1950, 1, 1], [2027, 13, 29], (albums, 3)) * (10_000, 100, 1)
        shown = rng.random((albums, 1)) < (0.92, 0.7, 0.5)
        self._dates = (date * np.logical_and.accumulate(shown, axis=1)).sum(axis=1).astype(np.int32)
        self.has_cover = rng.random(albums) >= 0.05
        self._cover = np.arange(albums, dtype=np.int32)
        self._cover[1::2] -= rng.random(len(self._cover[1::2])) < 0.02  # a few share a cover

        self._genre_albums = _rows_by_value(self._album_genres, genres)
        self._genre_artists = _rows_by_value(self._artist_genres, genres)
        self._artist_albums = _rows_by_value(self._album_artists, artists)

    def __len__(self) -> int:
        return self.num_albums

    def __iter__(self) -> Iterator[Album]:
        return map(self.album, range(self.num_albums))

    def artist(self, number: int) -> Artist:
        """Returns an artist by number, from 0 to `num_artists` - 1."""
        # More than half of the names use the first script; the others share the rest.
        script = max(
            0, stable_hash("script", self.seed, number) % (2 * len(SCRIPTS)) - len(SCRIPTS)
        )
        mbid = make_mbid("artist", number)
        return Artist(
            number,
            mbid,
            make_spotify_id(mbid),
            self._name(script, "artist", number),
            tuple(self.genres[genre] for genre in self._artist_genres[number] if genre >= 0),
        )

    def album(self, number: int) -> Album:
        """Returns an album by number, from 0 to `num_albums` - 1."""
        mbid = make_mbid("release-group", number)
        script = stable_hash("title script", self.seed, number) % len(SCRIPTS)
        credits = [int(artist) for artist in self._album_artists[number] if artist >= 0]
        return Album(
            number,
            mbid,
            make_spotify_id(mbid),
            self._name(script, "album", number),
            tuple(map(self.artist, credits)),
            JOINS[number % len(JOINS)],
            tuple(self.genres[genre] for genre in self._album_genres[number] if genre >= 0),
            TYPES[stable_hash("types", self.seed, number) % len(TYPES)],
            f"Label {stable_hash('label', self.seed, number) % 50}",
            COUNTRIES[stable_hash("country", self.seed, number) % len(COUNTRIES)],
            self._release_date(number),
            bool(self.has_cover[number]),
        )

    def find_album(self, any_id: str) -> int | None:
        """Returns the number of the album with a MusicBrainz or Spotify id."""
        number = number_of("release-group", any_id)
        return number if number is not None and number < self.num_albums else None

    def find_artist(self, any_id: str) -> int | None:
        """Returns the number of the artist with a MusicBrainz or Spotify id."""
        number = number_of("artist", any_id)
        return number if number is not None and number < self.num_artists else None

    def albums_of_genre(self, genre: str) -> np.ndarray:
        """Returns the numbers of a genre's albums, ascending; none for an unknown genre."""
        number = self._genre_number.get(genre)
        return np.empty(0, np.int32) if number is None else self._genre_albums[number]

    def artists_of_genre(self, genre: str) -> np.ndarray:
        """Returns the numbers of a genre's artists, ascending; none for an unknown genre."""
        number = self._genre_number.get(genre)
        return np.empty(0, np.int32) if number is None else self._genre_artists[number]

    def albums_of_artist(self, number: int) -> np.ndarray:
        """Returns the numbers of the albums that credit an artist, ascending."""
        return self._artist_albums[number]

    def released(self, albums: np.ndarray, first: str, last: str) -> np.ndarray:
        """Returns the albums released from `first` to `last` ("1988", "1988-05" or "*")."""
        low = int(re.sub(r"\D", "", first).ljust(8, "0"))
        high = int(re.sub(r"\D", "", last).ljust(8, "9"))
        dates = self._dates[albums]
        return albums[(dates > 0) & (dates >= low) & (dates <= high)]

    def largest_thumbnail(self, number: int) -> int:
        """Returns the largest size in which the archive has a cover; originals differ."""
        return 500 if stable_hash("original", self.seed, number) % 5 == 0 else 1200

    def cover_number(self, number: int) -> int:
        """Returns the number of an album's cover: mostly its own, as few albums share a cover."""
        return int(self._cover[number])

    def cover_jpeg(self, number: int, size: int) -> bytes:
        """Returns an album's cover in a size of a service (250, 500, 1200; 64, 300, 640)."""
        if not self.has_cover[number]:
            raise ValueError(f"album {number} has no cover")
        return cover_jpeg(self.cover_number(number), min(size, self.cover_pixels or size))

    def _name(self, script: int, *parts: object) -> str:
        """Returns one to three words of a script, chosen by a hash of the parts."""
        words = SCRIPTS[script].split()
        number = stable_hash(self.seed, *parts)
        count, number = 1 + number % 3, number // 3
        return " ".join(words[number // len(words) ** i % len(words)] for i in range(count))

    def _release_date(self, number: int) -> str | None:
        year, rest = divmod(int(self._dates[number]), 10_000)
        month, day = divmod(rest, 100)
        parts = [f"{year:04d}", f"{month:02d}", f"{day:02d}"]
        return "-".join(parts[: 3 if day else 2 if month else 1]) if year else None


def _rows_by_value(table: np.ndarray, num_values: int) -> list[np.ndarray]:
    """Returns, for each number in the table, the rows that hold it, ascending."""
    rows, columns = np.nonzero(table >= 0)
    keys = table[rows, columns]
    order = np.lexsort((rows, keys))
    ends = np.searchsorted(keys[order], np.arange(1, num_values))
    return np.split(rows[order].astype(np.int32), ends)


def _without(table: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """Replaces by -1 the genres of each row that are not kept, and those that repeat another."""
    table = np.where(keep, table, -1)
    table[:, 1][table[:, 1] == table[:, 0]] = -1
    table[:, 2][(table[:, 2] == table[:, 0]) | (table[:, 2] == table[:, 1])] = -1
    return table
