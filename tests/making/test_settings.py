"""Tests of the settings that a PNG carries; what comes from outside is hostile."""

import io
import json
import re
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms, PngImagePlugin

from dac.errors import UserError
from dac.making.save import save_cover
from dac.making.settings import (
    KEY,
    MAX_SEED,
    Record,
    Settings,
    more_seeds,
    parse_seeds,
    parse_year,
    read_record,
)

weights = st.floats(1e-3, 10)
names = st.text(max_size=30)
settings = st.builds(
    Settings,
    seed=st.integers(0, MAX_SEED),
    genre=st.none() | st.dictionaries(names, weights, min_size=1, max_size=3),
    year=st.none() | st.integers(1860, 2100),
    artist=st.none() | names,
    title=st.none() | names,
    toward=st.lists(st.tuples(st.integers(0, MAX_SEED), st.floats(0, 1)), max_size=3).map(tuple),
    truncation=st.floats(0, 1),
    size=st.none() | st.integers(1, 6000),
    bleed=st.floats(0, 20),
    finish=st.none() | st.sampled_from(["riso", "none"]),
    typeset=st.booleans(),
    ink=st.none() | st.just("#ffe9c4"),
)


@given(st.lists(settings, min_size=1, max_size=5), st.data())
def test_a_record_is_read_back_as_it_was_written(covers, data):
    columns = data.draw(st.integers(1, len(covers)))
    rows = -(-len(covers) // columns)
    labels = data.draw(st.none() | st.lists(names, min_size=rows, max_size=rows).map(tuple))
    record = Record("0123456789abcdef", tuple(covers), columns, labels)
    assert Record.from_json(record.to_json()) == record
    alone = Record("0123456789abcdef", tuple(covers[:1]))
    assert Record.from_json(alone.to_json()) == alone


def test_a_record_says_once_what_all_covers_share():
    covers = [Settings(seed=i, genre={"dub": 1.0}, title="Version") for i in range(3)]
    content = json.loads(Record("m", tuple(covers), 2).to_json())
    assert content["same"] == {"genre": {"dub": 1.0}, "title": "Version"}
    assert content["covers"] == [{"seed": 0}, {"seed": 1}, {"seed": 2}]


def test_a_png_carries_its_record(tmp_path):
    record = Record("m", (Settings(seed=3, title='<b>"Straße"</b> 椎名林檎 🦆'),))
    picture = np.zeros((8, 8, 3), np.uint8)
    save_cover(picture, tmp_path / "a.png", record)
    save_cover(picture, tmp_path / "b.png", record)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert read_record(tmp_path / "a.png") == record
    with Image.open(tmp_path / "a.png") as saved:
        assert saved.info["dpi"] == pytest.approx((300, 300), abs=0.01)
        profile = ImageCms.ImageCmsProfile(io.BytesIO(saved.info["icc_profile"]))
        assert "sRGB" in ImageCms.getProfileDescription(profile)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": -1}, "seed must be a whole number from 0"),
        ({"seed": True}, "seed"),
        ({"seed": 1.5}, "seed"),
        ({"seed": "1"}, "seed"),
        ({"year": 1859}, "year must be a whole number from 1860 to 2100"),
        ({"truncation": float("nan")}, "truncation must be a number from 0 to 1"),
        ({"truncation": 1.01}, "truncation"),
        ({"toward": 7}, "toward must be at most 64 pairs"),
        ({"toward": [[1, 0.5, 2]]}, "toward"),
        ({"toward": [[1, 0.5]] * 65}, "toward"),
        ({"toward": [["1", 0.5]]}, "seed must be a whole number"),
        ({"toward": [[1, 1.5]]}, "share of a turn must be a number from 0 to 1"),
        ({"size": 6001}, "size"),
        ({"bleed": 21}, "bleed"),
        ({"artist": ["a"]}, "artist must be a text of at most 1000 characters"),
        ({"title": "x" * 1001}, "title"),
        ({"finish": 3}, "finish"),
        ({"typeset": 1}, "typeset must be true or false"),
        ({"genre": {}}, "1 to 32 genres"),
        ({"genre": ["dub"]}, "1 to 32 genres"),
        ({"genre": {"dub": 0}}, "weight of 'dub' must be a number above 0"),
        ({"genre": {"dub": "much"}}, "weight of 'dub'"),
        ({"genre": {str(i): 1 for i in range(33)}}, "1 to 32 genres"),
    ],
)
def test_settings_out_of_range_are_refused_in_one_line(changes, message):
    with pytest.raises(UserError, match=re.escape(message)) as error:
        Settings(**changes)
    assert "\n" not in str(error.value)
    text = json.dumps({"format": 1, "model": "m", "same": {}, "covers": [changes]})
    with pytest.raises(UserError):
        Record.from_json(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        "[" * 100_000,
        '{"format":2,"model":"m","same":{},"covers":[{}]}',
        '{"format":1,"model":3,"same":{},"covers":[{}]}',
        '{"format":1,"model":"m","same":{},"covers":[]}',
        '{"format":1,"model":"m","same":{},"covers":{"a":1}}',
        '{"format":1,"model":"m","same":{},"covers":[{},{}]}',
        '{"format":1,"model":"m","same":{},"covers":[{}],"columns":0}',
        '{"format":1,"model":"m","same":{},"covers":[{}],"columns":2}',
        '{"format":1,"model":"m","same":{},"covers":[{}],"columns":1,"labels":["a","b"]}',
        '{"format":1,"model":"m","same":{},"covers":[{}],"columns":1,"labels":[3]}',
        '{"format":1,"model":"m","same":{"command":"rm"},"covers":[{}]}',
        '{"format":1,"model":"m","same":[],"covers":[{}]}',
    ],
)
def test_a_damaged_record_is_refused(text):
    with pytest.raises(UserError, match="settings are damaged"):
        Record.from_json(text)


