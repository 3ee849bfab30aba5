import json
import os
import string

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_pipeline.folder import CoverRecord, Skipped, normalize_genre, read_folder


@pytest.fixture
def collection(tmp_path):
    """A folder with the files a.jpg, b.jpg and sub/a.jpg; secret.jpg is outside it."""
    folder = tmp_path / "covers"
    (folder / "sub").mkdir(parents=True)
    for name in ("a.jpg", "b.jpg", "sub/a.jpg", "../secret.jpg"):
        (folder / name).write_bytes(b"not read here")
    return folder


def read(folder, *lines) -> list[CoverRecord | Skipped]:
    """Reads a collection with these lines: objects are written as JSON, bytes unchanged."""
    encoded = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    (folder / "metadata.jsonl").write_bytes(b"\n".join(encoded))
    return list(read_folder(folder))


def read_one(folder, **fields) -> CoverRecord:
    (record,) = read(folder, {"file_name": "a.jpg", **fields})
    assert isinstance(record, CoverRecord), record
    return record


def test_every_field_is_read(collection):
    record = read_one(
        collection,
        album_id="x1",
        genres=["Dub", "Thrash Metal"],
        release_year=1988,
        artist="The Artists",
        title="The Title",
    )
    assert record == CoverRecord(
        path=str((collection / "a.jpg").resolve()),
        file_name="a.jpg",
        line=1,
        album_id="x1",
        genres=("dub", "thrash metal"),
        release_year=1988,
        artist="The Artists",
        title="The Title",
    )


def test_absent_null_and_blank_fields_are_missing(collection):
    missing = CoverRecord(str((collection / "a.jpg").resolve()), "a.jpg", 1, "a")
    assert (missing.genres, missing.release_year, missing.artist, missing.title) == (
        (),
        None,
        None,
        None,
    )
    nothing = dict.fromkeys(["album_id", "genres", "release_year", "artist", "title"])
    assert read_one(collection) == missing
    assert read_one(collection, **nothing) == missing
    assert read_one(collection, artist=" \n", title="", genres=[], album_id=" ") == missing


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1988, 1988),
        (1988.0, 1988),
        ("1988", 1988),
        (" 1988-05 ", 1988),
        ("1988-05-01", 1988),
        ("1988-05-01T00:00:00Z", 1988),
        ("0000", None),
        ("88", None),
        ("19880501", None),
        ("about 1988", None),
        ("١٩٨٨", None),
        (1859, None),
        (1860, 1860),
        (2100, 2100),
        (2101, None),
        (-1988, None),
        (10**30, None),
        (1988.5, None),
        (float("nan"), None),
        (float("inf"), None),
        (True, None),
        ([1988], None),
    ],
)
def test_release_year(collection, value, expected):
    year = read_one(collection, release_year=value).release_year
    assert year == expected
    assert year is None or type(year) is int


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (["Thrash Metal", "thrash  metal ", "THRASH\nMETAL"], ("thrash metal",)),
        (["b", "a"], ("b", "a")),
        (["cafe\u0301", "caf\u00c9"], ("caf\u00e9",)),
        (["dub\x00\u2028techno"], ("dub techno",)),
        ("Dub", ("dub",)),
        (["dub", None, 3, ["rock"], "", " ", "\ud800"], ("dub",)),
        ({"dub": 1}, ()),
        (7, ()),
    ],
)
def test_genres(collection, value, expected):
    assert read_one(collection, genres=value).genres == expected


def test_text_is_normalized_to_one_line(collection):
    record = read_one(collection, artist=" Sigur  Ro\u0301s\n", title="a\ud800\x07b")
    assert record.artist == "Sigur R\u00f3s"
    assert record.title == "a b"
    assert read_one(collection, artist=7, title=["x"]).artist is None


def test_album_id_defaults_to_the_stem_then_to_the_file_name(collection):
    lines = [{"file_name": name} for name in ("a.jpg", "sub/a.jpg", "b.jpg")]
    lines[2]["album_id"] = 12
    assert [record.album_id for record in read(collection, *lines)] == ["a", "sub/a.jpg", "12"]


@pytest.mark.parametrize("value", [True, 1.5, ["x"], {}, " \n", "\ud800"])
def test_invalid_album_id_counts_as_missing(collection, value):
    assert read_one(collection, album_id=value).album_id == "a"


def test_first_of_duplicates_is_kept(collection):
    first, same_file, same_album = read(
        collection,
        {"file_name": "a.jpg", "album_id": "1"},
        {"file_name": "./sub/../a.jpg", "album_id": "2"},
        {"file_name": "b.jpg", "album_id": "1"},
    )
    assert isinstance(first, CoverRecord)
    assert same_file == Skipped("./sub/../a.jpg", 2, "duplicate_file")
    assert same_album == Skipped("b.jpg", 3, "duplicate_album")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"file_name": "a.jpg"', "malformed_json"),
        (b"\xff\xfe{", "malformed_json"),
        (b"[" * 100_000, "malformed_json"),
        (b'{"release_year": ' + b"9" * 5_000 + b"}", "malformed_json"),
        (b"[]", "not_an_object"),
        (b'"a.jpg"', "not_an_object"),
        (b"null", "not_an_object"),
        (b"{}", "no_file_name"),
        (b'{"file_name": null}', "no_file_name"),
        (b'{"file_name": 3}', "no_file_name"),
        (b'{"file_name": "  "}', "no_file_name"),
    ],
)
def test_unusable_lines_are_skipped_with_a_reason(collection, line, reason):
    skipped, record = read(collection, line, {"file_name": "a.jpg"})
    assert skipped == Skipped(None, 1, reason)
    assert (record.line, record.album_id) == (2, "a")


