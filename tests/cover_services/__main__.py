"""Runs the services until Ctrl-C or SIGTERM:

    python -m tests.cover_services --albums=3000 --fault_rate=0.1 --faults=http_500,reset

Prints the flags and environment variables that point the collector to the services.
"""

import argparse
import asyncio
import signal

from tests.cover_services.catalogue import make_catalogue
from tests.cover_services.faults import FAULTS, RECOVERABLE
from tests.cover_services.options import Options
from tests.cover_services.server import Services


def main() -> None:
    """Parses the flags and serves."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.cover_services",
        usage="%(prog)s [FLAGS]",
        description="MusicBrainz, the Cover Art Archive and Spotify on loopback, with invented "
        "albums and injected faults.",
    )
    parser.add_argument("--albums", type=int, default=3000)
    parser.add_argument("--artists", type=int, default=600)
    parser.add_argument("--genres", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cover_pixels", type=int, help="largest width of a cover")
    parser.add_argument(
        "--old_app", dest="new_app", action="store_false", help="Spotify as an old app sees it"
    )
    parser.add_argument("--new_app", action="store_true", default=True, help="the default")
    parser.add_argument(
        "--fault_rate", type=float, help="probability of a fault; 0.1 if there are --faults"
    )
    parser.add_argument(
        "--faults",
        help=f"some of {','.join(FAULTS)}; all recoverable ones if there is a --fault_rate",
    )
    parser.add_argument("--stall_seconds", type=float, default=30.0)
    parser.add_argument(
        "--musicbrainz_rate", type=float, help="requests a second above which MusicBrainz sends 503"
    )
    parser.add_argument("--quota", type=int, help="number of requests that Spotify answers")
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


async def _serve_until_signalled(services: Services) -> None:
    def announce() -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, services.stop)
        print(
            f"--musicbrainz_url={services.musicbrainz_url} --coverart_url={services.coverart_url}\n"
            f"--spotify_api_url={services.spotify_api_url} "
            f"--spotify_token_url={services.spotify_token_url}\n"
            f"export SPOTIPY_CLIENT_ID={services.spotify.client_id}\n"
            f"export SPOTIPY_CLIENT_SECRET={services.spotify.client_secret}",
            flush=True,
        )

    await services.run(announce)


if __name__ == "__main__":
    main()
