"""MusicBrainz, the Cover Art Archive and Spotify on loopback, with invented albums and faults.

The catalogue knows every right answer, so tests compare what was collected with what exists:

    with serve(make_catalogue()) as services:
        ...

`python -m tests.cover_services --help` runs the services by hand.
"""

from tests.cover_services.catalogue import Catalogue, make_catalogue
from tests.cover_services.faults import FAULTS, HOSTILE, KINDS, LOSSY, RECOVERABLE
from tests.cover_services.options import SERVICES
from tests.cover_services.server import Services, serve

__all__ = [
    "FAULTS",
    "HOSTILE",
    "KINDS",
    "LOSSY",
    "RECOVERABLE",
    "SERVICES",
    "Catalogue",
    "Services",
    "make_catalogue",
    "serve",
]
