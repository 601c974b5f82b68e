"""Rates of a detector from its scores, with tied scores treated soundly, or as careless code does."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Curve(NamedTuple):
    """Points of a ROC curve from (0, 0) to (1, 1): false-positive and true-positive rates."""

    fpr: Floats
    tpr: Floats


def curve(scores: NDArray[Any], positive: NDArray[np.bool_], *, naive: bool = False) -> Curve:
    """The ROC curve, one point for each distinct score (Fawcett, "An introduction to ROC analysis", 2006, section 5).

    Args:
        scores: Higher means more likely positive; shape (n,).
        positive: Whether each sample is; shape (n,).
        naive: Keep the first sample of a block of equal scores instead of the last, as ``np.unique(...,
            return_index=True)`` over sorted scores does: the point then counts a single sample of the block.
    """
    order = np.argsort(-scores, kind="stable")
    sorted_scores, hits = scores[order], positive[order]
    starts = np.flatnonzero(np.r_[True, sorted_scores[1:] != sorted_scores[:-1]])
    at = starts if naive else np.r_[starts[1:] - 1, len(scores) - 1]
    tp, fp = np.cumsum(hits)[at], np.cumsum(~hits)[at]
    positives, negatives = max(1, int(hits.sum())), max(1, int((~hits).sum()))
    return Curve(np.r_[0.0, fp / negatives, 1.0], np.r_[0.0, tp / positives, 1.0])


def tpr_at(roc: Curve, fpr: float, *, naive: bool = False) -> float:
    """True-positive rate at a false-positive rate.

    Within a block of ties no threshold exists; the rate there is what breaking the ties at random gives on average, a
    straight line. ``naive`` takes the last point that is allowed.
    """
    if naive:
        return float(roc.tpr[np.searchsorted(roc.fpr, fpr, side="right") - 1])
    last = int(np.searchsorted(roc.fpr, fpr, side="right")) - 1
    if roc.fpr[last] == fpr or last + 1 == len(roc.fpr):
        return float(roc.tpr[last])
    share = (fpr - roc.fpr[last]) / (roc.fpr[last + 1] - roc.fpr[last])
    return float(roc.tpr[last] + share * (roc.tpr[last + 1] - roc.tpr[last]))


def fpr_at(roc: Curve, tpr: float) -> float:
    """Lowest false-positive rate at which at least this true-positive rate is reached."""
    return float(roc.fpr[np.searchsorted(roc.tpr, tpr, side="left")])


def auroc(scores: NDArray[Any], positive: NDArray[np.bool_]) -> float:
    """Chance that a positive scores above a negative, ties counted half (Hanley & McNeil 1982); NaN without both."""
    if positive.all() or not positive.any():
        return float("nan")
    roc = curve(scores, positive)
    return float(np.sum(np.diff(roc.fpr) * (roc.tpr[1:] + roc.tpr[:-1]) / 2))
