"""How well a score ranks: average precision, AUROC, matched AUROC, Dice, sensitivity."""

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]
Truth = NDArray[np.bool_]


def average_precision(truth: Truth, scores: Scores) -> float:
    """Area under the precision-recall steps: sum of precision times the rise in recall.

    Ties share one step, as in scikit-learn. NaN where nothing is true.

    Args:
        truth: bool, (n,).
        scores: (n,), higher means true; -inf ranks last.
    """
    order = np.argsort(-scores, kind="stable")
    ends = _tie_ends(scores[order])
    hits = np.cumsum(truth[order])[ends]
    if not truth.any():
        return float("nan")
    precision = hits / (ends + 1)
    return float(np.sum(np.diff(hits, prepend=0) * precision) / hits[-1])


def best_dice(truth: Truth, scores: Scores) -> float:
    """Largest Dice over all thresholds: of the best cut, not of one fixed beforehand.

    NaN where nothing is true.

    Args:
        truth: bool, (n,).
        scores: (n,), higher means true.
    """
    if not truth.any():
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    ends = _tie_ends(scores[order])
    hits = np.cumsum(truth[order])[ends]
    return float(np.max(2 * hits / (ends + 1 + truth.sum())))


def pair_wins(positive: Scores, negative: Scores) -> NDArray[np.float64]:
    """1 where a positive scores above a negative, 1/2 on a tie, 0 otherwise: (p, n)."""
    above, below = positive[:, None], negative[None, :]
    return 0.5 * ((above > below).astype(np.float64) + (above >= below))


def weighted_auroc(wins: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    """Weighted share of pairs won; NaN where no pair has weight.

    With weights that pick pairs at like positions it is the matched AUROC; with weights that pick
    pairs of one subject, the within-subject one; with ones, the plain one.

    Args:
        wins: (p, n), as `pair_wins` gives it.
        weights: (p, n), not negative.
    """
    total = weights.sum()
    return float((wins * weights).sum() / total) if total > 0 else float("nan")


def auroc(truth: Truth, scores: Scores) -> float:
    """Probability that a positive scores above a negative, ties half; NaN without either."""
    wins = pair_wins(scores[truth], scores[~truth])
    return weighted_auroc(wins, np.ones_like(wins))


def sensitivity_at(truth: Truth, scores: Scores, specificity: float) -> float:
    """Share of positives above the lowest threshold that keeps the specificity; NaN without any.

    Args:
        truth: bool, (n,).
        scores: (n,).
        specificity: at least this share of negatives lies at or below the threshold.
    """
    negative = np.sort(scores[~truth])
    if len(negative) == 0 or not truth.any():
        return float("nan")
    threshold = negative[int(np.ceil(specificity * len(negative))) - 1]
    return float(np.mean(scores[truth] > threshold))


def _tie_ends(descending: Scores) -> NDArray[np.int64]:
    """Index of the last of each run of equal scores."""
    steps = np.flatnonzero(descending[1:] != descending[:-1])
    return np.append(steps, len(descending) - 1).astype(np.int64)