def png_with(path, key, text):
    info = PngImagePlugin.PngInfo()
    info.add_itxt(key, text, zip=True)
    Image.new("RGB", (2, 2)).save(path, pnginfo=info)


def test_pictures_of_others_are_refused_in_one_line(tmp_path):
    path = tmp_path / "cover.png"
    with pytest.raises(UserError, match="there is no file"):
        read_record(path)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 50)
    with pytest.raises(UserError, match="no PNG that can be read"):
        read_record(path)
    Image.new("RGB", (2, 2)).save(tmp_path / "cover.jpg")
    with pytest.raises(UserError, match="no PNG that can be read"):
        read_record(tmp_path / "cover.jpg")
    Image.new("RGB", (2, 2)).save(path)
    with pytest.raises(UserError, match="carries no settings"):
        read_record(path)
    png_with(path, KEY, "not JSON")
    with pytest.raises(UserError, match=r"cover\.png: its settings are damaged"):
        read_record(path)
    png_with(path, KEY, "x" * 2**21)  # a bomb: it unpacks to more than a record ever has
    with pytest.raises(UserError, match=r"no PNG that can be read|carries no settings"):
        read_record(path)
    header = struct.pack(">IIBBBBB", 2**30, 2**30, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    )
    with pytest.raises(UserError, match="no PNG that can be read"):
        read_record(path)


def test_seeds_and_years_are_read():
    assert parse_seeds("0,4-6, 9") == (0, 4, 5, 6, 9)
    assert more_seeds((3, 7), 4) == (3, 7, 8, 9)
    assert more_seeds((MAX_SEED,), 2) == (MAX_SEED, 0)
    assert parse_year(" 1988") == 1988
    for text in ("", "a", "1-", "-1", "6-4", "1,,2", "0-1000000", "4294967296", "²"):
        with pytest.raises(UserError, match="the seeds"):
            parse_seeds(text)
