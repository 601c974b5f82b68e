"""The framing of TensorFlow's record files: where records lie, and whether they hold what was written.

A record is its length (u64), a checksum of those eight bytes, the payload, and a checksum of the payload, all
little-endian. The checksum is CRC-32C, rotated and moved by a constant ("masked"):
https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/lib/io/record_writer.h
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import IO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from postmortem.ingest.stores.stretches import PAD, Bytes, Flags, Places, crc32c, numbers, padded

_MAX_RECORD = 64 << 20  # longest payload that is read; a scalar takes about fifty bytes
_MAX_BREAKS = 1000  # broken places after which the rest of a file is not searched
_SLICE = 32 << 20  # bytes read at a time
_BLOCK = 32768  # records handed over at a time: what is made of them stays in the processor's cache
_BLOCK_BYTES = 4 << 20  # and bytes: a message made of the shortest fields grows thirtyfold when decoded
_STEPS = 64  # records found one by one before the next are foretold, twice as many after each failure
_HISTORY = 512  # records by which they are foretold
_GUESSES = 4096  # records foretold at a time
_PERIODS = 64  # repetitions tried
_SPAN = 32  # records over which a repetition must hold
_WINDOW = 1 << 20  # bytes searched at a time for the next record
_HEAD = 12  # bytes of a length and its checksum
_FRAME = 16  # bytes of a record beside its payload
_LENGTH = struct.Struct("<Q")
_NONE = np.empty(0, np.int64)
_UNFINISHED = "is unfinished: the file ends inside it"


class Records(NamedTuple):
    """Whole records whose payload is the one that was written.

    Attributes:
        data: The buffer they lie in.
        ordinal: Which record of the file each is, from 1.
        start, end: Where each payload lies in ``data``.
    """

    data: Bytes
    ordinal: Places
    start: Places
    end: Places


def begins_record(head: bytes) -> bool:
    """True when the bytes begin with a length and its checksum."""
    return len(head) >= _HEAD and bool(_valid_heads(padded(head[:_HEAD]), np.zeros(1, np.int64))[0])


def masked_crc(data: Bytes, start: Places, end: Places) -> NDArray[np.uint32]:
    """The masked CRC-32C of each stretch of a buffer."""
    crc = crc32c(data, start, end)
    return np.asarray(((crc >> 15) | (crc << 17)) + np.uint32(0xA282EAD8), np.uint32)


def damaged(data: Bytes, start: Places, end: Places) -> Flags:
    """Whether each payload differs from the one its checksum was made of.

    Always asked: it costs a third on top of reading, and nothing else tells a flipped bit from a metric.
    """
    return np.asarray(masked_crc(data, start, end) != numbers(data, "<u4")[end])


def together(contents: Sequence[bytes]) -> tuple[Records, Places, Flags]:
    """The records of several files in one buffer, for files that are small and without fault.

    Returns:
        The records of all files that hold whole, undamaged records from end to end, with their ordinal in the file;
        the file of each record; and which files these are. The others are for ``RecordFile``.
    """
    size = np.array([len(content) for content in contents], np.int64)
    stop = np.cumsum(size)
    data = padded(b"".join(contents))
    chains = [_chain(data, last - own, last) for own, last in zip(size.tolist(), stop.tolist(), strict=True)]
    file = np.repeat(np.arange(size.size), [chain.size for chain in chains])
    heads = np.concatenate([_NONE, *chains])
    start = heads + _HEAD
    end = start + _lengths(data, heads)
    right = _valid_heads(data, heads) & (end + 4 <= stop[file])
    right[right] = ~damaged(data, start[right], end[right])
    reached = np.zeros(size.size, np.int64)
    reached[file] = end + 4
    sound = (reached == stop) & (size > 0) & (np.bincount(file[~right], minlength=size.size) == 0)
    count = np.bincount(file, minlength=size.size)
    ordinal = 1 + np.arange(file.size) - (np.cumsum(count) - count)[file]
    kept = sound[file]
    return Records(data, ordinal[kept], start[kept], end[kept]), file[kept], sound


class RecordFile:
    """A record file, read from its beginning in bounded memory; iterate over ``blocks`` once.

    Attributes:
        count: Records so far, those that were passed over among them.
        faults: What is wrong, and the ordinals of the records it is wrong with.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._rest: Bytes = np.empty(0, np.uint8)  # of the last slice: an unfinished record, or what may begin one
        self._lost = False  # the place of the next record is unknown
        self._breaks = 0
        self.count = 0
        self.faults: dict[str, list[int]] = {}

    def blocks(self) -> Iterator[Records]:
        """The sound records, in order; where a length is damaged, reading goes on at the next record that is found."""
        while self._breaks < _MAX_BREAKS:
            data, size = self._load()
            if size == self._rest.size:
                if size and not self._lost:
                    self._fault(_UNFINISHED)
                return
            at, more = 0, True
            while more:
                at = self._find(data, at, size)
                heads = _NONE if self._lost else _chain(data, at, min(size, at + _BLOCK_BYTES))
                if not heads.size:
                    break
                records, at, more = self._next(data, heads, size)
                yield records
            self._rest = data[at:size].copy()
        self._fault(f"comes after {_MAX_BREAKS} broken places; the rest of the file was not read")

    def _load(self) -> tuple[Bytes, int]:
        """What is left of the last slice and a new one, and the length of both."""
        kept = self._rest.size
        data = np.empty(kept + _SLICE + PAD, np.uint8)
        data[:kept] = self._rest
        size = kept + self._stream.readinto(data.data[kept : kept + _SLICE])  # type: ignore[attr-defined]
        data[size : size + PAD] = 0
        return data[: size + PAD], size

    def _find(self, data: Bytes, at: int, size: int) -> int:
        """``at``, or when lost the next place that begins a record, or the first that too little follows to say."""
        words = numbers(data, "<u4")
        while self._lost and at + _HEAD <= size:
            last = min(at + _WINDOW, size - _HEAD + 1)
            # Lengths of 4 GiB do not occur, and holes full of zeros hold no record.
            likely = at + np.flatnonzero((words[at + 4 : last + 4] == 0) & (words[at + 8 : last + 8] != 0))
            found = likely[_valid_heads(data, likely)]
            self._lost = not found.size
            at = int(found[0]) if found.size else last
        return at

    def _next(self, data: Bytes, heads: Places, size: int) -> tuple[Records, int, bool]:
        """The records with these heads, the place after them, and whether the buffer may hold more."""
        valid = _valid_heads(data, heads)
        sound = heads.size if valid.all() else int(np.argmin(valid))
        start = heads[:sound] + _HEAD
        length = _lengths(data, heads[:sound])
        whole = int(np.count_nonzero(start + length + 4 <= size))  # all, or all but the last
        records = self._checked(data, start[:whole], (start + length)[:whole])
        at = int(start[whole - 1] + length[whole - 1] + 4) if whole else int(heads[0])
        if whole < sound:
            return records, self._pass_over(data, at, size) if length[-1] > _MAX_RECORD else at, False
        if sound < heads.size:
            self._fault("has a damaged length; what follows was searched for the next record")
            self._lost = True
            self._breaks += 1
            return records, at + 1, self._breaks < _MAX_BREAKS
        return records, at, True

    def _checked(self, data: Bytes, start: Places, end: Places) -> Records:
        """Counts records, and keeps those whose payload has its checksum."""
        intact = ~damaged(data, start, end)
        ordinal = self.count + 1 + np.arange(start.size)
        self.count += start.size
        if not intact.all():
            wrong = "does not have the checksum it was written with, and was passed over"
            self.faults.setdefault(wrong, []).extend(ordinal[~intact].tolist())
        return Records(data, ordinal[intact], start[intact], end[intact])

    def _pass_over(self, data: Bytes, at: int, size: int) -> int:
        """Skips the rest of a record too long to be held; gives the end of the buffer."""
        ahead = _after(data, at) - size
        while ahead > 0 and (got := len(self._stream.read(min(ahead, _SLICE)))):
            ahead -= got
        self._fault(f"is longer than {_MAX_RECORD >> 20} MiB, and was passed over" if not ahead else _UNFINISHED)
        return size

    def _fault(self, text: str) -> None:
        """Counts a record that is not read."""
        self.count += 1
        self.faults.setdefault(text, []).append(self.count)


