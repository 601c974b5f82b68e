"""Configuration that programs log as a text summary: an object in JSON, or a Markdown table of names and values."""

from __future__ import annotations

import re
from collections.abc import Iterator

from postmortem.ingest.stores.points import leaves, parsed, shown
from postmortem.ingest.stores.wire import fields

_STRING = 8  # field of TensorProto
_CONFIGURATION = re.compile(
    r"(?i)(?:^|[/_.-])(?:args|arguments|config|configuration|cfg|hparams|hyper_?param\w*|settings)$"
)
_ROW = re.compile(r"^\s*\|\s*([^|]+?)\s*\|\s*([^|]*?)\s*\|\s*$", re.M)
_RULE = re.compile(r"^[\s:-]+$")
_LONGEST = 1000  # characters of a value; a longer one is a dump


def configuration(told: tuple[str, bytes]) -> Iterator[tuple[str, str]]:
    """Names and values that one text states, if its tag says that it is configuration (``args``, ``model_config``).

    Names of a configuration that is not the run's own keep the tag before them (``model_config.hidden_size``).

    Args:
        told: The tag, and the ``TensorProto`` message of the text.

    Raises:
        ValueError: The message breaks off.
    """
    tag, message = told
    name = tag.removesuffix("/text_summary")
    found = _CONFIGURATION.search(name)
    if not found:
        return
    own = name[: found.start()].strip("/_.-")
    for text in (value for number, value in fields(message) if number == _STRING and isinstance(value, bytes)):
        for key, value in _stated(text.decode("utf-8", "replace")):
            if key and len(value) <= _LONGEST:
                yield f"{name}.{key}" if own else key, value


def _stated(text: str) -> Iterator[tuple[str, str]]:
    tree = parsed(text)
    if isinstance(tree, dict):
        yield from ((key, shown(value)) for key, value in leaves(tree))
        return
    rows = [(row[1], row[2]) for row in _ROW.finditer(text)]
    ruled = [at for at, (key, value) in enumerate(rows) if _RULE.match(key) and _RULE.match(value)]
    yield from rows[ruled[0] + 1 :] if ruled else ()
