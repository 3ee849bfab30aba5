"""How the services behave: rates, quotas, tokens, the age of Spotify's app, faults."""

import dataclasses
from collections.abc import Collection, Mapping

# In the order of their ports. The archive holds the pictures of the Cover Art Archive.
SERVICES = ("musicbrainz", "coverart", "archive", "spotify_token", "spotify", "spotify_images")


@dataclasses.dataclass(frozen=True)
class Options:
    """How the services behave.

    Attributes:
        faults: names of faults, which share `fault_rate` equally, or a probability for each name.
        fault_rate: the probability that an answer is faulty, if any of `faults` applies to it.
        fault_seed: the seed of the faults.
        fault_services: the services that have faults.
        persistent: if true, a URL that is faulty once stays faulty in the same way. If false, at
            most two answers in a row are faulty.
        stall_seconds: how long a stalled body pauses.
        retry_after: the seconds that `http_429` and `http_429_date` ask the client to wait.
        musicbrainz_rate: requests a second above which MusicBrainz answers 503; None for no limit.
        replicas: the number of search servers, up to four, each with an order of its own.
        partial_tags: whether tag:"metal" also finds "thrash metal".
        new_app: whether Spotify sees a new app, with pages of 10 and no related artists.
        artist_genres: whether Spotify's artists have `genres`; None for only with an old app.
        search_finds: how many artists Spotify's searches find at most; None for all.
        related_status: the status of a new app's request for related artists.
        premium: whether the app's owner has Spotify Premium.
        quota: the number of requests after which Spotify's quota is used up; None for no limit.
        token_seconds: the lifetime of a token.
        token_requests: the number of requests after which a token expires; None for no limit.
        keep_log: whether requests are recorded. Tests need it; benchmarks of memory do not.
        port: the first of six ports in a row; 0 for any free ports.
    """

    faults: Mapping[str, float] | Collection[str] = ()
    fault_rate: float = 0.1
    fault_seed: int = 0
    fault_services: Collection[str] = SERVICES
    persistent: bool = False
    stall_seconds: float = 30.0
    retry_after: int = 0
    musicbrainz_rate: float | None = None
    replicas: int = 3
    partial_tags: bool = False
    new_app: bool = True
    artist_genres: bool | None = None
    search_finds: int | None = None
    related_status: int = 404
    premium: bool = True
    quota: int | None = None
    token_seconds: float = 3600.0
    token_requests: int | None = None
    keep_log: bool = True
    port: int = 0
