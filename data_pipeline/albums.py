"""What sources list and the catalogue stores: lists, pages of albums, covers, failures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

ALL_YEARS = (0, 9999)
UNDATED = (0, 0)


@dataclass(frozen=True, slots=True)
class List:
    """A list of albums, or a part of it, that a source can be asked for.

    Attributes:
      kind: "genre", "artist", "label" or "country"; Spotify also has "albums" and "related".
      key: a name, or an id at the source.
      first: the first year of release: `ALL_YEARS[0]` for all, `UNDATED` for unknown ones.
      last: the last year of release.
      label: what the list is called in a choice, None if it is read whatever is chosen.
      id: the row id in the catalogue.
      next: the offset of the next page.
    """

    kind: str
    key: str
    first: int = ALL_YEARS[0]
    last: int = ALL_YEARS[1]
    label: str | None = None
    id: int = 0
    next: int = 0


@dataclass(frozen=True, slots=True)
class Album:
    """An album as a source describes it.

    Attributes:
      key: the id at the source, safe as a file name.
      title: the title, None if unknown.
      artist: the artist as credited, None if unknown.
      release_year: the year of the first release, None if unknown.
      genres: the normalised genres that the source gives for the album itself.
      types: secondary types in lower case, such as "live"; empty for a studio album.
      artists: the keys of artists whose genres are the album's, too.
      lists: the labels of lists other than genres that it is on.
      url: the cover's URL, None if it follows from the key.
      has_cover: False if the source says that there is no cover.
    """

    key: str
    title: str | None = None
    artist: str | None = None
    release_year: int | None = None
    genres: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    artists: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()
    url: str | None = None
    has_cover: bool = True


@dataclass(frozen=True, slots=True)
class Page:
    """What a source says at once.

    Attributes:
      albums: albums, new or known.
      artists: the known genres of artists by key.
      lists: further lists to read.
      next: the offset to continue from if the list is not read to its end.
      total: the length of the list according to the source, None if unknown.
      found: on the last page: how many different albums the list gave, None if it has no total.
    """

    albums: Sequence[Album] = ()
    artists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    lists: Sequence[List] = ()
    next: int = 0
    total: int | None = None
    found: int | None = None


@dataclass(frozen=True, slots=True)
class Cover:
    """A cover to fetch.

    Attributes:
      album: the album's row id.
      key: the album's id at the source.
      url: the cover's URL, None if the key implies it.
      sha256: the hash of the file that was stored before, None if there was none.
    """

    album: int
    key: str
    url: str | None
    sha256: bytes | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """A checked cover on disk.

    Attributes:
      file_name: its name in the collection.
      bytes: its size.
      width: in pixels.
      height: in pixels.
      sha256: the hash of the file.
      fingerprint: see `data_pipeline.doubles`.
      picture_url: where it was fetched, None if that was not noted.
      release: the id of the edition that it is the cover of, None if unknown.
    """

    file_name: str
    bytes: int
    width: int
    height: int
    sha256: bytes
    fingerprint: bytes
    picture_url: str | None = None
    release: str | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job failed, in one word, and whether a retry may succeed."""

    reason: str
    retry: bool
