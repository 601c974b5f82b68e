"""The single numbers among ``TensorProto`` messages; what is longer, or text, is no scalar."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from postmortem.ingest.stores.stretches import Bytes, Flags, Places, numbers
from postmortem.ingest.stores.wire import BYTES, FIXED32, FIXED64, VARINT, Fields, read_fields, read_varints

_DTYPE, _SHAPE, _CONTENT = 1, 2, 4
_BFLOAT16 = 14
_DTYPES = {
    1: "<f4", 2: "<f8", 3: "<i4", 4: "<u1", 5: "<i2", 6: "<i1", 9: "<i8", 10: "<u1", _BFLOAT16: "<u2", 17: "<u2",
    19: "<f2", 22: "<u4", 23: "<u8",
}  # fmt: skip
"""Numeric types by their number in ``types.proto``, as they lie in memory."""

_FLOATS = ((5, FIXED32, "<f4"), (6, FIXED64, "<f8"))  # float_val, double_val
_INTEGERS = (7, 10, 11, 13, 16, 17)  # int_val, int64_val, bool_val, half_val, uint32_val, uint64_val


def one_number(data: Bytes, start: Places, end: Places) -> tuple[NDArray[np.float64], Flags]:
    """The number each tensor ``data[start:end]`` holds, and whether it holds exactly one.

    A number lies in ``tensor_content`` as in memory, or in the repeated field of its type, packed or not.
    """
    number, found = np.zeros(start.size), np.zeros(start.size, np.bool_)
    if not start.size:
        return number, found
    fields, broken = read_fields(data, start, end)
    dtype = fields.of(_DTYPE, VARINT).last(start.size).value
    for rows, values in (*_contents(data, fields, dtype), *_floats(data, fields), *_integers(data, fields, dtype)):
        number[rows] = values
        found[rows] = True
    return number, found & np.isin(dtype, list(_DTYPES)) & ~broken & _single(data, fields, start.size)


def _single(data: Bytes, fields: Fields, count: int) -> Flags:
    """Whether every dimension is 1; a scalar has none. A repeated value is written once, so lengths do not tell."""
    shape = fields.of(_SHAPE, BYTES)
    dims = read_fields(data, shape.at, shape.end)[0].of(2, BYTES)
    sizes = read_fields(data, dims.at, dims.end)[0].of(1, VARINT)
    ones = np.bincount(dims.owner[sizes.owner[sizes.value == 1]], minlength=shape.at.size)
    single = np.ones(count, np.bool_)
    single[shape.owner] = ones == np.bincount(dims.owner, minlength=shape.at.size)
    return single


def _contents(data: Bytes, fields: Fields, dtype: Places) -> list[tuple[Places, NDArray[Any]]]:
    content = fields.of(_CONTENT, BYTES)
    found = []
    for code, kind in _DTYPES.items():
        rows = np.flatnonzero((dtype[content.owner] == code) & (content.value == np.dtype(kind).itemsize))
        if rows.size:
            values = numbers(data, kind)[content.at[rows]]
            found.append((content.owner[rows], _widened(values) if code == _BFLOAT16 else values))
    return found


def _floats(data: Bytes, fields: Fields) -> list[tuple[Places, NDArray[Any]]]:
    found = []
    for field, wire, kind in _FLOATS:
        for values in (fields.of(field, wire), fields.of(field, BYTES)):
            rows = np.flatnonzero(values.value == np.dtype(kind).itemsize)
            found.append((values.owner[rows], numbers(data, kind)[values.at[rows]]))
    return found


def _integers(data: Bytes, fields: Fields, dtype: Places) -> list[tuple[Places, NDArray[Any]]]:
    found = []
    for field in _INTEGERS:
        plain, packed = fields.of(field, VARINT), fields.of(field, BYTES)
        values, after = read_varints(data, packed.at)
        alone = (packed.value > 0) & (after == packed.end)
        for rows, numbers_ in ((plain.owner, plain.value), (packed.owner[alone], values[alone])):
            found.append((rows, _typed(numbers_, dtype[rows])))
    return found


def _typed(values: Places, dtype: Places) -> NDArray[np.float64]:
    """Varints as numbers: half floats hold their bits, and the largest unsigned numbers use the sign."""
    bits = values.astype(np.uint16)
    typed = np.where(dtype == 23, values.view(np.uint64).astype(np.float64), values)
    typed = np.where(dtype == 19, bits.view(np.float16), typed)
    return np.where(dtype == _BFLOAT16, _widened(bits), typed)


def _widened(bits: NDArray[np.uint16]) -> NDArray[np.float32]:
    """A bfloat16 is the upper half of a float32."""
    return (bits.astype(np.uint32) << 16).view(np.float32)
