"""How surprising it is that a ROC stands still between two operating points."""

from __future__ import annotations

import math


def no_negatives_between(negatives: float, low: float, high: float) -> float:
    """Probability that no negative is scored between two true-positive rates, if scores are not tied.

    Args:
        negatives: Negatives above the threshold at the rate ``low``, a count.
        low: The smaller true-positive rate, above 0.
        high: The larger one.

    The ROC of a model that ranks by likelihood ratio is concave (Pan & Metz 1997, "proper" ROC curves), so between
    the two rates there are expected at least ``(high - low) / low`` times the negatives above ``low``; their number
    is Poisson to a good approximation, and none of them has the probability ``exp(-expected)``. A block of equal
    scores that holds both thresholds makes it certain. 1 when nothing can be told.
    """
    if negatives <= 0 or not 0.0 < low < high:
        return 1.0
    return math.exp(-negatives * (high - low) / low)