@pytest.mark.parametrize(
    ("file_name", "reason"),
    [
        ("missing.jpg", "missing"),
        ("sub", "not_a_file"),
        (".", "not_a_file"),
        ("../secret.jpg", "outside_folder"),
        ("sub/../../secret.jpg", "outside_folder"),
        ("{absolute}/covers/a.jpg", "outside_folder"),
        ("/etc/hostname", "outside_folder"),
        ("escape.jpg", "outside_folder"),
        ("away/secret.jpg", "outside_folder"),
        ("../covers-of-others/a.jpg", "outside_folder"),
        ("loop.jpg", "unreadable"),
        ("a\0.jpg", "unreadable"),
        ("\ud800.jpg", "unreadable"),
        ("x" * 5_000, "unreadable"),
        ("a.jpg/b.jpg", "unreadable"),
        ("pipe", "not_a_file"),
    ],
)
def test_unreadable_files_and_files_outside_the_folder_are_skipped(collection, file_name, reason):
    (collection.parent / "covers-of-others").mkdir()
    (collection.parent / "covers-of-others" / "a.jpg").touch()
    (collection / "escape.jpg").symlink_to("../secret.jpg")
    (collection / "away").symlink_to("..")
    (collection / "loop.jpg").symlink_to("loop.jpg")
    os.mkfifo(collection / "pipe")
    file_name = file_name.format(absolute=collection.parent)
    assert read(collection, {"file_name": file_name}) == [Skipped(file_name, 1, reason)]


def test_links_inside_and_to_the_folder_are_followed(collection):
    (collection / "link.jpg").symlink_to("sub/a.jpg")
    (collection.parent / "shortcut").symlink_to("covers")
    (record,) = read(collection.parent / "shortcut", {"file_name": "link.jpg"})
    assert record.path == str((collection / "sub" / "a.jpg").resolve())
    assert record.album_id == "link"


def test_byte_order_mark_carriage_returns_and_blank_lines_are_accepted(collection):
    records = read(
        collection, b'\xef\xbb\xbf{"file_name": "a.jpg"}\r', b"", b" \r", b'{"file_name": "b.jpg"}'
    )
    assert [(record.album_id, record.line) for record in records] == [("a", 1), ("b", 4)]


def test_missing_folder_and_metadata_errors_explain_the_format(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"No such folder: .*nowhere.*file_name") as caught:
        list(read_folder(tmp_path / "nowhere"))
    assert "\n" not in str(caught.value)
    with pytest.raises(FileNotFoundError, match=r"No metadata\.jsonl: .*file_name"):
        list(read_folder(tmp_path))


# Each example writes a new metadata.jsonl, so the fixture can be shared. Disks are slow, and so is
# Hypothesis's first use of its character tables.
relaxed = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=()))
    | st.sampled_from(["1988-05", "a.jpg", "../secret.jpg"]),
    lambda values: st.lists(values, max_size=4) | st.dictionaries(st.text(max_size=4), values),
    max_leaves=6,
)
fields = st.fixed_dictionaries(
    {"file_name": st.sampled_from(["a.jpg", "b.jpg", "sub/a.jpg"]) | json_values},
    optional=dict.fromkeys(["album_id", "genres", "release_year", "artist", "title"], json_values),
)


@settings(relaxed, max_examples=150)
@given(lines=st.lists(fields, max_size=4))
def test_any_json_gives_a_valid_record_or_a_skip_reason(collection, lines):
    results = read(collection, *lines)
    assert [result.line for result in results] == list(range(1, len(lines) + 1))
    records = [result for result in results if isinstance(result, CoverRecord)]
    for record in records:
        assert record.path.startswith(str(collection.resolve()) + os.sep)
        assert record.release_year is None or 1860 <= record.release_year <= 2100
        for text in (record.album_id, *record.genres, record.artist, record.title):
            assert text is None or (text and text == text.strip() and text.encode())
        assert all(normalize_genre(genre) == genre for genre in record.genres)
    assert len({record.album_id for record in records}) == len(records)
    assert len({record.path for record in records}) == len(records)


@settings(relaxed)
@given(line=st.binary() | st.text(string.printable).map(str.encode))
def test_arbitrary_bytes_do_not_stop_the_reader(collection, line):
    results = read(collection, line, {"file_name": "a.jpg"})
    assert results[-1].file_name == "a.jpg"


@settings(relaxed)
@given(st.text())
def test_normalize_genre_is_idempotent(name):
    once = normalize_genre(name)
    assert once is None or normalize_genre(once) == once
    assert once is None or "\n" not in once
