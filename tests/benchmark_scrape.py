"""Measures the collector's speed and memory as a collection grows.

    python tests/benchmark_scrape.py            # speed with covers of 300 px, from both sources
    python tests/benchmark_scrape.py --scale    # 600,000 albums with tiny covers
    python tests/benchmark_scrape.py --catalog  # the collector's database alone, 600,000 albums
    python tests/benchmark_scrape.py --dump     # a dump of 600,000 albums: list, choose, write

The services of `tests.cover_services` run in another process. Linux only: memory and CPU time come
from /proc.
"""

import argparse
import json
import os
import resource
import shlex
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
import time
import zlib
from contextlib import closing
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from data_pipeline.albums import Album, List, Page, Stored  # noqa: E402
from data_pipeline.catalog import Catalog  # noqa: E402
from data_pipeline.choice import Choice, choose  # noqa: E402
from data_pipeline.doubles import mark_doubles  # noqa: E402
from data_pipeline.dump import ALBUMS_FILE, read_dump  # noqa: E402
from data_pipeline.metadata import write_metadata  # noqa: E402
from data_pipeline.progress import Progress  # noqa: E402

COLUMNS = "{:>10} {:>9} {:>9} {:>10} {:>10} {:>12}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", action="store_true", help="600,000 albums with tiny covers")
    parser.add_argument("--catalog", action="store_true", help="the collector's database alone")
    parser.add_argument("--dump", action="store_true", help="a dump of MusicBrainz")
    parser.add_argument("--albums", type=int, help="20,000, or 600,000 with another flag")
    parser.add_argument(
        "--source",
        choices=("spotify", "musicbrainz"),
        help="default: both; musicbrainz with --scale",
    )
    parser.add_argument("--concurrency", type=int, default=32)
    args = parser.parse_args()
    albums = args.albums or (600_000 if args.scale or args.catalog or args.dump else 20_000)
    for chosen, measured in ((args.catalog, measure_catalog), (args.dump, measure_dump)):
        if chosen:
            with tempfile.TemporaryDirectory() as folder:
                measured(albums, Path(folder))
            return
    sources = (
        [args.source] if args.source else ["musicbrainz"] * args.scale or ["spotify", "musicbrainz"]
    )
    for source in sources:
        with tempfile.TemporaryDirectory() as folder:
            measure(source, albums, Path(folder), args.concurrency, args.scale)


