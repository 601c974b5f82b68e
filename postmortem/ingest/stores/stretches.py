"""Arithmetic on many stretches of one byte buffer at once, without a Python object for each.

A buffer is an array of bytes with ``PAD`` zero bytes behind its content, so that whoever reads a number near its end
stays inside. A stretch is ``data[start:end]``.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Places = NDArray[np.int64]
Flags = NDArray[np.bool_]

PAD = 32

_PIECE = 64  # bytes of a stretch that are checked together; longer ones are cut
_POLYNOMIAL = 0x82F63B78  # of CRC-32C, bits reversed
_MOST = 1024  # bytes at the end of a stretch that its fingerprint tells apart


def padded(content: bytes) -> Bytes:
    """A buffer that holds the bytes."""
    return np.frombuffer(content + bytes(PAD), np.uint8)


def numbers(data: Bytes, dtype: str) -> NDArray[Any]:
    """The number of the given type that begins at each byte of the buffer: overlapping, and not copied."""
    width = np.dtype(dtype).itemsize
    return np.ndarray((data.size - width + 1,), dtype, data, strides=(1,))


def fingerprints(data: Bytes, start: Places, end: Places) -> NDArray[np.uint64]:
    """A 64-bit number a stretch, alike for equal bytes; others agree with a chance of one in 2**64.

    Tabulation hashing with random tables, so nobody can write names that collide on purpose.
    """
    size = np.minimum(end - start, _MOST)
    longest = int(size.max(initial=1))
    return _fold(_random_tables(1 << (longest - 1).bit_length()), data, end, size)


def crc32c(data: Bytes, start: Places, end: Places) -> NDArray[np.uint32]:
    """The CRC-32C of each stretch.

    The checksum is linear: every byte adds a number that depends on its value and its distance to the end. Pieces of
    64 bytes are summed column by column, and then moved over what follows them in steps of powers of two.
    """
    count = np.maximum(1, -(-(end - start) // _PIECE))
    first = np.cumsum(count) - count
    owner = np.repeat(np.arange(count.size), count)
    after = (first + count - 1)[owner] - np.arange(owner.size)
    piece_end = end[owner] - after * _PIECE
    size = np.minimum(piece_end - start[owner], _PIECE)
    register = _fold(_crc_tables(), data, piece_end, size)
    register[first] ^= _opening()[size[first]]
    return ~np.bitwise_xor.reduceat(_moved(register, after), first) if count.size else register


def _fold(tables: NDArray[Any], data: Bytes, end: Places, size: Places) -> NDArray[Any]:
    """XOR of ``tables[k][byte]`` over the ``size`` bytes before ``end``, where k counts back from the last."""
    order = np.argsort(size.astype(np.uint16), kind="stable")[::-1]
    last = end[order] - 1
    # Longest first: those that still have a k-th byte are always the leading ones.
    having = size.size - np.searchsorted(size[order[::-1]], np.arange(int(size.max(initial=0))), side="right")
    sums = np.zeros(size.size, tables.dtype)
    for k, rows in enumerate(having.tolist()):
        sums[:rows] ^= tables[k].take(data.take(last[:rows] - k))
    folded = np.empty_like(sums)
    folded[order] = sums
    return folded


@lru_cache(maxsize=4)
def _random_tables(size: int) -> NDArray[np.uint64]:
    return np.random.default_rng().integers(0, 1 << 64, (size, 256), np.uint64)


@lru_cache(maxsize=1)
def _crc_tables() -> NDArray[np.uint32]:
    """What a byte adds to the checksum when k bytes follow it, as ``[k, byte]``."""
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(_POLYNOMIAL), table >> 1)
    tables = [table]
    for _ in range(_PIECE - 1):
        tables.append(_next_byte(tables[-1], table))
    return np.stack(tables)


@lru_cache(maxsize=1)
def _opening() -> NDArray[np.uint32]:
    """What the all-ones register at the start of a message has become after k bytes."""
    table = _crc_tables()[0]
    registers = [np.full(1, 0xFFFFFFFF, np.uint32)]
    for _ in range(_PIECE):
        registers.append(_next_byte(registers[-1], table))
    return np.concatenate(registers)


def _next_byte(register: NDArray[np.uint32], table: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """The registers after one more byte, a zero."""
    following: NDArray[np.uint32] = table[register & 0xFF] ^ (register >> 8)
    return following


def _moved(register: NDArray[np.uint32], pieces: Places) -> NDArray[np.uint32]:
    """The registers after as many whole pieces of zeros, each its own number of them."""
    for bit in range(int(pieces.max(initial=0)).bit_length()):
        rows = np.flatnonzero((pieces >> bit) & 1)
        register[rows] = _move(register[rows], _movers(bit))
    return register


def _move(register: NDArray[np.uint32], mover: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """One step, by the four bytes of the register."""
    moved: NDArray[np.uint32] = mover[0][register & 0xFF]
    for byte in (1, 2, 3):
        moved = moved ^ mover[byte][(register >> (8 * byte)) & 0xFF]
    return moved


@lru_cache(maxsize=64)
def _movers(bit: int) -> NDArray[np.uint32]:
    """Tables that move a register over ``2**bit`` pieces of zeros."""
    if bit == 0:
        return _crc_tables()[[_PIECE - 1, _PIECE - 2, _PIECE - 3, _PIECE - 4]]
    half = _movers(bit - 1)
    return _move(half, half)
