import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from mri_guard.determinism import generator
from mri_guard.metrics.ranking import (
    auroc,
    average_precision,
    best_dice,
    pair_wins,
    sensitivity_at,
    weighted_auroc,
)

Sample = tuple[NDArray[np.bool_], NDArray[np.float64]]

pairs = st.lists(st.tuples(st.booleans(), st.integers(-3, 3)), min_size=2, max_size=40)


def sample(rows: list[tuple[bool, int]]) -> Sample:
    return np.array([t for t, _ in rows]), np.array([float(s) for _, s in rows])


@given(rows=pairs)
def test_agrees_with_scikit_learn_ties_included(rows: list[tuple[bool, int]]) -> None:
    truth, scores = sample(rows)
    if truth.any():
        assert average_precision(truth, scores) == pytest.approx(
            average_precision_score(truth, scores)
        )
    if truth.any() and not truth.all():
        assert auroc(truth, scores) == pytest.approx(roc_auc_score(truth, scores))


def test_knows_an_average_precision_by_hand() -> None:
    truth, scores = np.array([True, False, True]), np.array([3.0, 2.0, 1.0])
    assert average_precision(truth, scores) == pytest.approx((1 + 2 / 3) / 2)


def test_counts_what_was_not_looked_at_as_missed() -> None:
    truth = np.array([True, False, True])
    scores = np.array([3.0, 2.0, -np.inf])
    assert average_precision(truth, scores) == pytest.approx((1 + 2 / 3) / 2)
    assert best_dice(truth, scores) == pytest.approx(2 * 2 / (3 + 2))
    wins = pair_wins(scores[truth], scores[~truth])
    assert wins.tolist() == [[1.0], [0.0]]


@given(rows=pairs)
def test_finds_the_best_dice_of_all_thresholds(rows: list[tuple[bool, int]]) -> None:
    truth, scores = sample(rows)
    if not truth.any():
        assert np.isnan(best_dice(truth, scores))
        return
    by_hand = max(
        2 * (truth & (scores >= cut)).sum() / (truth.sum() + (scores >= cut).sum())
        for cut in scores
    )
    assert best_dice(truth, scores) == pytest.approx(by_hand)


def test_matches_pairs_by_weight() -> None:
    wins = pair_wins(np.array([2.0, 1.0]), np.array([0.0, 1.5]))
    assert weighted_auroc(wins, np.ones((2, 2))) == 0.75
    assert weighted_auroc(wins, np.array([[0, 0], [0, 1]])) == 0.0
    assert np.isnan(weighted_auroc(wins, np.zeros((2, 2))))


def test_keeps_the_specificity_it_was_asked_for() -> None:
    rng = generator(0, "sensitivity")
    truth = rng.random(500) < 0.4
    scores = rng.normal(size=500) + truth
    negative = np.sort(scores[~truth])
    threshold = negative[int(np.ceil(0.9 * len(negative))) - 1]
    assert np.mean(negative <= threshold) >= 0.9
    assert sensitivity_at(truth, scores, 0.9) == np.mean(scores[truth] > threshold)
    assert sensitivity_at(truth, truth.astype(np.float64), 0.9) == 1.0
    assert sensitivity_at(truth, np.zeros(500), 0.9) == 0.0
