"""The wire format of protocol buffers, as far as reading needs it.

Source: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_LONGEST_VARINT = 10  # bytes


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field of a message, in order.

    Varints come as unsigned integers, all else as bytes (8 or 4 of them for fixed-width fields).

    Raises:
        ValueError: The message breaks off, or is none.
    """
    at, end = 0, len(message)
    while at < end:
        key, at = (message[at], at + 1) if message[at] < 0x80 else _varint(message, at)
        kind = key & 7
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        if kind == _BYTES:
            # Most lengths are a single byte, and most of the time goes into this loop.
            length, at = (message[at], at + 1) if at < end and message[at] < 0x80 else _varint(message, at)
        else:
            length = {_FIXED64: 8, _FIXED32: 4}.get(kind, end)
        if at + length > end:
            raise ValueError("not a message, or cut short")
        yield key >> 3, message[at : at + length]
        at += length


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place in range(_LONGEST_VARINT):
        if at >= len(message):
            break
        byte = message[at]
        value |= (byte & 0x7F) << (7 * place)
        at += 1
        if not byte & 0x80:
            return value, at
    raise ValueError("number cut short")


def signed(value: int | bytes) -> int:
    """A varint of type int32 or int64: negative numbers are written as 64-bit two's complement."""
    if isinstance(value, bytes):
        raise ValueError("not a number")
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value


def zigzag(value: int | bytes) -> int:
    """A varint of type sint64."""
    if isinstance(value, bytes):
        raise ValueError("not a number")
    return (value >> 1) ^ -(value & 1)


def double(value: int | bytes) -> float:
    """A fixed-width field of type double."""
    if isinstance(value, int) or len(value) != 8:
        raise ValueError("not a double")
    return float(struct.unpack("<d", value)[0])


def text(value: int | bytes) -> str:
    """A field of type string; what is no UTF-8 is replaced."""
    if isinstance(value, int):
        raise ValueError("not a text")
    return value.decode("utf-8", "replace")
