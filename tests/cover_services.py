"""A MusicBrainz, a Cover Art Archive and a Spotify on loopback: invented albums, injected faults.

In tests: `with serve(make_catalogue()) as services:`. By hand, until Ctrl-C:

    python tests/cover_services.py --albums=3000 --fault_rate=0.1 --faults=http_500,reset

The catalogue knows every right answer, so what was collected can be compared with what there was.
"""

import argparse
import asyncio
import base64
import collections
import concurrent.futures
import contextlib
import dataclasses
import datetime
import email.utils
import functools
import hashlib
import io
import itertools
import json
import math
import re
import signal
import socket
import struct
import threading
import time
import uuid
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import PurePath
from typing import Any
from urllib.parse import parse_qs, urlencode

import numpy as np
from aiohttp import web
from PIL import Image, ImageDraw, ImageFilter

SERVICES = ("musicbrainz", "coverart", "archive", "spotify_token", "spotify", "spotify_images")

# ---------------------------------------------------------------------------------------- catalogue

SCRIPTS = (
    "Midnight River Static Garden Glass Velvet Northern Ghost Paper Engine Slow Motion",
    "Éclipse Über Señorita Żółty Čaj Smörgås İstanbul Đường Ísland Œuvre straße naïve",
    "Ночь Ёлка Группа Зима Кровь Поезд Щука Їжак Голос",
    "Νύχτα Θάλασσα Ωκεανός Φως Ψυχή",
    "ليلة مدينة صوت البحر قمر ذاكرة حُبّ",
    "לילה ירושלים שיר הים אור שָׁלוֹם",
    "夜 東京 静かな 海辺 機械 さくら カセット 龍門 雨天",
    "밤 서울 바다 노래 겨울 유령",
    "रात नदी संगीत दिल्ली ज़िन्दगी",
    "กลางคืน แม่น้ำ เพลง ฝน",
    "🌊 👩‍🎤 🏴‍☠️ 🎷 ❤️‍🔥 𝕬𝖑𝖇𝖚𝖒",
    "e\u0301te\u0301 Z\u0338a\u031bl\u0362g\u0300o q\u0303 n\u0308u\u0308 A\u030angstro\u0308m",
    "AC/DC \"Heroes\" Rock'n'Roll ...And C:\\ <b>bold</b> &amp; %20 #1 NULL ../up 50% ;-)",
)
# The odd ones come first, so that small catalogues have them, too.
GENRES = """rock, 8-bit, jazz, re:techno, drum and bass, r&b, "quoted", näutik, dub, thrash
metal, metal, punk, samba, zydeco, drone, house, chicago house, folk, ambient, 21st century
classical, k-pop, j-pop, hip hop, bossa nova, musique concrète, chanson française, canción, rock
& roll, rock/pop, c64, 432hz, post-rock, trip hop, soul, funk, disco, ska, reggae, krautrock,
gospel"""
PREFIXES = """acid art avant baroque black celtic chamber cosmic cyber dark death deep desert
digital doom dream electro epic ethereal experimental free future ghetto glitch gothic hard heavy
hyper indie industrial italo jungle latin lo-fi melodic minimal neo noise nordic nu orchestral
pagan post power progressive proto psychedelic raw retro sea slow southern space speed surf swamp
symphonic tech tribal urban vocal witch"""
STYLES = """ambient ballad bass beat blues boogie bop breakbeat choir core cumbia dance disco
drone dub electronica fado folk funk fusion garage gospel groove grunge gaze hardcore house jazz
jungle lounge mambo march mass metal opera polka pop psych punk raga rap reggae rock rumba samba
shanty ska skiffle soul step swing synth tango techno trance twist wave waltz zouk"""
JOINS = (" & ", " feat. ", ", ", " / ", " и ")


def _hash(*parts: object) -> int:
    """64 bits that depend on the parts alone, in every process."""
    text = "\0".join(map(str, parts))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


# Ids look random, yet hold the number that they stand for: no table of 600,000 of them is kept.
_SCATTER = 0x9E3779B1
_GATHER = pow(_SCATTER, -1, 1 << 32)
_BASE62 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _mbid(kind: str, number: int) -> str:
    low = _hash("id", kind, number)
    scattered = (number + len(kind)) * _SCATTER % (1 << 32)
    return str(uuid.UUID(int=scattered << 96 | low << 32 | low >> 32, version=4))


def _spotify_id(mbid: str) -> str:
    number = uuid.UUID(mbid).int
    digits = []
    for _ in range(22):
        number, digit = divmod(number, 62)
        digits.append(_BASE62[digit])
    return "".join(reversed(digits))


def _number(kind: str, any_id: str) -> int | None:
    """The number that an id, MusicBrainz's or Spotify's, stands for; None if it never was one."""
    if re.fullmatch(r"[0-9A-Za-z]{22}", any_id):
        value = functools.reduce(lambda total, digit: total * 62 + _BASE62.index(digit), any_id, 0)
        if value >= 1 << 128:
            return None
        any_id = str(uuid.UUID(int=value))
    if not re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", any_id):
        return None
    number = int(any_id[:8], 16) * _GATHER % (1 << 32) - len(kind)
    return number if number >= 0 and _mbid(kind, number) == any_id else None


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
    """An album as both services know it; it came out in "1988", "1988-05", "1988-05-01" or None."""

    number: int
    mbid: str
    spotify_id: str
    title: str
    artists: tuple[Artist, ...]
    joinphrase: str
    genres: tuple[str, ...]
    release_date: str | None
    has_cover: bool

    @property
    def artist(self) -> str:
        """The artist credit, as MusicBrainz writes it."""
        return self.joinphrase.join(artist.name for artist in self.artists)

    @property
    def release_year(self) -> int | None:
        """The year of `release_date`."""
        return int(self.release_date[:4]) if self.release_date else None


