import numpy as np
import pytest

from mri_guard.calibration import Rate, exact_threshold
from mri_guard.calibration.contamination import WhatIf, what_if
from mri_guard.determinism import generator
from mri_guard.errors import NotCalibratedError

FIVE, DELTA = Rate(alpha=0.05), 0.05
HUNDRED = tuple(float(i) for i in range(100))


def _rows(healthy: tuple[float, ...], abnormal: tuple[float, ...]) -> tuple[WhatIf, ...]:
    return what_if(healthy, abnormal, FIVE, DELTA, rng=generator(0, "what if"))


def test_left_out_are_the_highest_and_the_threshold_is_that_of_the_rest() -> None:
    rows = [row for row in _rows(HUNDRED, (97.5, 200.0)) if row.supposed == "left out"]
    assert [row.scans for row in rows] == [0, 1, 2, 5]
    for row in rows:
        assert row.threshold == exact_threshold(HUNDRED[: 100 - row.scans], 0.05, DELTA)
        assert row.low == row.high == row.threshold
    assert [row.sensitivity for row in rows] == [0.5, 1, 1, 1]


def test_abnormal_scans_mixed_in_raise_the_threshold_and_cost_sensitivity() -> None:
    rng = generator(0, "mixed in")
    healthy = tuple(float(s) for s in rng.normal(size=300))
    abnormal = tuple(float(s) for s in rng.normal(3, 1, size=100))
    rows = [row for row in _rows(healthy, abnormal) if row.supposed == "mixed in"]
    assert [row.scans for row in rows] == [3, 6, 15]
    clean = exact_threshold(healthy, 0.05, DELTA)
    thresholds = [clean, *(row.threshold for row in rows)]
    assert thresholds == sorted(thresholds)
    assert rows[-1].threshold > clean
    found = [row.sensitivity for row in rows if row.sensitivity is not None]
    assert found == sorted(found, reverse=True)
    assert found[-1] < np.mean(np.array(abnormal) > clean)
    assert all(row.low <= row.threshold <= row.high for row in rows)


def test_knows_no_sensitivity_without_abnormal_scans() -> None:
    rows = _rows(HUNDRED, ())
    assert {row.supposed for row in rows} == {"left out"}
    assert {row.sensitivity for row in rows} == {None}


def test_has_no_threshold_where_too_few_are_left() -> None:
    rows = _rows(HUNDRED[:60], (1000.0,))
    assert [(row.share, row.scans) for row in rows if row.supposed == "left out"] == [
        (0.0, 0),
        (0.01, 1),
    ]
    assert len([row for row in rows if row.supposed == "mixed in"]) == 3


def test_refuses_too_few_scans_and_scores_that_are_no_numbers() -> None:
    with pytest.raises(NotCalibratedError, match="58 healthy scores"):
        _rows(HUNDRED[:58], ())
    with pytest.raises(NotCalibratedError, match="not finite"):
        _rows((*HUNDRED, float("nan")), ())
