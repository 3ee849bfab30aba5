"""The values of the collector's flags, checked."""

import dataclasses
import difflib
import importlib.metadata
import os
import re
from collections.abc import Collection
from pathlib import Path

import dotenv
from absl import flags
from yarl import URL

from dac.errors import UserError
from data_pipeline import musicbrainz, spotify
from data_pipeline.addresses import is_loopback
from data_pipeline.choice import STUDIO, Choice
from data_pipeline.folder import clean_text, normalize_genre

FLAGS = flags.FLAGS
CONTACT_VARIABLE = "DUCK_AND_COVER_CONTACT"
CREDENTIALS = ("SPOTIPY_CLIENT_ID", "SPOTIPY_CLIENT_SECRET")
ALL = "all"  # as a value of --genres and --types
DEFAULT_RATE = 1.0

_MAX_NAME = 100  # characters
_MAX_NAMES_TOLD = 3
_CONTACT = re.compile(r"[!-~]+@[!-~]+\.[!-~]+|https?://[!-~]+")
_ALBUM_ID = re.compile(r"[0-9A-Za-z-]{1,64}")
_COUNTRY = re.compile(r"[A-Z]{2}")

# https://musicbrainz.org/doc/Release_Group/Type
TYPES = (
    STUDIO,
    *("audio drama", "audiobook", "compilation", "demo", "dj-mix", "field recording", "interview"),
    *("live", "mixtape/street", "remix", "soundtrack", "spokenword"),
)

# Requests per second allowed by known hosts.
PUBLIC_RATES = {
    "musicbrainz.org": musicbrainz.REQUESTS_PER_SECOND,
    "api.spotify.com": spotify.REQUESTS_PER_SECOND,
}


def given_choice(before: Choice) -> tuple[Choice, bool]:
    """Returns the choice before, changed by the flags that are given, and if all genres are wanted.

    The genres are not changed if all are wanted: the source knows their names.

    Raises:
      UserError: a value is invalid.
    """
    changes = {
        name: FLAGS[name].value
        for name in ("since", "until", "per_genre", "limit")
        if FLAGS[name].value is not None
    }
    for name in ("genres", "artists", "labels", "countries", "types"):
        value = FLAGS[name].value
        if value is not None and value != ALL:
            changes[name] = _names(name, value)
        elif value == ALL and name == "types":
            changes[name] = ()
        elif value == ALL and name != "genres":
            raise UserError(f"--{name}=all: there is no list of all; give names, or --genres=all")
    if FLAGS.doubles is not None:
        changes["doubles"] = FLAGS.doubles == "keep"
    choice = dataclasses.replace(before, **changes)
    if choice.since and choice.until and choice.since > choice.until:
        raise UserError(f"--since={choice.since} must not be after --until={choice.until}")
    check_names("types", choice.types, TYPES)
    for country in choice.countries:
        if not _COUNTRY.fullmatch(country):
            raise UserError(f"--countries: {country!r} is not a code of two letters, such as JM")
    others = choice.artists + choice.labels + choice.countries
    if FLAGS.source == "spotify" and (others or choice.types):
        raise UserError(
            "--artists, --labels, --countries and --types need MusicBrainz; Spotify is searched by "
            "genre only"
        )
    if FLAGS.source == "spotify" and FLAGS.genres == ALL:
        raise UserError("--genres=all needs MusicBrainz; Spotify has no list of its genres")
    return choice, FLAGS.genres == ALL


def removed_ids(given: str) -> list[str]:
    """Returns the ids of albums in a flag's value or in the file that it names.

    Raises:
      UserError: one cannot be an id.
    """
    lines = read_lines(Path(given)) if os.path.isfile(given) else given.split(",")
    keys = [key for line in lines if (key := line.strip())]
    for key in keys:
        if not _ALBUM_ID.fullmatch(key):
            raise UserError(f"--remove: {key[:50]!r} is no id; use album_id of metadata.jsonl")
    return keys


def check_names(flag: str, names: Collection[str], known: Collection[str]) -> None:
    """Raises a `UserError` that names the nearest if a name is unknown."""
    if unknown := unknown_name(flag, names, known):
        raise UserError(unknown)


def unknown_name(flag: str, names: Collection[str], known: Collection[str]) -> str | None:
    """Returns what to say of the first name that is unknown, with the nearest; None if none is."""
    for name in sorted({*names} - {*known}):
        near = difflib.get_close_matches(name, known, n=_MAX_NAMES_TOLD, cutoff=0.5)
        nearest = f"the nearest are {', '.join(near)}" if near else "none is like it"
        return f"--{flag}: there is no {name!r} ({nearest})"
    return None


