"""What sources list and the catalogue stores: lists, pages of albums, covers, failures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

ALL_YEARS = (0, 9999)
UNDATED = (0, 0)


@dataclass(frozen=True, slots=True)
class List:
    """A list of albums, or a part of it, that a source can be asked for."""

    kind: str  # "genre", "artist", "label" or "country"; Spotify also has "albums" and "related"
    key: str  # a name, or an id at the source
    first: int = ALL_YEARS[0]  # years of release, or `ALL_YEARS`, or `UNDATED`
    last: int = ALL_YEARS[1]
    label: str | None = None  # what it is called in a choice; None: `key` is an artist, with genres
    id: int = 0  # the row id in the catalogue
    next: int = 0  # the offset of the next page


@dataclass(frozen=True, slots=True)
class Album:
    """An album as a source describes it; what is unknown is None or empty."""

    key: str  # the id at the source, safe as a file name
    title: str | None = None
    artist: str | None = None  # as credited; may join several names
    release_year: int | None = None  # of the first release
    genres: tuple[str, ...] = ()  # normalised
    types: tuple[str, ...] = ()  # secondary types in lower case; none for a studio album
    artists: tuple[str, ...] = ()  # keys of artists whose genres are the album's, too
    lists: tuple[str, ...] = ()  # labels of the lists other than genres that it is on
    url: str | None = None  # of the cover; None if it follows from the key
    has_cover: bool = True  # False if the source says that there is none


@dataclass(frozen=True, slots=True)
class Page:
    """What a source says at once."""

    albums: Sequence[Album] = ()
    artists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # genres by key
    lists: Sequence[List] = ()  # further lists to read
    next: int = 0  # the offset to continue from if the list is not read to its end
    total: int | None = None  # the length of the list, according to the source
    found: int | None = None  # on the last page: how many different albums the list gave


@dataclass(frozen=True, slots=True)
class Cover:
    """A cover to fetch."""

    album: int  # the album's row id
    key: str  # the album's id at the source
    url: str | None  # None if the key implies it
    sha256: bytes | None = None  # of the file that was stored before, if any


@dataclass(frozen=True, slots=True)
class Stored:
    """A checked cover on disk."""

    file_name: str  # in the collection
    bytes: int
    width: int  # in pixels
    height: int
    sha256: bytes
    fingerprint: bytes  # see `data_pipeline.doubles`
    found_from: float | None = None  # of a file that was on disk already: since when, in Unix time
    picture_url: str | None = None  # where it was fetched
    release: str | None = None  # the id of the edition that it is the cover of


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job failed, in one word, and whether a retry may succeed."""

    reason: str
    retry: bool
