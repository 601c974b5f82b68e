"""The wire format of protocol buffers, read as columns: one table of the fields of many messages at once.

A message is a sequence of fields; a field is a key (its number and wire type) and a value, see
https://protobuf.dev/programming-guides/encoding/. All messages advance by one field in a turn, so a million messages
of three fields cost three turns of array arithmetic. Nothing needs to be known of a field to step over it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from postmortem.ingest.stores.stretches import PAD, Bytes, Flags, Places, padded

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

_WIDTH = np.array([0, 8, -1, -1, -1, 4, -1, -1])  # bytes of a value by wire type; -1: counted, or not in use
_MAX_FIELDS = 1 << 14  # of one message


class Fields(NamedTuple):
    """Fields of many messages; those of one message are in order, of several are mixed.

    Attributes:
        owner: Index of the message a field belongs to.
        key: Number and wire type, as ``number << 3 | wire``.
        at: Place of the value's first byte (of no use for a varint).
        value: The number itself for a varint, the length in bytes for everything else.
    """

    owner: Places
    key: Places
    at: Places
    value: Places

    def of(self, number: int, wire: int) -> Fields:
        """The fields with this number and wire type."""
        (rows,) = (self.key == (number << 3 | wire)).nonzero()
        return Fields(self.owner[rows], self.key[rows], self.at[rows], self.value[rows])

    def last(self, count: int) -> Fields:
        """One row for each of ``count`` messages: its last field, or zeros, which is what an absent field means."""
        at, value, key = np.zeros(count, np.int64), np.zeros(count, np.int64), np.zeros(count, np.int64)
        at[self.owner], value[self.owner], key[self.owner] = self.at, self.value, self.key
        return Fields(np.arange(count), key, at, value)

    @property
    def end(self) -> Places:
        """Place after the last byte of each value."""
        return self.at + self.value


def read_fields(data: Bytes, start: Places, end: Places) -> tuple[Fields, Flags]:
    """Reads the fields of the messages ``data[start:end]``, and says which messages are malformed.

    A malformed message gives the fields before the fault. ``data`` has padding behind its content.
    """
    broken = np.zeros(start.size, np.bool_)
    owner = np.flatnonzero(start < end)
    at, stop = start[owner], end[owner]
    turns = []
    for _ in range(_MAX_FIELDS):
        if not owner.size:
            break
        key, at = read_varints(data, at)
        value, width, at = _values(data, key, at)
        sound = (width >= 0) & (width <= stop - at) & (key > 7)
        if not sound.all():
            broken[owner[~sound]] = True
            owner, key, at, value, width, stop = (column[sound] for column in (owner, key, at, value, width, stop))
        turns.append(Fields(owner, key, at, value))
        at = at + width
        more = at < stop
        if not more.all():
            owner, at, stop = owner[more], at[more], stop[more]
    broken[owner] = True  # more fields than anyone writes
    return _joined(turns), broken


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field of one message, in order: a signed integer for a varint, bytes for all else.

    Raises:
        ValueError: The message breaks off, or is none.
    """
    found, broken = read_fields(padded(message), np.zeros(1, np.int64), np.array([len(message)]))
    if broken[0]:
        raise ValueError("not a message, or cut short")
    for key, at, value in zip(found.key.tolist(), found.at.tolist(), found.value.tolist(), strict=True):
        width = int(_WIDTH[key & 7])
        end = at + (width if width > 0 else value)
        yield key >> 3, value if key & 7 == VARINT else message[at:end]


def inside(message: bytes, number: int) -> Iterator[bytes]:
    """The texts and messages that stand in one field of a message, in order.

    Raises:
        ValueError: The message breaks off, or is none.
    """
    return (value for found, value in fields(message) if found == number and isinstance(value, bytes))


def _values(data: Bytes, key: Places, at: Places) -> tuple[Places, Places, Places]:
    """The value of a field, the bytes from its place to the next field, and its place."""
    wire = key & 7
    value = _WIDTH[wire]
    (rows,) = ((wire == BYTES) | (wire == VARINT)).nonzero()
    value[rows], at[rows] = read_varints(data, at[rows])
    return value, np.where(wire == VARINT, 0, value), at


def read_varints(data: Bytes, at: Places) -> tuple[Places, Places]:
    """The varint at each place as a signed number, and the place after it; one that does not end reaches far away."""
    byte = data[at]
    value = (byte & 127).astype(np.int64)
    after = at + 1
    (rows,) = (byte > 127).nonzero()
    for shift in range(7, 70, 7):
        if not rows.size:
            break
        byte = data[after[rows]]
        value[rows] |= (byte & 127).astype(np.int64) << shift
        after[rows] += 1
        rows = rows[byte > 127]
    after[rows] = data.size - PAD + 1  # past every message, and still inside the buffer
    return value, after


def _joined(turns: list[Fields]) -> Fields:
    if not turns:
        none = np.empty(0, np.int64)
        return Fields(none, none, none, none)
    return Fields(*(np.concatenate(columns) for columns in zip(*turns, strict=True)))