def _names(flag: str, given: str) -> tuple[str, ...]:
    """Returns the normalised names in a flag's value or in the file that it names.

    Raises:
      UserError: the file is missing, is not text or has no name, or a name is too long.
    """
    file = Path(given)
    if os.path.isfile(given):  # False, not an error, if the value is too long for a path
        lines = read_lines(file)
    elif "," not in given and file.suffix == ".txt":
        raise UserError(f"--{flag}={given}: there is no such file; separate names with commas")
    else:
        lines = given.split(",")
    fold = {"genres": normalize_genre, "types": normalize_genre}.get(flag, clean_text)
    names = [name for line in lines if (name := fold(line))]
    for name in names:
        if len(name) > _MAX_NAME:
            raise UserError(
                f"--{flag}: {name[:30]!r}... is longer than {_MAX_NAME} characters; "
                "separate names with commas, or put one per line in a file"
            )
    if given.strip() and not names:
        raise UserError(f"--{flag}={given} contains no name")
    return tuple(dict.fromkeys(names))


def read_lines(file: Path) -> list[str]:
    """Returns the lines of a UTF-8 file without comments."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{file} is not UTF-8 text (byte {error.start}); save it as UTF-8"
        ) from error
    return [line for line in text.splitlines() if not line.lstrip().startswith("#")]


def service_urls() -> tuple[str, str]:
    """Returns the URLs of the source's metadata service and of its other service.

    Raises:
      UserError: a URL is invalid or not secure.
    """
    pair = (
        (FLAGS["musicbrainz_url"], FLAGS["coverart_url"])
        if FLAGS.source == "musicbrainz"
        else (FLAGS["spotify_api_url"], FLAGS["spotify_token_url"])
    )
    for flag in pair:
        try:
            url = URL(flag.value)
        except ValueError:
            url = URL()
        loopback = is_loopback(url.host or "")
        if url.host is None or not (url.scheme == "https" or (url.scheme == "http" and loopback)):
            raise UserError(
                f"--{flag.name}={flag.value} must start with https://; http:// is allowed only on "
                "localhost, so reach a mirror without https through a tunnel such as ssh -L"
            )
    return pair[0].value.rstrip("/"), pair[1].value.rstrip("/")


def request_rate(api: str) -> float:
    """Returns the rate for the metadata service in requests per second, 0 for no limit.

    Raises:
      UserError: the rate exceeds the service's limit.
    """
    host = (URL(api).host or "").rstrip(".")
    allowed = next((r for h, r in PUBLIC_RATES.items() if f".{host}".endswith(f".{h}")), None)
    if FLAGS.requests_per_second is None:
        return allowed or DEFAULT_RATE
    if allowed is not None and not 0 < FLAGS.requests_per_second <= allowed:
        raise UserError(
            f"--requests_per_second={FLAGS.requests_per_second:g} must be above 0 and at most "
            f"{allowed:g} for {host}; for a higher rate, use your own mirror"
        )
    return FLAGS.requests_per_second


def user_agent() -> str:
    """Returns the User-Agent header.

    Raises:
      UserError: the contact that MusicBrainz requires is missing or invalid.
    """
    name = f"DuckAndCover/{importlib.metadata.version('duck-and-cover')}"
    if FLAGS.contact is None and FLAGS.source == "spotify":
        return name
    if not _CONTACT.fullmatch(FLAGS.contact or ""):
        raise UserError(
            "MusicBrainz requires a contact in each request: give --contact=you@example.org (or a "
            f"URL), or set {CONTACT_VARIABLE}"
        )
    return f"{name} ( {FLAGS.contact} )"


def credentials() -> tuple[str, str]:
    """Returns the app's id and secret from the environment or the file .env.

    Raises:
      UserError: one is missing or not ASCII.
    """
    values = dotenv.dotenv_values(".env") | os.environ
    client_id, secret = (values.get(name) for name in CREDENTIALS)
    if not client_id or not secret or not f"{client_id}{secret}".isascii():
        raise UserError(
            f"set {' and '.join(CREDENTIALS)} in the environment or in a file .env; your app's "
            "page at developer.spotify.com/dashboard shows both"
        )
    return client_id, secret
