"""The framing of TensorFlow's record files: where records lie, and whether their bytes are the ones written.

A record is its length (u64), a checksum of those eight bytes, the payload, and a checksum of the payload, all
little-endian. The checksum is CRC-32C, rotated and shifted by a constant ("masked"), see
https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/lib/io/record_writer.h.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import IO, NamedTuple

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Places = NDArray[np.int64]
Sums = NDArray[np.uint32]

PAD = 32
"""Zero bytes behind every buffer, so that whoever reads a number near its end stays inside."""

MAX_RECORD = 64 << 20
"""Longest payload that is read; a scalar takes about fifty bytes, and longer records are passed over."""

MAX_FAULTS = 1000
"""Broken places after which the rest of a file is not searched."""

_SLICE = 32 << 20
_HEAD, _FRAME = 12, 16
_CHASE = 65536
_PIECE = 64
_POLYNOMIAL = 0x82F63B78
_LENGTH = struct.Struct("<Q")


class Records(NamedTuple):
    """Consecutive records of one buffer.

    Attributes:
        data: The buffer, with ``PAD`` zero bytes behind it.
        first: 1-based ordinal in the file of the first record.
        start, end: Where each payload lies in ``data``.
        intact: Whether each payload has the checksum it was written with.
    """

    data: Bytes
    first: int
    start: Places
    end: Places
    intact: NDArray[np.bool_]


@dataclass
class Faults:
    """What was passed over: (ordinal of the record, what is wrong with it)."""

    found: list[tuple[int, str]] = field(default_factory=list)

    def add(self, ordinal: int, text: str) -> None:
        self.found.append((ordinal, text))

    @property
    def many(self) -> bool:
        return len(self.found) >= MAX_FAULTS


def is_record(head: bytes) -> bool:
    """True when the bytes begin with a length and its checksum."""
    if len(head) < _HEAD:
        return False
    return bool(_headers(_padded(head[:_HEAD]), np.zeros(1, np.int64))[0])


def masked_crc(data: Bytes, start: Places, end: Places) -> Sums:
    """The masked CRC-32C of each stretch ``data[start:end]``; ``data`` is only read inside the stretches."""
    crc = ~_crc_registers(data, start, end)
    return ((crc >> np.uint32(15)) | (crc << np.uint32(17))) + np.uint32(0xA282EAD8)