def measure(source: str, albums: int, folder: Path, concurrency: int, scale: bool) -> None:
    """Collects all covers of a source and prints a row for every 5% of them."""
    numbers = {"albums": albums, "artists": albums // 5, "genres": max(40, albums // 200)}
    flags = [f"--{name}={number}" for name, number in numbers.items()]
    services = subprocess.Popen(
        [sys.executable, "-m", "tests.cover_services", *flags, "--port=8900", "--old_app"]
        + ["--cover_pixels=32"] * scale,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    said = [services.stdout.readline() for _ in range(4)]
    urls = shlex.split(said[source == "spotify"])
    variables = dict(line.split()[1].split("=", 1) for line in said[2:])
    genres = folder / "genres.txt"
    genres.write_text("\n".join(catalogue_genres(numbers)))
    out = folder / "covers"
    start = time.monotonic()
    flags = [f"--source={source}", f"--out={out}", f"--genres={genres}", "--size=300"]
    flags += ["--contact=me@example.org", "--requests_per_second=0", *urls]
    crawl = subprocess.Popen(
        [sys.executable, "-m", "data_pipeline.scrape", f"--concurrency={concurrency}", *flags],
        cwd=ROOT,
        env=os.environ | variables,
        stderr=subprocess.DEVNULL,
    )
    print(f"{source}: {albums:,} albums")
    print(COLUMNS.format("stored", "seconds", "covers/s", "crawl MB", "crawl CPU", "services CPU"))
    last, noted = 0, 0.0
    try:
        while True:
            over = crawl.poll() is not None
            stored, seconds = count_stored(out / "covers.db"), time.monotonic() - start
            if stored - last >= albums // 20 or over:
                memory, cpu = (0.0, 0.0) if over else usage(crawl.pid)
                rate = (stored - last) / (seconds - noted)
                row = (f"{stored:,}", f"{seconds:.1f}", f"{rate:,.0f}", f"{memory:.0f}")
                shares = (f"{cpu:.1f} s", f"{usage(services.pid)[1]:.1f} s")
                print(COLUMNS.format(*row, *shares), flush=True)
                last, noted = stored, seconds
            if over:
                break
            time.sleep(0.2)
    finally:
        crawl.terminate()
        services.terminate()
        crawl.wait()
        services.wait()
    print(f"{stored / seconds:,.0f} covers a second in all", flush=True)


def measure_catalog(albums: int, folder: Path) -> None:
    """Makes the database calls of a crawl, without a network, and prints a row for every 10%."""
    genres = tuple(f"genre {i}" for i in range(albums // 200))
    choice = Choice(genres=genres)
    with closing(Catalog(folder, "musicbrainz")) as catalog:
        catalog.add_lists(List("genre", name, label=name) for name in genres)
        print("{:>10} {:>24} {:>9}".format("albums", "albums a second of CPU", "MB"))
        start, noted = time.process_time(), 0
        for first in range(0, albums, 100):
            part = catalog.next_list(genres, choice.years)
            page = [numbered_album(i, genres) for i in range(first, first + 100)]
            catalog.store_page(part, Page(page, total=100))
            if first % 200:
                catalog.finish_list(part, 100)
            if first + 100 - noted >= albums // 10:
                rate = (first + 100 - noted) / (time.process_time() - start)
                memory, _ = usage(os.getpid())
                print(f"{first + 100:>10,} {rate:>24,.0f} {memory:>9.0f}", flush=True)
                start, noted = time.process_time(), first + 100
        finish(catalog, choice)


def measure_dump(albums: int, folder: Path) -> None:
    """Writes a dump, reads it, chooses, stores invented covers and writes their lines."""
    genres = tuple(f"genre {i}" for i in range(2000))
    progress = Progress()
    write_dump(folder / ALBUMS_FILE, albums, genres)
    with closing(Catalog(folder, "musicbrainz")) as catalog:
        with Timed("reading the dump"):
            read_dump(catalog, folder, Choice(), progress)
        with Timed("choosing 100 covers of each genre"):
            choose(catalog, Choice(genres=genres, per_genre=100))
        finish(catalog, Choice(genres=genres))


def finish(catalog: Catalog, choice: Choice) -> None:
    """Chooses, stores invented covers, and writes their lines."""
    with Timed("choosing all"):
        choose(catalog, choice)
    with Timed("noting covers as stored"):
        after = 0
        while covers := catalog.covers_to_fetch(after, 256):
            catalog.store_covers(
                (c, Stored(f"{c.key}.jpg", 9, 9, 9, *2 * [sha256(c.key.encode()).digest()]))
                for c in covers
            )
            after = covers[-1].album
    with Timed("finding doubles"):
        mark_doubles(catalog)
    with Timed("writing metadata.jsonl"):
        write_metadata(catalog.folder)


class Timed:
    """Prints how long a block took, by the clock and of CPU time, and the memory after it."""

    def __init__(self, name: str):
        self._name = name

    def __enter__(self) -> None:
        self._start = time.monotonic(), time.process_time()

    def __exit__(self, *error: object) -> None:
        clock, cpu = time.monotonic() - self._start[0], time.process_time() - self._start[1]
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        memory, _ = usage(os.getpid())
        print(
            f"{self._name}: {clock:.0f} s, {cpu:.0f} s of CPU, {memory:.0f} MB, peak {peak:.0f} MB",
            flush=True,
        )


def numbered_album(number: int, genres: tuple[str, ...]) -> Album:
    return Album(
        f"{zlib.crc32(str(number).encode()):08x}-{number:08x}",  # random order, as real ids
        f"title {number}",
        f"artist {number // 5}",
        1950 + number % 70,
        (genres[number % len(genres)], genres[number // 7 % len(genres)]),
    )


def write_dump(file: Path, albums: int, genres: tuple[str, ...]) -> None:
    """Writes a dump of the real format, as large as one with so many albums."""
    text = file.with_name("release-group")
    with text.open("w") as lines:
        for i in range(albums):
            album = numbered_album(i, genres)
            key = f"{album.key[:8]}-0000-4000-8000-0000{album.key[9:]}"
            artist = {"id": key, "name": album.artist, "sort-name": album.artist}
            artist |= {"disambiguation": "", "type": "Group", "aliases": [], "genres": []}
            votes = [
                {"id": key, "name": name, "count": 1, "disambiguation": ""} for name in album.genres
            ]
            item = {
                "id": key,
                "title": album.title,
                "primary-type": "Album",
                "primary-type-id": key,
                "secondary-types": [],
                "secondary-type-ids": [],
                "first-release-date": f"{album.release_year}-05-01",
                "artist-credit": [{"name": album.artist, "joinphrase": "", "artist": artist}],
                "genres": votes,
                "tags": votes,
                "rating": {"value": None, "votes-count": 0},
                "relations": [],
                "disambiguation": "",
            }
            lines.write(json.dumps(item) + "\n")
    with tarfile.open(file, "w:xz", preset=0) as archive:
        archive.add(text, "mbdump/release-group")
    print(f"{file.name}: {text.stat().st_size / 1e6:,.0f} MB of text", flush=True)
    text.unlink()


def catalogue_genres(numbers: dict[str, int]) -> tuple[str, ...]:
    """Returns the genres of the services."""
    # Imported here, so that its libraries do not count in the memory that --catalog measures.
    from tests.cover_services import make_catalogue

    return make_catalogue(**numbers).genres


def count_stored(catalog: Path) -> int:
    """Returns the number of covers in the collector's database."""
    try:
        with closing(sqlite3.connect(f"file:{catalog}?mode=ro", uri=True)) as db:
            query = "SELECT count(*) FROM albums WHERE state = 'done'"
            return db.execute(query).fetchone()[0]
    except sqlite3.OperationalError:  # the file or its tables do not exist yet
        return 0


def usage(pid: int) -> tuple[float, float]:
    """Returns a process's resident memory in MB and its CPU time in seconds."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0, 0.0
    resident = next((line for line in status.splitlines() if line.startswith("VmRSS")), "VmRSS: 0")
    ticks = int(fields[11]) + int(fields[12])
    return int(resident.split()[1]) / 1e3, ticks / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
