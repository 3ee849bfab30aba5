"""Which faults there are, which answers they apply to, and the plan of when they occur."""

from collections.abc import Collection, Mapping

from tests.cover_services.ids import stable_hash

# What each service answers with. A link is a redirect to a picture.
KINDS = {
    "musicbrainz": "json",
    "spotify": "json",
    "spotify_token": "json",
    "coverart": "link",
    "archive": "picture",
    "spotify_images": "picture",
}
# The kinds of answers that each fault applies to.
FAULTS: dict[str, frozenset[str]] = {
    name: frozenset(kinds.split())
    for name, kinds in {
        "http_429": "json link picture",  # Retry-After in seconds
        "http_429_date": "json link picture",  # Retry-After as a date
        "http_500": "json link picture",
        "http_503": "json link picture",
        "html": "json link picture",  # status 200 and the page of a captive portal
        "empty": "json link picture",  # status 200 and no body
        "reset": "json picture",  # the connection is reset in the middle of the body
        "short_body": "json picture",  # the body ends before its Content-Length
        "stall": "json picture",  # the body pauses in the middle for `stall_seconds`
        "huge": "json picture",  # a body of gigabytes, with or without Content-Length
        "redirect_loop": "link picture",
        "private_redirect": "link picture",  # to an address in a private network
        "png_as_jpg": "picture",
        "bomb": "picture",  # a small file that claims 30,000 x 30,000 pixels
        "truncated_jpeg": "picture",  # with a Content-Length that agrees
        "malformed_json": "json",
        "short_count": "json",  # a search that ran out of time: fewer items, and a smaller count
        "duplicate_ids": "json",  # one item appears twice in a page
        "evil_id": "json",  # one more item, with ../ in its id
        "missing_fields": "json",  # some items lack a field
        "null_fields": "json",  # some items have null in a field
    }.items()
}
# These answers look valid but are wrong. No client can notice, so some data is lost.
LOSSY = frozenset({"missing_fields", "null_fields", "png_as_jpg"})
# A client that notices these, and makes up to three attempts, ends with all the data.
RECOVERABLE = frozenset(FAULTS) - LOSSY
# The recoverable faults after which it is wise not to retry in the same run.
HOSTILE = frozenset({"bomb", "huge", "redirect_loop", "private_redirect"})

MAX_IN_A_ROW = 2


class FaultPlan:
    """Decides which answers are faulty.

    The decision depends only on the seed, the URL and how often that URL was requested before, so
    it does not depend on the order of requests. The arguments are fields of `Options`.
    """

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
        # For each service and URL: the number of requests, and of faults in a row until now.
        self._history: dict[tuple[str, str], tuple[int, int]] = {}

    def choose(self, service: str, url: str) -> str | None:
        """Returns the fault of the next answer to a URL, or None."""
        chances = self._chances.get(service)
        if not chances:
            return None
        if self._persistent:
            return self._draw(chances, service, url, 0)
        asked, in_a_row = self._history.get((service, url), (0, 0))
        fault = self._draw(chances, service, url, asked) if in_a_row < MAX_IN_A_ROW else None
        self._history[service, url] = asked + 1, in_a_row + 1 if fault else 0
        return fault

    def _draw(
        self, chances: list[tuple[str, float]], service: str, url: str, asked: int
    ) -> str | None:
        roll = stable_hash("fault", self._seed, service, url, asked) / 2**64
        for name, chance in chances:
            roll -= chance
            if roll < 0:
                return name
        return None
