"""Measures the collector's speed and memory as a collection grows.

    python tests/benchmark_scrape.py            # speed with covers of 300 px, from both sources
    python tests/benchmark_scrape.py --scale    # 600,000 albums with tiny covers
    python tests/benchmark_scrape.py --catalog  # the collector's database alone, 600,000 albums

The services of `tests.cover_services` run in another process. Linux only: memory and CPU time come
from /proc.
"""

import argparse
import os
import shlex
import sqlite3
import subprocess
import sys
import tempfile
import time
import zlib
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from data_pipeline.catalog import Album, Artist, Catalog, Page, Stored  # noqa: E402

COLUMNS = "{:>10} {:>9} {:>9} {:>10} {:>10} {:>12}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", action="store_true", help="600,000 albums with tiny covers")
    parser.add_argument("--catalog", action="store_true", help="the collector's database alone")
    parser.add_argument("--albums", type=int, help="20,000, or 600,000 with --scale or --catalog")
    parser.add_argument(
        "--source",
        choices=("spotify", "musicbrainz"),
        help="default: both; musicbrainz with --scale",
    )
    parser.add_argument("--concurrency", type=int, default=32)
    args = parser.parse_args()
    albums = args.albums or (600_000 if args.scale or args.catalog else 20_000)
    if args.catalog:
        with tempfile.TemporaryDirectory() as folder:
            measure_catalog(albums, Path(folder))
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
    genres = albums // 200
    with closing(Catalog(folder, "musicbrainz")) as catalog:
        catalog.ask(f"genre {i}" for i in range(genres))
        print("{:>10} {:>24} {:>9}".format("albums", "albums a second of CPU", "MB"))
        start, noted = time.process_time(), 0
        for first in range(0, albums, 100):
            listing = catalog.next_listing(())
            page = [
                Album(
                    f"{zlib.crc32(str(i).encode()):08x}-{i:08x}",  # random order, as real ids
                    f"title {i}",
                    f"artist {i % (albums // 5)}",
                    1950 + i % 70,
                    (listing.key, f"genre {i % genres}"),
                    (f"artist-{i % (albums // 5)}",),
                )
                for i in range(first, first + 100)
            ]
            artists = [Artist(album.artists[0], album.artist) for album in page]
            catalog.store_page(listing, Page(page, artists, next=listing.next + 100), {})
            covers = catalog.waiting_covers(0, 100, False)
            for batch in (covers[:50], covers[50:]):
                catalog.tallies()
                catalog.store_covers(
                    (c, Stored(f"{c.key}.jpg", 9, 9, 9, c.key.encode())) for c in batch
                )
            if first + 100 - noted >= albums // 10:
                rate = (first + 100 - noted) / (time.process_time() - start)
                memory, _ = usage(os.getpid())
                print(f"{first + 100:>10,} {rate:>24,.0f} {memory:>9.0f}", flush=True)
                start, noted = time.process_time(), first + 100


def catalogue_genres(numbers: dict[str, int]) -> tuple[str, ...]:
    """Returns the genres of the services."""
    # Imported here, so that its libraries do not count in the memory that --catalog measures.
    from tests.cover_services import make_catalogue

    return make_catalogue(**numbers).genres


def count_stored(catalog: Path) -> int:
    """Returns the number of covers in the collector's database."""
    try:
        with closing(sqlite3.connect(f"file:{catalog}?mode=ro", uri=True)) as db:
            query = (
                "SELECT coalesce(sum(n), 0) FROM tallies WHERE job = 'covers' AND state = 'done'"
            )
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
