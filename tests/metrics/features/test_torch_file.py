"""Files are written by hand in both formats of PyTorch, which need not be installed."""

import collections
import io
import os
import pickle
import struct
import zipfile

import numpy as np
import pytest

from dac.errors import UserError
from dac.metrics.features.torch_file import read_tensors

MAGIC = 0x1950A86A20F9469CFC6C


class Named:
    """Pickles as the global `module.name`, as classes of PyTorch do."""

    def __init__(self, module, name):
        self.module, self.name = module, name


class Call:
    """Pickles as a call of a global."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments


class Stored:
    def __init__(self, key, array, kind="FloatStorage", count=None):
        self.key, self.array = key, array
        self.id = ("storage", Named("torch", kind), key, "cpu", count or array.size)


class Pickler(pickle._Pickler):
    """The pickler in Python, because that in C can't write names that do not exist."""

    def persistent_id(self, thing):
        return thing.id if isinstance(thing, Stored) else None

    def save(self, thing, save_persistent_id=True):
        if isinstance(thing, Named):
            self.write(pickle.GLOBAL + f"{thing.module}\n{thing.name}\n".encode())
        elif isinstance(thing, Call):
            self.save(thing.function)
            self.save(thing.arguments)
            self.write(pickle.REDUCE)
        else:
            super().save(thing, save_persistent_id)


def pickled(thing):
    file = io.BytesIO()
    Pickler(file, 2).dump(thing)
    return file.getvalue()


def tensor(stored, offset, shape, strides):
    rebuild = Named("torch._utils", "_rebuild_tensor_v2")
    return Call(rebuild, stored, offset, shape, strides, False, collections.OrderedDict())


def as_zip(thing, storages, compression=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr("model/data.pkl", pickled(thing))
        archive.writestr("model/byteorder", "little")
        for stored in storages:
            archive.writestr(f"model/data/{stored.key}", stored.array.tobytes())
    return file.getvalue()


def as_legacy(thing, storages):
    head = [MAGIC, 1001, {"protocol_version": 1001, "little_endian": True}, thing]
    parts = [pickled(part) for part in (*head, [stored.key for stored in storages])]
    for stored in storages:
        parts += [struct.pack("<q", stored.array.size), stored.array.tobytes()]
    return b"".join(parts)


FORMATS = pytest.mark.parametrize("write", [as_zip, as_legacy])


def read(tmp_path, content):
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    return read_tensors(path)


@FORMATS
def test_tensors_are_read_by_name(tmp_path, write):
    floats = Stored("0", np.arange(24, dtype=np.float32))
    counts = Stored("1", np.array([7], np.int64), "LongStorage")
    things = collections.OrderedDict(
        whole=tensor(floats, 0, (2, 3, 4), (12, 4, 1)),
        part=tensor(floats, 4, (2, 4), (12, 1)),
        turned=tensor(floats, 0, (4, 6), (1, 4)),
        learned=Call(
            Named("torch._utils", "_rebuild_parameter"), tensor(floats, 23, (1,), (1,)), True, {}
        ),
        count=tensor(counts, 0, (), ()),
        empty=tensor(counts, 0, (0, 3), (3, 1)),
    )
    found = read(tmp_path, write(things, [floats, counts]))
    flat = np.arange(24, dtype=np.float32)
    expected = {
        "whole": flat.reshape(2, 3, 4),
        "part": np.stack([flat[4:8], flat[16:20]]),
        "turned": flat.reshape(6, 4).T,
        "learned": flat[23:],
        "count": np.array(7),
        "empty": np.empty((0, 3), np.int64),
    }
    assert list(found) == list(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


@FORMATS
@pytest.mark.parametrize(
    "code",
    [
        Call(Named("os", "system"), "touch {trace}"),
        Call(Named("builtins", "eval"), "open('{trace}', 'w')"),
        Call(Named("torch._utils", "_rebuild_anything"), "{trace}"),
        Call(Named("torch.storage", "_load_from_bytes"), b""),
        Named("subprocess", "Popen"),
    ],
)
def test_code_is_refused_before_it_runs(tmp_path, write, code):
    trace = tmp_path / "trace"
    if isinstance(code, Call):
        code = Call(
            code.function,
            *(x.format(trace=trace) if isinstance(x, str) else x for x in code.arguments),
        )
    with pytest.raises(UserError, match=r"refused: it names \S+, which is no tensor") as error:
        read(tmp_path, write({"weight": code}, []))
    assert "\n" not in str(error.value)
    assert not trace.exists()


def test_code_in_any_part_of_a_legacy_file_is_refused(tmp_path):
    trace = tmp_path / "trace"
    code = Call(Named("os", "mkdir"), os.fspath(trace))
    good = [MAGIC, 1001, {"little_endian": True}, {}, []]
    for place in range(len(good)):
        parts = [*good[:place], code, *good[place + 1 :]]
        with pytest.raises(UserError, match=r"it names os\.mkdir"):
            read(tmp_path, b"".join(map(pickled, parts)))
        assert not trace.exists()


@FORMATS
@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [
        (0, (7,), (1,)),
        (3, (4,), (1,)),
        (0, (2, 3), (4, 1)),
        (-1, (2,), (1,)),
        (0, (3,), (-1,)),
        (0, (10**9,), (0,)),
        (0, (-2, -3), (3, 1)),
        (10**12, (1,), (1,)),
    ],
)
def test_tensors_that_reach_beyond_their_numbers_are_refused(
    tmp_path, write, offset, shape, strides
):
    stored = Stored("0", np.arange(6, dtype=np.float32))
    with pytest.raises(UserError, match="damaged or cut short"):
        read(tmp_path, write({"weight": tensor(stored, offset, shape, strides)}, [stored]))


@FORMATS
def test_files_cut_short_anywhere_are_reported(tmp_path, write):
    stored = Stored("0", np.arange(64, dtype=np.float32))
    whole = write({"weight": tensor(stored, 0, (64,), (1,))}, [stored])
    assert read(tmp_path, whole)["weight"].size == 64
    for end in range(1, len(whole) - 30, 23):
        with pytest.raises(UserError, match=r"download them again|refused") as error:
            read(tmp_path, whole[:end])
        assert "\n" not in str(error.value)


def test_what_is_no_file_of_tensors_is_refused(tmp_path):
    lying = Stored("0", np.arange(6, dtype=np.float32), count=10**15)
    for content, words in (
        (b"", "damaged"),
        (b"<html>not found</html>", "damaged"),
        (pickled(MAGIC + 1), "no file of PyTorch weights"),
        (as_legacy([1, 2], []), "it holds a list"),
        (as_legacy({"weight": "text"}, []), "a str among the tensors"),
        (as_zip({"weight": tensor(lying, 0, (6,), (1,))}, [lying]), "damaged"),
        (as_zip({}, [lying], zipfile.ZIP_DEFLATED), ""),
    ):
        if not words:
            assert read(tmp_path, content) == {}
            continue
        with pytest.raises(UserError, match=words):
            read(tmp_path, content)
    bomb = as_zip({"weight": tensor(lying, 0, (6,), (1,))}, [lying], zipfile.ZIP_DEFLATED)
    with pytest.raises(UserError, match="compressed"):
        read(tmp_path, bomb)
    with pytest.raises(UserError, match="No such file"):
        read_tensors(tmp_path / "nowhere.pth")
