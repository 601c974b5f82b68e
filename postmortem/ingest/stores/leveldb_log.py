"""The framing of LevelDB's log files, which Weights & Biases writes its records in.

Blocks of 32 KiB hold fragments: CRC-32 of type and data (u32), length (u16), type (u8: 1 whole, 2 first, 3 middle,
4 last), data. W&B puts 7 bytes of its own before the first block's fragments and leaves the checksum unmasked.
Source: https://github.com/google/leveldb/blob/main/doc/log_format.md
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import IO

MAGIC = b":W&B\xe1\xbe"
"""What a file begins with; a version byte follows."""

MAX_RECORD = 64 << 20
"""Largest record put together, in bytes."""

_BLOCK = 32768
_HEAD = struct.Struct("<IHB")
_WHOLE, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


class LogFile:
    """Reads a record file from its beginning; iterate over ``records`` once.

    Attributes:
        count: Records so far.
        damaged: Blocks whose rest was passed over because a checksum or a length in them is wrong.
        too_long: Records longer than ``MAX_RECORD``.
        unfinished: The file ends inside a record.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._parts: list[bytes] = []  # fragments of the record being put together; none outside of one
        self.count = 0
        self.damaged = 0
        self.too_long = 0
        self.unfinished = False

    def records(self) -> Iterator[bytes]:
        """The whole records in order; damage costs the rest of its block and the record it cuts."""
        start = len(MAGIC) + 1
        while block := self._stream.read(_BLOCK):
            for kind, data in self._fragments(block, start):
                record = self._joined(kind, data)
                if record is not None:
                    self.count += 1
                    yield record
            start = 0
        self.unfinished = self.unfinished or bool(self._parts)

    def _fragments(self, block: bytes, at: int) -> Iterator[tuple[int, bytes]]:
        """Type and data of the fragments of one block."""
        last = len(block) < _BLOCK
        while at + _HEAD.size <= len(block):
            crc, length, kind = _HEAD.unpack_from(block, at)
            data = block[at + _HEAD.size : at + _HEAD.size + length]
            if not kind and not length:
                return  # zeros fill the rest of the block
            if len(data) < length and last:
                self.unfinished = True
                return
            if len(data) < length or zlib.crc32(data, zlib.crc32(bytes([kind]))) != crc:
                self.damaged += 1
                self._parts = []
                return
            yield kind, data
            at += _HEAD.size + length
        self.unfinished = self.unfinished or (last and any(block[at:]))

    def _joined(self, kind: int, data: bytes) -> bytes | None:
        """The record that a fragment ends, if it ends one."""
        if kind == _WHOLE:
            self._parts = []
            return data
        if kind == _FIRST:
            self._parts = [data]
        elif self._parts:  # else the beginning was lost
            self._parts.append(data)
        if sum(map(len, self._parts)) > MAX_RECORD:
            self._parts = []
            self.too_long += 1
        if kind != _LAST or not self._parts:
            return None
        record, self._parts = b"".join(self._parts), []
        return record
