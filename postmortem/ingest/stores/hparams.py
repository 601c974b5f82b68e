"""What TensorBoard's hparams plugin keeps in the metadata of a summary: the hyperparameters of a run."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from postmortem.ingest.stores.wire import fields, inside

_SESSION_START, _HPARAMS = 3, 1  # fields of HParamsPluginData and SessionStartInfo
_NUMBER, _STRING, _BOOL = 2, 3, 4  # fields of google.protobuf.Value


def hyperparameters(content: bytes) -> Iterator[tuple[str, str]]:
    """Names and values in one ``HParamsPluginData`` message, in the order written; lists and nulls are left out.

    Raises:
        ValueError: The message breaks off, or is none.
    """
    for session in inside(content, _SESSION_START):
        for entry in inside(session, _HPARAMS):
            parts = dict(fields(entry))
            key, value = parts.get(1), parts.get(2)
            text = _text(value) if isinstance(value, bytes) else None
            if isinstance(key, bytes) and text is not None:
                yield key.decode("utf-8", "replace"), text


def _text(message: bytes) -> str | None:
    for number, value in fields(message):
        if number == _BOOL:
            return str(bool(value))
        if number == _STRING and isinstance(value, bytes):
            return value.decode("utf-8", "replace")
        if number == _NUMBER and isinstance(value, bytes) and len(value) == 8:
            return _plain(struct.unpack("<d", value)[0])
    return None


def _plain(number: float) -> str:
    """Whole numbers were integers to the program that logged them."""
    return str(int(number)) if number.is_integer() and abs(number) < 2**53 else repr(number)
