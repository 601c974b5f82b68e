"""Logs of CatBoost and of scikit-learn's verbose estimators: ``python tabular.py FOLDER``."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path

from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier
from sklearn.linear_model import SGDClassifier
from sklearn.neural_network import MLPClassifier

X, Y = load_breast_cancer(return_X_y=True)
X_TRAIN, Y_TRAIN, X_VAL, Y_VAL = X[:300], Y[:300], X[300:], Y[300:]


def catboost() -> None:
    """Two evaluation sets and an early stop."""
    from catboost import CatBoostClassifier

    options = {"thread_count": 1, "allow_writing_files": False, "random_seed": 0, "early_stopping_rounds": 5}
    model = CatBoostClassifier(iterations=400, verbose=20, **options)
    model.fit(X_TRAIN, Y_TRAIN, eval_set=[(X[300:450], Y[300:450]), (X[450:], Y[450:])])


def gradient_boosting() -> None:
    """With a subsample, which adds a column."""
    GradientBoostingClassifier(n_estimators=20, subsample=0.8, verbose=1, random_state=0).fit(X_TRAIN, Y_TRAIN)


def histogram_boosting() -> None:
    """With the loss of a validation part."""
    HistGradientBoostingClassifier(max_iter=8, verbose=2, early_stopping=True, scoring="loss", random_state=0).fit(X, Y)


def perceptron() -> None:
    """With a validation part, stopped early."""
    scaled = (X - X.mean(0)) / X.std(0)
    MLPClassifier((8,), early_stopping=True, n_iter_no_change=3, verbose=True, random_state=0, max_iter=40).fit(
        scaled, Y
    )


def stochastic_descent() -> None:
    """Epochs as headings."""
    scaled = (X - X.mean(0)) / X.std(0)
    SGDClassifier(loss="log_loss", verbose=1, random_state=0, max_iter=30).fit(scaled, Y)


def main() -> None:
    """Writes one file an estimator."""
    made: dict[str, Callable[[], None]] = {
        "catboost": catboost,
        "sklearn-gradient-boosting": gradient_boosting,
        "sklearn-hist-gradient-boosting": histogram_boosting,
        "sklearn-mlp": perceptron,
        "sklearn-sgd": stochastic_descent,
    }
    for name, train in made.items():
        with (Path(sys.argv[1]) / f"{name}.log").open("w") as log, contextlib.redirect_stdout(log):
            train()


if __name__ == "__main__":
    main()
