"""Reads the tensors of a PyTorch weights file, and nothing else of it.

Such a file holds a pickle, which could name any function to call. This reader accepts the names
that a plain dictionary of tensors needs, and refuses all others before anything is called.
"""

import collections
import io
import math
import os
import pickle
import zipfile
from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from dac.errors import UserError

# What a file of the legacy format begins with: torch/serialization.py, MAGIC_NUMBER.
_MAGIC = 0x1950A86A20F9469CFC6C
_DTYPES = {
    "DoubleStorage": np.dtype("<f8"),
    "FloatStorage": np.dtype("<f4"),
    "HalfStorage": np.dtype("<f2"),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
    "ShortStorage": np.dtype("<i2"),
    "CharStorage": np.dtype("i1"),
    "ByteStorage": np.dtype("u1"),
    "BoolStorage": np.dtype("?"),
}


class _Storage(NamedTuple):
    key: str
    dtype: np.dtype
    count: int


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _RefusedError(Exception):
    """The file holds something other than tensors."""


def read_tensors(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Returns the tensors of a file that `torch.save(module.state_dict(), path)` wrote.

    Both formats are read, the zip archives of PyTorch 1.6 and later and the one before.

    Raises:
      UserError: the file is missing, is cut short, or holds anything but tensors by name.
    """
    try:
        with open(path, "rb") as file:
            whole = file.read()
        read = _read_zip if whole[:4] == b"PK\x03\x04" else _read_legacy
        found, storages = read(whole)
        if not isinstance(found, dict):
            raise _RefusedError(f"it holds a {type(found).__name__}, not tensors by name")
        tensors = {str(name): _array(tensor, storages) for name, tensor in found.items()}
    except OSError as error:
        raise UserError(f"the weights {path} can't be read ({error.strerror or error})") from error
    except _RefusedError as error:
        raise UserError(f"the weights {path} are refused: {error}") from error
    except Exception as error:  # whatever a damaged pickle or archive leads to
        reason = " ".join(str(error).split())[:100] or type(error).__name__
        raise UserError(
            f"the weights {path} are damaged or cut short ({reason}); download them again"
        ) from error
    return tensors


class _Unpickler(pickle.Unpickler):
    """Unpickles tensors as descriptions of where their numbers are.

    Attributes:
      storages: those that tensors refer to, by key.
    """

    def __init__(self, file: BinaryIO):
        super().__init__(file)
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _describe_tensor
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return _tensor_of_parameter
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        raise _RefusedError(f"it names {module}.{name}, which is no tensor")

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _, count, *_ = pid
        if kind != "storage" or not isinstance(dtype, np.dtype):
            raise _RefusedError(f"it names a {kind!r:.40}, which is no tensor")
        return self.storages.setdefault(str(key), _Storage(str(key), dtype, int(count)))


def _describe_tensor(storage, offset, shape, strides, *_):
    return _Tensor(storage, int(offset), tuple(map(int, shape)), tuple(map(int, strides)))


def _tensor_of_parameter(tensor, *_):
    return tensor


def _read_zip(whole: bytes) -> tuple[Any, Callable[[_Storage], bytes]]:
    """Returns the unpickled object, and a function that returns the bytes of a storage."""
    archive = zipfile.ZipFile(io.BytesIO(whole))
    (pickled,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
    folder = pickled.removesuffix("data.pkl")
    order = folder + "byteorder"
    if order in archive.namelist() and archive.read(order) != b"little":
        raise _RefusedError("it is of a big-endian machine")

    def storage_bytes(storage):
        # PyTorch stores without compression, so nothing can be larger than the file.
        entry = archive.getinfo(f"{folder}data/{storage.key}")
        if entry.compress_type != zipfile.ZIP_STORED:
            raise _RefusedError("it is compressed")
        return archive.read(entry)

    return _Unpickler(io.BytesIO(archive.read(pickled))).load(), storage_bytes


def _read_legacy(whole: bytes) -> tuple[Any, Callable[[_Storage], bytes]]:
    """Does the same for the format before zip archives: five pickles, then the storages."""
    file = io.BytesIO(whole)
    if _Unpickler(file).load() != _MAGIC:
        raise _RefusedError("it is no file of PyTorch weights")
    _Unpickler(file).load()  # the protocol's version
    if not _Unpickler(file).load().get("little_endian"):
        raise _RefusedError("it is of a big-endian machine")
    unpickler = _Unpickler(file)
    found = unpickler.load()
    places = {}
    for key in _Unpickler(file).load():
        count = int.from_bytes(file.read(8), "little", signed=True)
        start = file.tell()
        places[key] = slice(start, start + count * unpickler.storages[key].dtype.itemsize)
        file.seek(places[key].stop)
    return found, lambda storage: whole[places[storage.key]]


def _array(tensor: Any, storage_bytes: Callable[[_Storage], bytes]) -> np.ndarray:
    if not isinstance(tensor, _Tensor):
        raise _RefusedError(f"it holds a {type(tensor).__name__} among the tensors")
    storage, offset, shape, strides = tensor
    flat = np.frombuffer(storage_bytes(storage), storage.dtype)
    last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    inside = min(offset, *shape, *strides, 0) >= 0 and last < len(flat) == storage.count
    if math.prod(shape) > len(flat) or not (inside or 0 in shape):
        raise ValueError("a tensor reaches beyond its numbers")
    if 0 in shape:
        return np.empty(shape, storage.dtype)
    steps = tuple(step * storage.dtype.itemsize for step in strides)
    return np.lib.stride_tricks.as_strided(flat[offset:], shape, steps, writeable=False).copy()
