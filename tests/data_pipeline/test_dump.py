"""Tests of MusicBrainz's dumps; small ones of the real format are written from the catalogue.

The JSON dump: admin/DumpJSON and lib/MusicBrainz/Script/MBDump.pm of musicbrainz-server. Tables:
admin/sql/CreateTables.sql and admin/sql/caa/CreateTables.sql, in PostgreSQL's COPY format.
"""

import io
import json
import lzma
import tarfile
from contextlib import closing

import pytest

from data_pipeline.catalog import Catalog
from data_pipeline.choice import Choice
from data_pipeline.dump import read_dump
from data_pipeline.progress import Progress
from tests.collecting import (
    assert_collected,
    assert_one_error,
    collect,
    expected_fields,
    on_disk,
    query,
    requests_for,
    run,
)
from tests.cover_services import make_catalogue, serve
from tests.cover_services.ids import make_mbid

CATALOGUE = make_catalogue(albums=150, artists=40, genres=12, cover_pixels=32)
HEADER = ("TIMESTAMP", "COPYING", "README", "REPLICATION_SEQUENCE", "SCHEMA_SEQUENCE")


def release_group(album):
    """Returns a line of the dump: what the web service says, with all details."""
    credits = [
        {
            "name": artist.name,
            "joinphrase": album.joinphrase if artist is not album.artists[-1] else "",
            "artist": {"id": artist.mbid, "name": artist.name, "sort-name": artist.name},
        }
        for artist in album.artists
    ]
    votes = [
        {"id": make_mbid("genre", i), "name": genre, "count": 1, "disambiguation": ""}
        for i, genre in enumerate(album.genres)
    ]
    return {
        "id": album.mbid,
        "title": album.title,
        "primary-type": "Album",
        "primary-type-id": "f529b476-6e62-324f-b0aa-1f3e33d313fc",
        "secondary-types": list(album.types),
        "secondary-type-ids": [],
        "first-release-date": album.release_date or "",
        "artist-credit": credits,
        "genres": votes,
        "tags": [{"name": "seen live", "count": 3}, *votes],
        "rating": {"value": None, "votes-count": 0},
        "annotation": None,
        "aliases": [],
        "relations": [],
        "disambiguation": "",
    }


def write_archive(file, **members):
    """Writes an archive as MusicBrainz does: the parts that describe it come first."""
    with tarfile.open(file, f"w:{file.suffix[1:]}") as archive:
        for name, data in [*((name, b"1\n") for name in HEADER), *members.items()]:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def table(rows):
    return "".join("\t".join(map(str, row)) + "\n" for row in rows).encode()


@pytest.fixture
def dump(tmp_path):
    """A JSON dump of all albums, of a single and of damaged lines."""
    groups = [release_group(album) for album in CATALOGUE]
    single = release_group(CATALOGUE.album(0)) | {"primary-type": "Single", "id": "x"}
    lines = [json.dumps(group, ensure_ascii=False) for group in (single, *groups)]
    lines[10:10] = ["{broken", "[]", "null", json.dumps(groups[0] | {"id": "../../evil"})]
    folder = tmp_path / "dump"
    folder.mkdir()
    data = "\n".join(lines).encode()  # the last line has no end
    members = {"mbdump/release-group": data, "JSON_DUMPS_SCHEMA_NUMBER": b"1\n"}
    write_archive(folder / "release-group.tar.xz", **members)
    return folder


def write_index(dump, covered, albums=tuple(CATALOGUE)):
    """Writes the tables that tell which of some albums have a front cover."""
    null = r"\N"
    arts, types = [], []
    for album in albums:
        release = 1000 + album.number
        arts.append((release * 10, release, "back\\tside", 1, 1, "2020-01-01", 0, "image/jpeg"))
        types.append((release * 10, 2))
        if album.number in covered:
            arts.append((release * 10 + 1, release, "", 1, 2, "2020-01-01", 0, "image/png", null))
            types += [(release * 10 + 1, 1), (release * 10 + 1, 3)]
    write_archive(
        dump / "mbdump-cover-art-archive.tar.bz2",
        **{
            "mbdump/cover_art_archive.art_type": table([(1, "Front"), (2, "Back")]),
            "mbdump/cover_art_archive.cover_art": table(arts),
            "mbdump/cover_art_archive.cover_art_type": table(types),
            "mbdump/cover_art_archive.release_group_cover_art": b"",
        },
    )
    releases = [
        (1000 + a.number, make_mbid("release", a.number), "a\\tb", 1, 50 + a.number, 1, null)
        for a in albums
    ]
    groups = [(50 + a.number, a.mbid, a.title.replace("\\", r"\\"), 1, 1) for a in albums]
    write_archive(
        dump / "mbdump.tar.bz2",
        **{
            "mbdump/artist": b"1\tx\n",
            "mbdump/release": table(releases),
            "mbdump/release_group": table(groups),
        },
    )
    return dump


@pytest.fixture
def index(dump):
    """The dump, with the tables that tell which albums have a front cover."""
    return write_index(dump, {album.number for album in CATALOGUE if album.has_cover})


