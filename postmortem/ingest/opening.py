"""Bytes of a file: packed or plain, bounded, and told apart from binary."""

from __future__ import annotations

import gzip
import lzma
import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from postmortem.errors import Problem

MAX_BYTES = 4 << 30
"""Most unpacked bytes read of one file; the rest is named in a problem."""

MAX_RATIO = 500
"""Most unpacked bytes for each packed byte: real logs pack 5- to 60-fold, bombs a thousandfold."""

_BLOCK = 8 << 20
_SNIFF = 65536
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class Content:
    """The unpacked bytes of a file, and what was wrong on the way."""

    data: bytes
    problems: tuple[Problem, ...] = ()


def read_content(path: Path, shown: str) -> Content:
    """Reads and unpacks one file; never raises for what the file holds.

    Args:
        path: The file.
        shown: Its name in problems.
    """
    try:
        with path.open("rb") as raw:
            unpack = _unpacker(raw.read(6))
            raw.seek(0)
            if unpack is None:
                size = os.fstat(raw.fileno()).st_size
                return _limited(raw.read(min(size, MAX_BYTES) + 1), MAX_BYTES, shown)
            return _unpacked(raw, unpack, shown)
    except OSError as error:
        return Content(b"", (Problem(f"cannot be read: {error.strerror or error}", shown),))


def is_binary(data: bytes) -> bool:
    """True when the first 64 KiB hold more control bytes than a text with a few stray ones (and are not UTF-16).

    A log that was truncated while it was written begins with a hole of NUL bytes; those say nothing.
    """
    head = data[:_SNIFF]
    if head.startswith(_UTF16) or _looks_utf16(head):
        return False
    head = data.lstrip(b"\x00")[:_SNIFF]
    # Backspace, tab, line ends, form feed, escape and shift codes occur in terminal captures.
    control = sum(head.count(byte) for byte in range(32) if byte not in (7, 8, 9, 10, 11, 12, 13, 14, 15, 27))
    return control * 50 > len(head)


def decode(data: bytes) -> str | None:
    """The text of ``data`` when it is not plain UTF-8; None when it is, so that the bytes can be used as they are."""
    if data.startswith(_UTF16):
        return data.decode("utf-16", "replace").lstrip("\ufeff")
    if _looks_utf16(data[:_SNIFF]):
        return data.decode("utf-16-be" if data[:1] == b"\x00" else "utf-16-le", "replace")
    if data.isascii():
        return None
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return _decode_broken(data)
    return None


def _decode_broken(data: bytes) -> str:
    """A stray byte in UTF-8 is replaced; a file with no valid multi-byte character at all is Latin-1."""
    text = data.decode("utf-8", "replace").lstrip("\ufeff")
    valid = any(ord(char) > 127 and char != "\ufffd" for char in text[: 1 << 20] if not char.isascii())
    return text if valid else data.decode("latin-1")


def _looks_utf16(head: bytes) -> bool:
    """UTF-16 without a mark: every other byte of Latin text is NUL."""
    even, odd = head[0::2].count(0), head[1::2].count(0)
    half = max(len(head) // 2, 1)
    return len(head) >= 8 and (max(even, odd) > 0.7 * half) and min(even, odd) < 0.05 * half


def _unpacker(magic: bytes) -> Callable[[IO[bytes]], IO[bytes]] | None:
    if magic.startswith(b"\x1f\x8b"):
        return lambda raw: gzip.GzipFile(fileobj=raw)  # type: ignore[return-value]
    if magic.startswith(b"\xfd7zXZ\x00"):
        return lzma.LZMAFile
    if magic.startswith(b"\x28\xb5\x2f\xfd"):
        return _zstd
    return None


def _zstd(raw: IO[bytes]) -> IO[bytes]:
    try:
        import zstandard  # noqa: PLC0415 - optional, and only for .zst
    except ImportError:
        raise OSError(0, "zstd-packed; install the extra postmortem-ml[zstd] or unpack it") from None
    return zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(raw, read_across_frames=True)


def _unpacked(raw: IO[bytes], unpack: Callable[[IO[bytes]], IO[bytes]], shown: str) -> Content:
    size = raw.seek(0, 2)
    raw.seek(0)
    return _bounded(unpack(raw), min(MAX_BYTES, max(size * MAX_RATIO, 1 << 20)), shown)


def _bounded(stream: IO[bytes], limit: int, shown: str) -> Content:
    """Reads at most ``limit`` bytes; a broken archive keeps what came before the break."""
    blocks: list[bytes] = []
    got = 0
    try:
        # read1 hands over what was unpacked so far, where read would lose it to an error further on.
        while got <= limit and (block := stream.read1(_BLOCK)):  # type: ignore[attr-defined]
            blocks.append(block)
            got += len(block)
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        return Content(b"".join(blocks), (_broken(error, got, shown),))
    except Exception as error:  # zstandard has its own error class, which may not be importable here
        if type(error).__name__ != "ZstdError":
            raise
        return Content(b"".join(blocks), (_broken(error, got, shown),))
    return _limited(b"".join(blocks), limit, shown)


def _limited(data: bytes, limit: int, shown: str) -> Content:
    if len(data) <= limit:
        return Content(data)
    return Content(
        data[:limit],
        (
            Problem(
                f"only the first {limit:,} unpacked bytes were read",
                shown,
                hint="split the file, or unpack it if it is a genuine archive",
            ),
        ),
    )


def _broken(error: Exception, got: int, shown: str) -> Problem:
    return Problem(f"the archive breaks off ({error}); the {got:,} bytes before that were read", shown)
