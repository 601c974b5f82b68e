"""Names in byte buffers as small numbers, without a Python object for each time one comes up."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from postmortem.ingest.stores.stretches import Bytes, Flags, Places, fingerprints


class Tags:
    """Numbers the distinct byte strings that come up in buffers.

    Attributes:
        names: The strings as text, by their number.
    """

    def __init__(self) -> None:
        """Knows none yet."""
        self.names: list[str] = []
        self._prints = np.empty(0, np.uint64)  # of the names, sorted
        self._codes = np.empty(0, np.int64)  # their numbers, in the same order

    def codes(self, data: Bytes, start: Places, end: Places) -> Places:
        """The number of each string ``data[start:end]``."""
        prints = fingerprints(data, start, end)
        new = np.flatnonzero(~self._known(prints))
        if new.size:
            self._learn(data, start[new], end[new], prints[new])
        return self._codes[np.searchsorted(self._prints, prints)]

    def _known(self, prints: NDArray[np.uint64]) -> Flags:
        if not self._prints.size:
            return np.zeros(prints.size, np.bool_)
        nearest = np.minimum(np.searchsorted(self._prints, prints), self._prints.size - 1)
        return np.asarray(self._prints[nearest] == prints)

    def _learn(self, data: Bytes, start: Places, end: Places, prints: NDArray[np.uint64]) -> None:
        distinct, at = np.unique(prints, return_index=True)
        spans = zip(start[at].tolist(), end[at].tolist(), strict=True)
        codes = np.concatenate([self._codes, len(self.names) + np.arange(at.size)])
        self.names += [data[first:last].tobytes().decode("utf-8", "replace") for first, last in spans]
        both = np.concatenate([self._prints, distinct])
        order = np.argsort(both)
        self._prints, self._codes = both[order], codes[order]