def test_albums_of_a_dump_are_collected_without_a_search(dump, tmp_path):
    out = tmp_path / "covers"
    with serve(CATALOGUE) as services:
        collect(services, out=out, musicbrainz_dump=dump, genres="dub,rock")
        assert_collected(out, CATALOGUE, expected_fields(CATALOGUE, genres=["dub", "rock"]))
        collect(services, out=out, genres="all")
        assert services.counts()["musicbrainz"] == 0
        assert_one_error(run(services, out=out, genres="dubb"), "dubb", "the nearest are dub")
        artist = CATALOGUE.album(3).artists[0]
        out = tmp_path / "of_an_artist"
        collect(services, out=out, musicbrainz_dump=dump, artists=artist.name)
        assert services.counts()["musicbrainz"] == 0
    expected = expected_fields(CATALOGUE)
    found = {album.mbid for album in CATALOGUE if artist in album.artists} & {*expected}
    assert_collected(out, CATALOGUE, {key: expected[key] for key in found})
    assert query(out, "SELECT * FROM albums WHERE key GLOB '*[./]*'") == []


def test_albums_without_a_cover_are_not_asked_for_if_there_is_an_index(index, tmp_path):
    out = tmp_path / "covers"
    with serve(CATALOGUE) as services:
        result = collect(services, out=out, musicbrainz_dump=index, genres="all")
        asked = requests_for(services)
    assert_collected(out, CATALOGUE, expected_fields(CATALOGUE))
    assert {*asked} == {album.mbid for album in CATALOGUE if album.has_cover}
    assert result.summary["failed"] == {"no_cover": int((~CATALOGUE.has_cover).sum())}


def test_artist_that_is_not_in_the_dump_read_before_is_searched_for(dump, tmp_path):
    out = tmp_path / "covers"
    expected = expected_fields(CATALOGUE, genres=["dub"])
    artist = next(a.artists[0] for a in CATALOGUE if a.has_cover and a.mbid not in expected)
    every = expected_fields(CATALOGUE)
    of_artist = {a.mbid for a in CATALOGUE if artist in a.artists} & {*every} - {*expected}
    assert of_artist
    with serve(CATALOGUE) as services:
        collect(services, out=out, musicbrainz_dump=dump, genres="dub")
        collect(services, out=out, artists=artist.name)
        assert services.counts()["musicbrainz"] > 0
    assert_collected(out, CATALOGUE, expected | {key: every[key] for key in of_artist})


def test_a_later_dump_brings_covers_and_says_nothing_of_newer_albums(dump, tmp_path):
    """At first, the index lacks half of the covers, and the tables lack some albums."""
    out = tmp_path / "covers"
    covered = {album.number for album in CATALOGUE if album.has_cover}
    with serve(CATALOGUE) as services:
        write_index(dump, {n for n in covered if n % 2}, [a for a in CATALOGUE if a.number > 20])
        collect(services, out=out, musicbrainz_dump=dump, genres="all")
        early = {key for key in on_disk(out) if CATALOGUE.find_album(key) <= 20}
        assert early == {CATALOGUE.album(n).mbid for n in covered if n <= 20}
        assert len(on_disk(out)) < len(covered)
        write_index(dump, covered)
        collect(services, out=out, musicbrainz_dump=dump)
    assert_collected(out, CATALOGUE, expected_fields(CATALOGUE))


def test_genre_that_is_not_at_the_beginning_of_a_dump_is_told_at_once(dump, tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr("data_pipeline.dump._BATCH", 20)
    monkeypatch.setattr("data_pipeline.dump._TELLING", 40)
    progress = Progress()
    monkeypatch.setattr(progress, "say", said.append)
    with closing(Catalog(tmp_path, "musicbrainz")) as catalog:
        read_dump(catalog, dump, Choice(genres=("rock", "rokc")), progress)
    early, end = said
    assert early == (
        "note: --genres: there is no 'rokc' (the nearest are rock) in the first 40 albums of the "
        "dump; reading on"
    )
    assert "lists 150 albums" in end


def test_damaged_and_missing_dumps_are_refused_in_one_line(dump, tmp_path):
    flags = {"genres": "dub", "contact": "me@example.org", "out": tmp_path / "covers"}
    whole = (dump / "release-group.tar.xz").read_bytes()
    (dump / "release-group.tar.xz").write_bytes(whole[: len(whole) // 2])
    assert_one_error(run(**flags, musicbrainz_dump=dump), "download it again")
    (dump / "release-group.tar.xz").write_bytes(b"no archive at all")
    assert_one_error(run(**flags, musicbrainz_dump=dump), "download it again")
    write_archive(dump / "release-group.tar.xz", **{"mbdump/artist": b"{}"})
    assert_one_error(run(**flags, musicbrainz_dump=dump), "mbdump/release-group")
    (dump / "mbdump-cover-art-archive.tar.bz2").write_bytes(b"")
    assert_one_error(run(**flags, musicbrainz_dump=dump), "mbdump.tar.bz2")
    (dump / "release-group.tar.xz").unlink()
    assert_one_error(run(**flags, musicbrainz_dump=dump), "release-group.tar.xz")
    assert lzma.decompress(whole)