class Catalogue:
    """What there is: numbers in arrays, from which names and ids are made when they are asked for.

    Attributes:
        genres: names of the genres, unique.
        num_albums, num_artists: how many there are.
        has_cover: for each album, whether it has a cover.
        cover_pixels: the largest width that covers have, whatever size is asked for; None: any.
    """

    def __init__(
        self,
        albums: int,
        artists: int,
        genres: int,
        seed: int = 0,
        cover_pixels: int | None = None,
    ):
        combined = (f"{first} {last}" for first in PREFIXES.split() for last in STYLES.split())
        invented = (f"genre {i}" for i in itertools.count())
        names = itertools.chain(" ".join(GENRES.split()).split(", "), combined, invented)
        self.genres = tuple(itertools.islice(names, genres))
        self.num_albums, self.num_artists = albums, artists
        self.seed, self.cover_pixels = seed, cover_pixels
        self._genre_number = {name: number for number, name in enumerate(self.genres)}

        rng = np.random.default_rng(seed)
        popularity = 1 / np.arange(4, 4 + genres)
        artist_genres = rng.choice(genres, (artists, 3), p=popularity / popularity.sum())
        covered = min(artists, genres)
        artist_genres[:covered, 0] = np.arange(covered)  # so that no genre is without albums
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

        date = rng.integers([1950, 1, 1], [2027, 13, 29], (albums, 3)) * (10_000, 100, 1)
        shown = rng.random((albums, 1)) < (0.92, 0.7, 0.5)
        self._dates = (date * np.logical_and.accumulate(shown, axis=1)).sum(axis=1).astype(np.int32)
        self.has_cover = rng.random(albums) >= 0.05
        self._cover = np.arange(albums, dtype=np.int32)
        self._cover[1::2] -= rng.random(len(self._cover[1::2])) < 0.02  # some share one

        self._genre_albums = self._inverse(self._album_genres, genres)
        self._genre_artists = self._inverse(self._artist_genres, genres)
        self._artist_albums = self._inverse(self._album_artists, artists)

    @staticmethod
    def _inverse(table: np.ndarray, num_keys: int) -> list[np.ndarray]:
        """For each number in the table, the rows that hold it, ascending."""
        rows, columns = np.nonzero(table >= 0)
        keys = table[rows, columns]
        order = np.lexsort((rows, keys))
        ends = np.searchsorted(keys[order], np.arange(1, num_keys))
        return np.split(rows[order].astype(np.int32), ends)

    def __len__(self) -> int:
        return self.num_albums

    def __iter__(self) -> Iterator[Album]:
        return map(self.album, range(self.num_albums))

    def _name(self, script: int, *parts: object) -> str:
        words = SCRIPTS[script].split()
        number = _hash(self.seed, *parts)
        count, number = 1 + number % 3, number // 3
        return " ".join(words[number // len(words) ** i % len(words)] for i in range(count))

    def artist(self, number: int) -> Artist:
        """The artist of a number under `num_artists`."""
        # Most names are Latin; the other scripts share the rest.
        script = max(0, _hash("script", self.seed, number) % (2 * len(SCRIPTS)) - len(SCRIPTS))
        mbid = _mbid("artist", number)
        return Artist(
            number,
            mbid,
            _spotify_id(mbid),
            self._name(script, "artist", number),
            tuple(self.genres[genre] for genre in self._artist_genres[number] if genre >= 0),
        )

    def album(self, number: int) -> Album:
        """The album of a number under `num_albums`."""
        mbid = _mbid("release-group", number)
        script = _hash("title script", self.seed, number) % len(SCRIPTS)
        credits = [int(artist) for artist in self._album_artists[number] if artist >= 0]
        return Album(
            number,
            mbid,
            _spotify_id(mbid),
            self._name(script, "album", number),
            tuple(map(self.artist, credits)),
            JOINS[number % len(JOINS)],
            tuple(self.genres[genre] for genre in self._album_genres[number] if genre >= 0),
            self._release_date(number),
            bool(self.has_cover[number]),
        )

    def _release_date(self, number: int) -> str | None:
        year, rest = divmod(int(self._dates[number]), 10_000)
        month, day = divmod(rest, 100)
        parts = [f"{year:04d}", f"{month:02d}", f"{day:02d}"]
        return "-".join(parts[: 3 if day else 2 if month else 1]) if year else None

    def find_album(self, any_id: str) -> int | None:
        """The number of the album with a MusicBrainz or Spotify id."""
        number = _number("release-group", any_id)
        return number if number is not None and number < self.num_albums else None

    def find_artist(self, any_id: str) -> int | None:
        """The number of the artist with a MusicBrainz or Spotify id."""
        number = _number("artist", any_id)
        return number if number is not None and number < self.num_artists else None

    def albums_of_genre(self, genre: str) -> np.ndarray:
        """Numbers of the albums of a genre, ascending; none if there is no such genre."""
        number = self._genre_number.get(genre)
        return np.empty(0, np.int32) if number is None else self._genre_albums[number]

    def artists_of_genre(self, genre: str) -> np.ndarray:
        """Numbers of the artists of a genre, ascending; none if there is no such genre."""
        number = self._genre_number.get(genre)
        return np.empty(0, np.int32) if number is None else self._genre_artists[number]

    def albums_of_artist(self, number: int) -> np.ndarray:
        """Numbers of the albums that credit an artist, ascending."""
        return self._artist_albums[number]

    def released(self, albums: np.ndarray, first: str, last: str) -> np.ndarray:
        """Those of the albums that came out from `first` to `last` ("1988", "1988-05", "*")."""
        low = int(re.sub(r"\D", "", first).ljust(8, "0"))
        high = int(re.sub(r"\D", "", last).ljust(8, "9"))
        dates = self._dates[albums]
        return albums[(dates > 0) & (dates >= low) & (dates <= high)]

    def cover_number(self, number: int) -> int:
        """The number of an album's cover, its own as a rule: a few albums share one."""
        return int(self._cover[number])

    def cover_jpeg(self, number: int, size: int) -> bytes:
        """The cover of an album in a size that a service offers (250, 500, 1200; 64, 300, 640)."""
        if not self.has_cover[number]:
            raise ValueError(f"album {number} has no cover")
        return cover_jpeg(self.cover_number(number), min(size, self.cover_pixels or size))


def _without(table: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """Genres of each row that are kept and are no repetitions; -1 for the others."""
    table = np.where(keep, table, -1)
    table[:, 1][table[:, 1] == table[:, 0]] = -1
    table[:, 2][(table[:, 2] == table[:, 0]) | (table[:, 2] == table[:, 1])] = -1
    return table


def make_catalogue(
    albums: int = 3000,
    artists: int = 600,
    genres: int = 40,
    seed: int = 0,
    cover_pixels: int | None = None,
) -> Catalogue:
    """Invents a catalogue; the same arguments, the same catalogue.

    Args:
        albums: how many; 600,000 take a second and a few dozen megabytes.
        artists: how many. Those with the smallest numbers have the most albums.
        genres: how many. The first are the most popular.
        seed: of everything that is random.
        cover_pixels: bounds the width of covers, so that they are small; None: the size asked for.
    """
    return Catalogue(albums, artists, genres, seed, cover_pixels)


# ------------------------------------------------------------------------------------------- covers

NUM_PICTURES = 24  # that are drawn for each size; what else differs is a comment in the file


def _picture(number: int, size: int) -> Image.Image:
    rng = np.random.default_rng(number)
    coarse = rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)
    picture = Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(picture)
    for _ in range(12):
        x, y, radius = rng.random(3) * (size, size, size / 4)
        shape = draw.ellipse if rng.random() < 0.5 else draw.rectangle
        colour = tuple(int(value) for value in rng.integers(0, 256, 3))
        shape((x - radius, y - radius, x + radius, y + radius), fill=colour)
    grain = rng.normal(0, 11, (size, size, 1))
    return Image.fromarray(np.clip(np.asarray(picture) + grain, 0, 255).astype(np.uint8))


@functools.cache
def _jpeg_parts(number: int, size: int) -> tuple[bytes, bytes]:
    """An encoded picture, cut where a comment may stand."""
    stream = io.BytesIO()
    _picture(number, size).save(stream, "JPEG", quality=80, optimize=True)
    data = stream.getvalue()
    cut = 4 + int.from_bytes(data[4:6])  # JFIF wants its own segment right after the start
    return data[:cut], data[cut:]


@functools.cache
def _png_parts(number: int, size: int) -> tuple[bytes, bytes]:
    stream = io.BytesIO()
    _picture(number, size).filter(ImageFilter.GaussianBlur(2)).quantize(64).save(stream, "PNG")
    return stream.getvalue()[:33], stream.getvalue()[33:]


def _chunk(name: bytes, data: bytes) -> bytes:
    """A chunk of a PNG file."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def cover_jpeg(number: int, size: int) -> bytes:
    """A JPEG of `size` x `size` pixels; no two numbers have the same bytes."""
    start, rest = _jpeg_parts(number % NUM_PICTURES, size)
    comment = b"cover %d" % number
    return b"".join((start, b"\xff\xfe", (len(comment) + 2).to_bytes(2), comment, rest))


def cover_png(number: int, size: int) -> bytes:
    """A PNG of `size` x `size` pixels; no two numbers have the same bytes."""
    start, rest = _png_parts(number % NUM_PICTURES, size)
    return start + _chunk(b"tEXt", b"Comment\0cover %d" % number) + rest


@functools.cache
def bomb(format: str) -> bytes:
    """A file of a few hundred bytes, "JPEG" or "PNG", that claims 30,000 x 30,000 pixels."""
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, format)
    data = bytearray(stream.getvalue())
    if format == "PNG":
        data[8:33] = _chunk(b"IHDR", struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0))
    else:
        frame = data.index(b"\xff\xc0") + 5
        data[frame : frame + 4] = struct.pack(">HH", 30_000, 30_000)
    return bytes(data)


# ------------------------------------------------------------------------------------------- faults

KINDS = {
    "musicbrainz": "json",
    "spotify": "json",
    "spotify_token": "json",
    "coverart": "link",  # answers with the address of a picture
    "archive": "picture",
    "spotify_images": "picture",
}
# What each fault can befall.
FAULTS: dict[str, frozenset[str]] = {
    name: frozenset(kinds.split())
    for name, kinds in {
        "http_429": "json link picture",  # Retry-After in seconds
        "http_429_date": "json link picture",  # Retry-After as a date
        "http_500": "json link picture",
        "http_503": "json link picture",
        "html": "json link picture",  # of a captive portal, with status 200
        "empty": "json link picture",  # with status 200
        "reset": "json picture",  # of the connection, amid the body
        "short_body": "json picture",  # ends before its Content-Length
        "stall": "json picture",  # of `stall_seconds`, amid the body
        "huge": "json picture",  # a body of gigabytes, announced or not
        "redirect_loop": "link picture",
        "private_redirect": "link picture",  # to an address of somebody's own network
        "png_as_jpg": "picture",
        "bomb": "picture",  # a small file that claims 30,000 x 30,000 pixels
        "truncated_jpeg": "picture",  # with a Content-Length that agrees
        "malformed_json": "json",
        "duplicate_ids": "json",  # an item twice in a page
        "evil_id": "json",  # one more item, whose id holds ../
        "missing_fields": "json",  # some items lack one of their fields
        "null_fields": "json",  # one of some items' fields is null
    }.items()
}
# These answers look whole and are not what there was: no one can notice, so something is lost.
LOSSY = frozenset({"missing_fields", "null_fields", "png_as_jpg"})
# Whoever notices these and asks again, up to three times in all, ends with all that there was.
RECOVERABLE = frozenset(FAULTS) - LOSSY
# Those of the recoverable ones after which it is wise not to ask again in the same run.
HOSTILE = frozenset({"bomb", "huge", "redirect_loop", "private_redirect"})

MAX_IN_A_ROW = 2


class FaultPlan:
    """Decides which answers go wrong; from seed, URL and how often that was asked for alone."""

    def __init__(
        self,
        faults: Mapping[str, float] | Collection[str],
        rate: float,
        seed: int,
        persistent: bool,
        services: Collection[str],
    ):
        if unknown := sorted({*faults} - {*FAULTS}):
            raise ValueError(f"no such faults: {', '.join(unknown)}; there are {', '.join(FAULTS)}")
        self._chances = {}
        for service in services:
            names = sorted(name for name in faults if KINDS[service] in FAULTS[name])
            shares = dict.fromkeys(names, rate / max(1, len(names)))
            each = faults if isinstance(faults, Mapping) else shares
            self._chances[service] = [(name, each[name]) for name in names]
        self._seed, self._persistent = seed, persistent
        self._history: dict[tuple[str, str], tuple[int, int]] = {}

    def choose(self, service: str, url: str) -> str | None:
        """The fault, if any, of the next answer to a URL."""
        chances = self._chances.get(service)
        if not chances:
            return None
        asked, in_a_row = self._history.get((service, url), (0, 0))
        fault = None
        if self._persistent or in_a_row < MAX_IN_A_ROW:
            # Persistently, every request for a URL is its first.
            time = 0 if self._persistent else asked
            roll = _hash("fault", self._seed, service, url, time) / 2**64
            for name, chance in chances:
                roll -= chance
                if roll < 0:
                    fault = name
                    break
        if not self._persistent:
            self._history[service, url] = asked + 1, in_a_row + 1 if fault else 0
        return fault


# ----------------------------------------------------------------------------------------- services


@dataclasses.dataclass(slots=True)
class Record:
    """A request, from its arrival on; `status` is None while it is being answered."""

    monotonic: float
    wall: float
    service: str
    method: str
    path_qs: str
    status: int | None = None
    fault: str | None = None


@dataclasses.dataclass
class Answer:
    """What a service says when nothing goes wrong: JSON if the body is a dict."""

    status: int
    body: bytes | dict[str, Any]
    headers: dict[str, str] = dataclasses.field(default_factory=dict)
    content_type: str = "application/json"
    number: int = 0  # of the album, if the body is its cover
    size: int = 0

    def encoded(self) -> bytes:
        """The body as it is sent."""
        if isinstance(self.body, bytes):
            return self.body
        return json.dumps(self.body, ensure_ascii=False).encode()


@dataclasses.dataclass(frozen=True)
class Options:
    """How the services behave.

    Attributes:
        faults: names, among which `fault_rate` is shared, or each name's own probability.
        fault_rate: probability that an answer is faulty, if any of `faults` can befall it.
        fault_seed: another seed, other faults.
        fault_services: the services that have faults.
        persistent: whether a URL that is faulty once is so forever, and in the same way; otherwise
            at most two answers in a row are.
        stall_seconds: how long a stalled body takes a rest.
        retry_after: seconds that an `http_429` or `http_429_date` asks for.
        musicbrainz_rate: requests a second above which MusicBrainz answers 503; None: never.
        partial_tags: whether tag:"metal" finds "thrash metal", too.
        new_app: whether Spotify treats the app as a new one: pages of 10, no related artists.
        artist_genres: whether Spotify's artists have `genres`; None: if the app is an old one.
        related_status: what a new app is told when it asks for related artists.
        premium: whether the app's owner has Spotify Premium.
        quota: requests after which Spotify's day is over; None: never.
        token_seconds: how long a token lives.
        token_requests: requests after which a token is dead, too; None: any number.
        keep_log: whether requests are recorded; tests want it, benchmarks of memory do not.
        port: the first of six in a row; 0: any free ones.
    """

    faults: Mapping[str, float] | Collection[str] = ()
    fault_rate: float = 0.1
    fault_seed: int = 0
    fault_services: Collection[str] = SERVICES
    persistent: bool = False
    stall_seconds: float = 30.0
    retry_after: int = 0
    musicbrainz_rate: float | None = None
    partial_tags: bool = False
    new_app: bool = True
    artist_genres: bool | None = None
    related_status: int = 404
    premium: bool = True
    quota: int | None = None
    token_seconds: float = 3600.0
    token_requests: int | None = None
    keep_log: bool = True
    port: int = 0


_CONTACT = re.compile(r"[^\s@]+@[^\s@]+\.\w+|https?://\S|www\.\w")
_CLAUSE = re.compile(
    r"""\s*(?P<field>\w+):
    (?: "(?P<phrase>(?:[^"\\]|\\.)*)"
      | \[(?P<first>[\d*-]+)[ ]TO[ ](?P<last>[\d*-]+)\]
      | (?P<word>(?:[^\s"\[\]():\\]|\\.)+)
    )\s*(?P<more>AND\s|$)""",
    re.VERBOSE,
)
_FRONT = re.compile(r"/release-group/([^/?]*)/front-(250|500|1200)")
_ITEM = re.compile(r"/0/items/([^/?]+)/front-(250|500|1200)\.jpg")
_IMAGE = re.compile(r"/image/([0-9a-f]{16})([0-9a-f]{24})")
_IMAGE_SIZES = {640: "ab67616d0000b273", 300: "ab67616d00001e02", 64: "ab67616d00004851"}
_SIZE_OF_IMAGE = {prefix: size for size, prefix in _IMAGE_SIZES.items()}


class Services:
    """The six services; `serve` runs them.

    Attributes:
        catalogue: what they know.
        options: how they behave.
        log: what was asked of them, as it arrived.
        client_id, client_secret: what Spotify gives tokens for.
    """

    client_id = "5ca1ab1e0ddba11c0ffee0decafbad00"
    client_secret = "0ff1ce00c0ffee00deadbeef0badcafe"

    def __init__(self, catalogue: Catalogue, options: Options):
        self.catalogue, self.options = catalogue, options
        self.log: list[Record] = []
        self.spotify_requests = 0
        self.faults = options.faults
        self._urls: dict[str, str] = {}
        self._tokens: dict[str, list[float]] = {}  # until when, and for how many requests more
        self._allowance, self._allowance_time = math.inf, 0.0
        self._issued = itertools.count()
        self._found = functools.lru_cache(64)(self._find_release_groups)  # paging asks again

    @property
    def musicbrainz_url(self) -> str:
        """Root of MusicBrainz's web service."""
        return self._urls["musicbrainz"] + "/ws/2"

    @property
    def coverart_url(self) -> str:
        """Root of the Cover Art Archive."""
        return self._urls["coverart"]

    @property
    def spotify_api_url(self) -> str:
        """Root of Spotify's Web API."""
        return self._urls["spotify"] + "/v1"

    @property
    def spotify_token_url(self) -> str:
        """Where Spotify gives tokens."""
        return self._urls["spotify_token"] + "/api/token"

    @property
    def faults(self) -> Mapping[str, float] | Collection[str]:
        """The faults, as in `Options`; setting them starts their history anew."""
        return self._faults

    @faults.setter
    def faults(self, faults: Mapping[str, float] | Collection[str]) -> None:
        options = self.options
        self._plan = FaultPlan(
            faults,
            options.fault_rate,
            options.fault_seed,
            options.persistent,
            options.fault_services,
        )
        self._faults = faults

    def expire_tokens(self) -> None:
        """Makes every token that Spotify has given a dead one."""
        for token in list(self._tokens):
            self._tokens[token] = [0.0, 0]

    def counts(self) -> collections.Counter[str]:
        """How many requests each service has had."""
        return collections.Counter(record.service for record in list(self.log))

    async def run(self, on_start: Callable[[], None]) -> None:
        """Serves until `stop` is called, from whatever thread."""
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()
        async with contextlib.AsyncExitStack() as stack:
            for i, service in enumerate(SERVICES):
                server = web.Server(functools.partial(self._handle, service), access_log=None)
                # Whoever is being answered when the tests are over is not waited for.
                runner = web.ServerRunner(server, shutdown_timeout=0.05)
                await runner.setup()
                stack.push_async_callback(runner.cleanup)
                port = self.options.port and self.options.port + i
                site = web.TCPSite(runner, "127.0.0.1", port, backlog=1024)
                await site.start()
                self._urls[service] = f"http://127.0.0.1:{runner.addresses[0][1]}"
            on_start()
            await self._stopped.wait()

    def stop(self) -> None:
        """Ends `run`."""
        self._loop.call_soon_threadsafe(self._stopped.set)

    async def _handle(self, service: str, request: web.BaseRequest) -> web.StreamResponse:
        url = request.raw_path
        record = Record(time.monotonic(), time.time(), service, request.method, url)
        if self.options.keep_log:
            self.log.append(record)
        if url.startswith("/redirect-loop/"):
            record.status, record.fault = 302, "redirect_loop"
            to = "/redirect-loop/" + ("b" if url.endswith("a") else "a")
            return web.Response(status=302, headers={"Location": to})
        answer = getattr(self, f"_{service}")(request, url)
        if asyncio.iscoroutine(answer):
            answer = await answer
        fault = self._plan.choose(service, url)
        # A refusal has no body worth spoiling, but may itself be preceded by an error.
        if fault and (answer.status < 400 or fault.startswith("http_")):
            return await self._spoil(fault, request, answer, record)
        record.status = answer.status
        return web.Response(
            status=answer.status,
            body=answer.encoded(),
            headers=answer.headers,
            content_type=answer.content_type,
        )

    async def _spoil(
        self, fault: str, request: web.BaseRequest, answer: Answer, record: Record
    ) -> web.StreamResponse:
        """Answers, but with a fault."""
        chance = _hash("spoil", self.options.fault_seed, record.path_qs)
        body = answer.encoded()
        record.fault = fault
        if fault in ("reset", "short_body", "stall", "huge"):
            record.status = answer.status
            return await self._send_badly(fault, request, answer, body, announced=chance % 2 == 0)

        status, headers, content_type = answer.status, answer.headers, answer.content_type
        match fault:
            case "http_429" | "http_429_date":
                status, body, headers = 429, b'{"error": "slow down"}', {}
                wait = str(self.options.retry_after)
                if fault == "http_429_date":
                    at = time.time() + self.options.retry_after
                    wait = email.utils.formatdate(math.ceil(at), usegmt=True)
                headers = {"Retry-After": wait}
            case "http_500" | "http_503":
                status, body, headers = int(fault[-3:]), b"out of order\n", {}
                content_type = "text/plain"
            case "html":
                status, headers, content_type = 200, {}, "text/html"
                body = b"<!DOCTYPE html><title>Sign in</title><h1>Sign in to this network</h1>"
            case "empty":
                status, headers, body = 200, {}, b""
            case "redirect_loop":
                status, headers, body = 302, {"Location": "/redirect-loop/a"}, b""
            case "private_redirect":
                to = "http://10.0.0.1/" if chance % 2 else "http://192.168.0.1/"
                status, headers, body = 302, {"Location": to}, b""
            case "png_as_jpg":
                body = cover_png(answer.number, answer.size)
            case "bomb":
                body = bomb("PNG" if chance % 2 else "JPEG")
            case "truncated_jpeg":
                body = body[: len(body) * 2 // 3]
            case "malformed_json":
                body = body[: len(body) // 2]
            case _:
                assert isinstance(answer.body, dict)
                if not self._spoil_items(fault, answer.body, chance):
                    record.fault = None  # there are no items
                body = answer.encoded()
        record.status = status
        return web.Response(status=status, body=body, headers=headers, content_type=content_type)

    @staticmethod
    def _spoil_items(fault: str, page: dict[str, Any], chance: int) -> bool:
        """Spoils the items of a page; says whether there were any."""
        if isinstance(page.get("artists"), dict):  # a search nests its page
            page = page["artists"]
        lists = [value for value in page.values() if isinstance(value, list) and value]
        items = next((items for items in lists if isinstance(items[0], dict)), None)
        if items is None:
            return False
        chosen = chance % len(items)
        if fault == "duplicate_ids":
            items.append(items[chosen])
        elif fault == "evil_id":
            items.insert(chosen, items[chosen] | {"id": "../../../evil"})
        else:
            for i, item in enumerate(items):
                if i == chosen or (chance >> i % 60) % 3 == 0:
                    field = list(item)[(chance + i) % len(item)]
                    if fault == "missing_fields":
                        del item[field]
                    else:
                        item[field] = None
        return True

    async def _send_badly(
        self, fault: str, request: web.BaseRequest, answer: Answer, body: bytes, announced: bool
    ) -> web.StreamResponse:
        """Sends a body in another way than HTTP means it."""
        response = web.StreamResponse(status=answer.status, headers=answer.headers)
        response.content_type = answer.content_type
        if fault == "huge":
            if announced:
                response.content_length = 4 << 30
            # White space may stand before JSON, and a picture's start promises more of it.
            start = b"" if isinstance(answer.body, dict) else body
            await response.prepare(request)
            await response.write(start)
            with contextlib.suppress(ConnectionError):  # of a client that has had enough
                for _ in range((4 << 30) >> 18):
                    await response.write(b" " * (1 << 18))
                    await asyncio.sleep(0.01)
            return response

        response.content_length = len(body)
        await response.prepare(request)
        await response.write(body[: len(body) // 2])
        transport = request.transport
        if fault == "stall":
            await asyncio.sleep(self.options.stall_seconds)
            await response.write(body[len(body) // 2 :])
        elif transport is not None and fault == "short_body":
            transport.close()  # after what is written is sent
        elif transport is not None:
            # Not to linger is to send RST where others send FIN.
            linger = struct.pack("ii", 1, 0)
            transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, linger
            )
            transport.abort()
        return response

    # Each service answers a request; none knows of faults.

    def _musicbrainz(self, request: web.BaseRequest, url: str) -> Answer:
        if not self._within_rate():
            error = {"error": "Your requests are exceeding the allowable rate limit."}
            return Answer(503, error, {"Retry-After": "1"})
        if not _CONTACT.search(request.headers.get("User-Agent", "")):
            error = {"error": "Your User-Agent must name the application and a contact."}
            return Answer(403, error)
        query = request.query
        try:
            limit, offset = int(query.get("limit", 25)), int(query.get("offset", 0))
        except ValueError:
            return Answer(400, {"error": "limit and offset must be integers"})
        limit, offset = min(max(limit, 1), 100), max(offset, 0)
        resource = request.path.removeprefix("/ws/2/")
        if request.method != "GET" or resource not in ("genre/all", "release-group"):
            return Answer(404, {"error": "Not Found"})
        if query.get("fmt") != "json":
            return Answer(406, {"error": "only fmt=json is spoken here"})

        if resource == "genre/all":
            names = self.catalogue.genres
            genres = [
                {"id": _mbid("genre", i), "name": names[i], "disambiguation": ""}
                for i in range(offset, min(offset + limit, len(names)))
            ]
            counts = {"genre-count": len(names), "genre-offset": offset}
            return Answer(200, counts | {"genres": genres})
        albums = self._found(query.get("query", ""))
        if albums is None:
            return Answer(400, {"error": "The query could not be parsed."})
        page = albums[offset : offset + limit].tolist()
        groups = [self._release_group(self.catalogue.album(number)) for number in page]
        created = datetime.datetime.now(datetime.UTC).isoformat()
        counts = {"created": created, "count": len(albums), "offset": offset}
        return Answer(200, counts | {"release-groups": groups})

    def _within_rate(self) -> bool:
        rate = self.options.musicbrainz_rate
        if rate is None:
            return True
        now = time.monotonic()
        # A bucket that holds a little more than a second's worth forgives the jitter of a network.
        earned = rate * (now - self._allowance_time)
        self._allowance = min(self._allowance + earned, max(1.0, rate) + 0.2)
        self._allowance_time = now
        if self._allowance < 1:
            return False
        self._allowance -= 1
        return True

    def _find_release_groups(self, query: str) -> np.ndarray | None:
        """Numbers of the albums that a query finds; None if it is not understood."""
        found, position, more = np.arange(len(self.catalogue), dtype=np.int32), 0, True
        while more:
            clause = _CLAUSE.match(query, position)
            if clause is None:
                return None
            position, more = clause.end(), bool(clause["more"])
            value = re.sub(r"\\(.)", r"\1", clause["phrase"] or clause["word"] or "").lower()
            match clause["field"]:
                case "tag":
                    tagged = self._tagged(value)
                    found = tagged[np.isin(tagged, found, assume_unique=True)]
                case "primarytype":
                    found = found if value == "album" else found[:0]
                case "firstreleasedate" if clause["first"]:
                    found = self.catalogue.released(found, clause["first"], clause["last"])
                case _:
                    return None
        return found

    def _tagged(self, tag: str) -> np.ndarray:
        if not self.options.partial_tags:
            return self.catalogue.albums_of_genre(tag)
        part = re.compile(rf"(?<!\w){re.escape(tag)}(?!\w)")
        genres = [genre for genre in self.catalogue.genres if part.search(genre)]
        found = [self.catalogue.albums_of_genre(genre) for genre in genres]
        return np.unique(np.concatenate([np.empty(0, np.int32), *found]))

    @staticmethod
    def _release_group(album: Album) -> dict[str, Any]:
        last = len(album.artists) - 1
        group = {
            "id": album.mbid,
            "title": album.title,
            "primary-type": "Album",
            "artist-credit": [
                {"name": artist.name, "artist": {"id": artist.mbid, "name": artist.name}}
                | ({"joinphrase": album.joinphrase} if i < last else {})
                for i, artist in enumerate(album.artists)
            ],
            "tags": [{"count": 1 + i, "name": genre} for i, genre in enumerate(album.genres)],
        }
        if album.release_date or album.number % 2:  # both ways to say that it is not known
            group["first-release-date"] = album.release_date or ""
        return group

    def _coverart(self, request: web.BaseRequest, url: str) -> Answer:
        match = _FRONT.fullmatch(url)
        if match is None or request.method != "GET":
            return Answer(404, b"Not Found\n", content_type="text/plain")
        mbid, size = match.groups()
        if len(mbid) != 36 or not re.fullmatch(r"[0-9a-f-]+", mbid):
            return Answer(400, b"invalid MBID specified\n", content_type="text/plain")
        number = self.catalogue.find_album(mbid)
        if number is None or not self.catalogue.has_cover[number]:
            return Answer(404, b"no cover image found\n", content_type="text/plain")
        to = f"{self._urls['archive']}/0/items/{mbid}/front-{size}.jpg"
        return Answer(307, b"See: " + to.encode(), {"Location": to}, "text/plain")

    def _archive(self, request: web.BaseRequest, url: str) -> Answer:
        match = _ITEM.fullmatch(url)
        number = match and self.catalogue.find_album(match[1])
        return self._cover(number, int(match[2]) if match else 0)

    def _spotify_images(self, request: web.BaseRequest, url: str) -> Answer:
        match = _IMAGE.fullmatch(url)
        number = match and int(match[2], 16)
        return self._cover(number, _SIZE_OF_IMAGE.get(match[1], 0) if match else 0)

    def _cover(self, number: int | None, size: int) -> Answer:
        catalogue = self.catalogue
        known = number is not None and number < len(catalogue) and catalogue.has_cover[number]
        if not known or not size:
            return Answer(404, b"Not Found\n", content_type="text/plain")
        jpeg = catalogue.cover_jpeg(number, size)
        pixels = min(size, catalogue.cover_pixels or size)
        return Answer(200, jpeg, {}, "image/jpeg", catalogue.cover_number(number), pixels)

    async def _spotify_token(self, request: web.BaseRequest, url: str) -> Answer:
        if request.method != "POST" or request.path != "/api/token":
            return Answer(404, {"error": "not_found"})
        form = parse_qs(await request.text())
        known = base64.b64encode(f"{self.client_id}:{self.client_secret}".encode()).decode()
        if request.headers.get("Authorization") != f"Basic {known}":
            return Answer(400, {"error": "invalid_client", "error_description": "Invalid client"})
        if form.get("grant_type") != ["client_credentials"]:
            return Answer(400, {"error": "unsupported_grant_type"})
        token = f"BQ{_hash('token', next(self._issued)):016x}"
        uses = self.options.token_requests
        seconds = self.options.token_seconds
        self._tokens[token] = [time.monotonic() + seconds, math.inf if uses is None else uses]
        return Answer(
            200, {"access_token": token, "token_type": "Bearer", "expires_in": int(seconds)}
        )

    def _spotify(self, request: web.BaseRequest, url: str) -> Answer:
        if refusal := self._refuse(request.headers.get("Authorization", "")):
            return refusal
        parts = request.path.split("/")[1:]
        match parts:
            case ["v1", "search"]:
                return self._search(request)
            case ["v1", "artists", artist_id, *rest]:
                artist = self.catalogue.find_artist(artist_id)
                if artist is None:
                    return _spotify_error(404, "Resource not found")
                if rest == []:
                    return Answer(200, self._spotify_artist(artist))
                if rest == ["albums"]:
                    albums = self.catalogue.albums_of_artist(artist)
                    page = self._page(request, albums, self._spotify_album)
                    return page if isinstance(page, Answer) else Answer(200, page)
                if rest == ["related-artists"]:
                    return self._related(artist)
        return _spotify_error(404, "Service not found")

    def _refuse(self, authorization: str) -> Answer | None:
        """What Spotify says instead of an answer, to whom it will not give one."""
        scheme, _, token = authorization.partition(" ")
        if scheme != "Bearer":
            return _spotify_error(401, "No token provided")
        if token not in self._tokens:
            return _spotify_error(401, "Invalid access token")
        life = self._tokens[token]
        life[1] -= 1
        if life[0] <= time.monotonic() or life[1] < 0:
            return _spotify_error(401, "The access token expired")
        if not self.options.premium:
            return _spotify_error(
                403, "Active premium subscription required for the owner of the app."
            )
        self.spotify_requests += 1
        if self.options.quota is not None and self.spotify_requests > self.options.quota:
            refusal = _spotify_error(429, "API rate limit exceeded", reason="QUOTA_EXCEEDED")
            refusal.headers = {"Retry-After": "86400"}
            return refusal
        return None

    def _page(
        self,
        request: web.BaseRequest,
        numbers: np.ndarray,
        item: Callable[[int], dict[str, Any]],
        last: int | None = None,
    ) -> dict[str, Any] | Answer:
        """A page of items, or why there is none: none reaches beyond the offset `last`."""
        new = self.options.new_app
        try:
            limit = int(request.query.get("limit", 5 if new else 20))
            offset = int(request.query.get("offset", 0))
        except ValueError:
            return _spotify_error(400, "Invalid limit")
        if not 1 <= limit <= (10 if new else 50):
            return _spotify_error(400, "Invalid limit")
        if offset < 0 or (last is not None and offset + limit > last):
            return _spotify_error(400, "Invalid offset")
        end = offset + limit
        root = f"{self._urls['spotify']}{request.path}"
        there_is_more = end < len(numbers) and (last is None or end + limit <= last)
        following = urlencode(dict(request.query) | {"limit": limit, "offset": end})
        return {
            "href": f"{root}?{request.query_string}",
            "items": [item(number) for number in numbers[offset:end].tolist()],
            "limit": limit,
            "offset": offset,
            "next": f"{root}?{following}" if there_is_more else None,
            "previous": None,
            "total": len(numbers),
        }

    def _search(self, request: web.BaseRequest) -> Answer:
        if request.query.get("type") != "artist":
            return _spotify_error(400, "only type=artist is known here")
        match = re.fullmatch(r'genre:(?:"(.*)"|(\S+))', request.query.get("q", "").strip())
        genre = re.sub(r"\\(.)", r"\1", match[1] or match[2]) if match else ""
        artists = self.catalogue.artists_of_genre(genre.lower())
        page = self._page(request, artists, self._spotify_artist, last=1000)
        return page if isinstance(page, Answer) else Answer(200, {"artists": page})

    def _related(self, artist: int) -> Answer:
        if self.options.new_app:
            return _spotify_error(self.options.related_status, "Not found.")
        genre = self.catalogue.artist(artist).genres[0]
        others = self.catalogue.artists_of_genre(genre)
        place = int(np.searchsorted(others, artist))
        related = np.roll(others, -place)[1:21].tolist()
        return Answer(200, {"artists": [self._spotify_artist(other) for other in related]})

    def _spotify_artist(self, number: int) -> dict[str, Any]:
        artist = self.catalogue.artist(number)
        about: dict[str, Any] = {"id": artist.spotify_id, "name": artist.name, "type": "artist"}
        with_genres = self.options.artist_genres
        if with_genres if with_genres is not None else not self.options.new_app:
            about["genres"] = list(artist.genres)
        return about

    def _spotify_album(self, number: int) -> dict[str, Any]:
        album = self.catalogue.album(number)
        images = [
            {
                "url": f"{self._urls['spotify_images']}/image/{prefix}{number:024x}",
                # Every tenth album's sizes are unknown, but the widest comes first all the same.
                "height": size if number % 10 else None,
                "width": size if number % 10 else None,
            }
            for size, prefix in _IMAGE_SIZES.items()
        ]
        date = album.release_date or "0000"  # Spotify's way not to know
        return {
            "id": album.spotify_id,
            "name": album.title,
            "album_type": "album",
            "release_date": date,
            "release_date_precision": ("year", "month", "day")[date.count("-")],
            "images": images if album.has_cover else [],
            "artists": [{"id": artist.spotify_id, "name": artist.name} for artist in album.artists],
        }


def _spotify_error(status: int, message: str, **more: str) -> Answer:
    return Answer(status, {"error": {"status": status, "message": message, **more}})


@contextlib.contextmanager
def serve(catalogue: Catalogue, **options: Any) -> Iterator[Services]:
    """Runs the services in a thread of their own, on free ports of 127.0.0.1.

    Args:
        catalogue: what they know.
        **options: fields of `Options`.
    """
    services = Services(catalogue, Options(**options))
    started: concurrent.futures.Future[None] = concurrent.futures.Future()

    def run() -> None:
        try:
            asyncio.run(services.run(lambda: started.set_result(None)))
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)

    thread = threading.Thread(target=run, name="cover services")
    thread.start()
    started.result()
    try:
        yield services
    finally:
        services.stop()
        thread.join()


async def _serve_until_signalled(services: Services) -> None:
    def announce() -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, services.stop)
        print(
            f"--musicbrainz_url={services.musicbrainz_url} --coverart_url={services.coverart_url}\n"
            f"--spotify_api_url={services.spotify_api_url} "
            f"--spotify_token_url={services.spotify_token_url}\n"
            f"export SPOTIPY_CLIENT_ID={services.client_id}\n"
            f"export SPOTIPY_CLIENT_SECRET={services.client_secret}",
            flush=True,
        )

    await services.run(announce)


def main() -> None:
    """Serves until Ctrl-C or SIGTERM."""
    usage = f"python {PurePath(__file__).name} [FLAGS]"
    parser = argparse.ArgumentParser(usage=usage, description=__doc__.partition("\n")[0])
    parser.add_argument("--albums", type=int, default=3000)
    parser.add_argument("--artists", type=int, default=600)
    parser.add_argument("--genres", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cover_pixels", type=int, help="the largest width of a cover")
    parser.add_argument("--old_app", dest="new_app", action="store_false", help="Spotify of old")
    parser.add_argument("--new_app", action="store_true", default=True, help="the default")
    parser.add_argument("--fault_rate", type=float, help="of answers; 0.1 if there are --faults")
    parser.add_argument(
        "--faults", help=f"all recoverable ones if there is a rate, or some of {','.join(FAULTS)}"
    )
    parser.add_argument("--stall_seconds", type=float, default=30.0)
    parser.add_argument("--musicbrainz_rate", type=float, help="requests a second above which: 503")
    parser.add_argument("--quota", type=int, help="of requests to Spotify")
    parser.add_argument("--port", type=int, default=8700, help="the first of six in a row")
    flags = vars(parser.parse_args())
    names = ("albums", "artists", "genres", "seed", "cover_pixels")
    catalogue = make_catalogue(**{name: flags.pop(name) for name in names})
    faults, rate = flags.pop("faults"), flags.pop("fault_rate")
    if faults or rate:
        flags["faults"] = faults.split(",") if faults else RECOVERABLE
        flags["fault_rate"] = 0.1 if rate is None else rate
    options = Options(keep_log=False, **flags)
    asyncio.run(_serve_until_signalled(Services(catalogue, options)))


if __name__ == "__main__":
    main()