def _lengths(data: Bytes, heads: Places) -> Places:
    """The lengths of payloads, as far as they can be held."""
    return np.asarray(np.minimum(numbers(data, "<u8")[heads], _MAX_RECORD + 1), np.int64)


def _chain(data: Bytes, at: int, size: int) -> Places:
    """Places of heads that follow one another, about a block; the last may be broken or open an unfinished record."""
    steps = _STEPS
    heads = _walked(data, at, size, steps)
    while 0 < heads.size < _BLOCK and (at := _after(data, int(heads[-1]))) + _HEAD <= size:
        more = _foretold(data, heads, size)
        steps = _STEPS if more.size else min(2 * steps, _HISTORY)
        heads = np.concatenate([heads, more if more.size else _walked(data, at, size, steps)])
    return heads


def _after(data: Bytes, head: int) -> int:
    """The place behind a record."""
    return int(head + _LENGTH.unpack_from(data.data, head)[0] + _FRAME)


def _walked(data: Bytes, at: int, size: int, steps: int) -> Places:
    """So many heads, one by one."""
    heads: list[int] = []
    content, length, last = data.data, _LENGTH.unpack_from, size - _HEAD
    for _ in range(steps):
        if at > last:
            break
        heads.append(at)
        at += length(content, at)[0] + _FRAME
    return np.array(heads, np.int64)


def _foretold(data: Bytes, heads: Places, size: int) -> Places:
    """The heads that follow if the lengths go on repeating as they did, up to where they do not.

    A program logs the same tags in the same order, so the lengths of its records repeat.
    """
    steps = np.diff(heads[-_HISTORY:])
    period = _period(steps)
    if not period:
        return heads[:0]
    guess = np.cumsum(steps[-period:][np.arange(_GUESSES) % period]) + heads[-1]
    path = np.concatenate([heads[-1:], guess[guess + _HEAD <= size]])
    right = numbers(data, "<u8")[path[:-1]] == (np.diff(path) - _FRAME).astype(np.uint64)
    return path[1:] if right.all() else path[1 : 1 + int(np.argmin(right))]


def _period(steps: Places) -> int:
    """After how many steps the last ones came before, or 0."""
    if not steps.size:
        return 0
    for at in np.flatnonzero(steps[:-1] == steps[-1])[: -_PERIODS - 1 : -1].tolist():
        period = steps.size - 1 - at
        span = max(period, _SPAN)
        if span + period <= steps.size and np.array_equal(steps[-span:], steps[-span - period : -period]):
            return int(period)
    return 0


def _valid_heads(data: Bytes, at: Places) -> Flags:
    """Whether a length and its checksum begin at each place."""
    return np.asarray(masked_crc(data, at, at + 8) == numbers(data, "<u4")[at + 8])
