import numpy as np

from mri_guard.calibration import Rate, Workload
from mri_guard.evaluation.at_alpha import Scored
from mri_guard.evaluation.side_by_side import groups, prices

HUNDRED = tuple(float(i) for i in range(100))
TIGHT, LOOSE = Rate(alpha=0.05), Rate(alpha=0.10)
"""Thresholds 98 and 95 of HUNDRED."""


def _scan(label: str, score: float, site: str = "here") -> Scored:
    return Scored(label, site, "a", score, np.empty(0), None)


def test_sets_prices_side_by_side_loosest_first_and_each_once() -> None:
    scans = [
        *(_scan("healthy", score) for score in (1.0, 96.0, 99.0, float("-inf"))),
        *(_scan("abnormal", score) for score in (97.0, 96.0, 99.0, 1.0, float("-inf"))),
    ]
    metrics, rows = prices([TIGHT, LOOSE, TIGHT], scans, {"here": HUNDRED}, 0.05)
    assert [row["threshold"] for row in rows] == [95.0, 98.0]
    assert [row["false_positive_rate"] for row in rows] == [2 / 3, 1 / 3]
    assert [row["sensitivity"] for row in rows] == [3 / 5, 1 / 5]
    assert [row["sensitivity_lost"] for row in rows] == [0, 2 / 5]
    assert list(metrics) == ["sensitivity_lost_at_0.05"]
    lost = metrics["sensitivity_lost_at_0.05"]
    assert (lost.value, lost.n) == (2 / 5, 5)
    assert lost.low < lost.value < lost.high


def test_leaves_out_what_there_are_no_scans_for() -> None:
    metrics, (row, _) = prices([TIGHT, LOOSE], [_scan("healthy", 1.0)], {"here": HUNDRED}, 0.05)
    assert metrics == {}
    assert row["false_positive_rate"] == 0
    assert "sensitivity" not in row


def test_labels_a_group_that_has_no_guarantee() -> None:
    calibrated = {"large": HUNDRED, "small": tuple(1000.0 + i for i in range(10))}
    scans = [
        _scan("healthy", 99.0, "large"),
        _scan("abnormal", 2000.0, "small"),
        _scan("abnormal", 50.0, "unheard of"),
    ]
    large, small, unheard = groups([TIGHT], scans, calibrated, 0.05)
    assert (large["own"], large["threshold"], large["flagged"]) == (True, 98.0, 1)
    assert (small["own"], small["claim"]) == (False, "no group guarantee (n = 10)")
    assert (small["found"], small["abnormal_scans"]) == (1, 1)
    assert (unheard["claim"], unheard["threshold"]) == (
        "no group guarantee (n = 0)",
        small["threshold"],
    )
    day = groups([Workload(at_most=3, per_day=20)], scans, calibrated, 0.05)
    assert day[0]["claim"].startswith("at most 3 false flags among 20 healthy scans a day")
