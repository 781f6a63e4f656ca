import numpy as np
import pytest

from mri_guard.bundle import Calibration
from mri_guard.calibration import Rate, Workload, false_positive_band
from mri_guard.evaluation.at_alpha import PREDICTED, Scored, at_budget

FIVE, DELTA = Rate(alpha=0.05), 0.05
HUNDRED = tuple(float(i) for i in range(100))
"""The 2nd largest, 98, is the exact threshold of 5 %."""


def _calibration(**sites: tuple[float, ...]) -> Calibration:
    highest = {site: tuple(10 * score for score in scores) for site, scores in sites.items()}
    return Calibration(healthy_scores=sites, detectors={}, highest_slices=highest)


def _scan(
    score: float,
    slices: list[float],
    lesion_px: list[int] | None = None,
    *,
    subject: str = "a",
    site: str = "here",
) -> Scored:
    return Scored(
        label="healthy" if lesion_px is None else "abnormal",
        site=site,
        subject=subject,
        score=score,
        slices=np.array(slices, dtype=np.float64),
        lesion_px=np.array(lesion_px or [0] * len(slices), dtype=np.int64),
    )


def test_counts_scans_and_slices_above_the_exact_thresholds() -> None:
    nan = float("nan")
    scans = [
        _scan(98.0, [981.0, 0.0, nan], subject="b"),  # at the threshold is not above it
        _scan(98.5, [980.0, 0.0, 0.0], subject="c"),
        # With lesion, beside, far: found, found, not found (no score); far and flagged.
        _scan(99.0, [0.0, 0.0, 990.0, 0.0, 999.0], [300, 0, 0, 0, 0]),
        _scan(1.0, [0.0, 999.0, 999.0, nan], [0, 20, 80, 250], subject="d"),
        _scan(float("-inf"), [], [], subject="e"),
    ]
    metrics, rows = at_budget(FIVE, scans, _calibration(here=HUNDRED), DELTA, seed=0)

    def figure(name: str) -> tuple[float, int]:
        metric = metrics[f"{name}_at_0.05"]
        assert metric.low <= metric.value <= metric.high
        return metric.value, metric.n

    assert figure("false_positive_rate") == (0.5, 2)
    assert figure("sensitivity") == (1 / 3, 3)
    assert figure("healthy_scans_with_flagged_slice") == (0.5, 2)
    assert figure("slice_sensitivity") == (0.5, 4)
    assert figure("slice_sensitivity_up_to_50_px") == (1, 1)
    assert figure("slice_sensitivity_51_to_200_px") == (1, 1)
    assert figure("slice_sensitivity_over_200_px") == (0, 2)
    # 981 of one healthy scan, 990 and 999 far from the lesion, of 5 + 3.
    assert figure("slice_false_flag_rate") == (3 / 8, 8)
    assert [(row["rank"], row["calibration_scans"], row["threshold"]) for row in rows] == [
        (2, 100, 98.0),
        (2, 100, 980.0),
    ]
    assert [row["flagged"] for row in rows] == [1, 1]


def test_says_whether_the_rate_came_out_as_promised() -> None:
    low, high = false_positive_band(2, 100, 40)
    for flagged, inside in ((low, True), (high, True), (high + 1, False)):
        scans = [
            _scan(99.0 if number < flagged else 0.0, [0.0], subject=str(number))
            for number in range(40)
        ]
        metrics, (row, slices) = at_budget(FIVE, scans, _calibration(here=HUNDRED), DELTA, seed=0)
        assert row["inside"] is inside
        assert (row["band_low"], row["band_high"], row["flagged"]) == (low, high, flagged)
        assert slices["flagged"] == 0
        promised = metrics["false_positive_rate_at_0.05" + PREDICTED]
        assert (promised.low, promised.high) == (low / 40, high / 40)
        assert promised.value == pytest.approx(2 / 101)


def test_holds_a_site_against_its_own_scans_too_where_there_are_enough() -> None:
    high = tuple(1000.0 + score for score in HUNDRED)
    scans = [
        _scan(500.0, [0.0], site="Site A"),
        _scan(500.0, [0.0], site="few", subject="b"),
        _scan(500.0, [0.0], [60], site="far", subject="c"),
    ]
    calibration = _calibration(**{"Site A": HUNDRED, "few": HUNDRED[:58], "far": high})
    metrics, rows = at_budget(FIVE, scans, calibration, DELTA, seed=0)
    assert metrics["false_positive_rate_at_0.05"].value == 0  # `far` lifts the pooled threshold
    assert metrics["site_a_false_positive_rate_at_0.05"].value == 1
    assert metrics["site_a_false_positive_rate_at_0.05"].n == 1
    assert not [name for name in metrics if name.startswith(("few_", "far_"))]  # 59; none healthy
    assert {row["calibrated_on"] for row in rows} == {
        "all calibration scans",
        "calibration scans of Site A",
    }


def test_counts_no_slices_where_nobody_drew_the_lesion() -> None:
    unknown = Scored("abnormal", "here", "a", 99.0, np.array([999.0]), None)
    metrics, _ = at_budget(FIVE, [unknown], _calibration(here=HUNDRED), DELTA, seed=0)
    assert list(metrics) == ["sensitivity_at_0.05"]


def test_resamples_patients_not_slices() -> None:
    # Two patients, one found in every slice and one in none: between them nothing is certain.
    scans = [
        _scan(0.0, [999.0] * 100, [60] * 100, subject="a"),
        _scan(0.0, [0.0] * 100, [60] * 100, subject="b"),
    ]
    metrics, _ = at_budget(FIVE, scans, _calibration(here=HUNDRED), DELTA, seed=0)
    metric = metrics["slice_sensitivity_at_0.05"]
    assert (metric.low, metric.value, metric.high) == (0, 0.5, 1)


@pytest.mark.parametrize(("alpha", "name"), [(0.05, "0.05"), (0.1, "0.10"), (0.075, "0.075")])
def test_names_figures_by_their_rate(alpha: float, name: str) -> None:
    metrics, _ = at_budget(
        Rate(alpha=alpha), [_scan(0.0, [0.0])], _calibration(here=HUNDRED), DELTA, seed=0
    )
    assert f"false_positive_rate_at_{name}" in metrics


def test_holds_a_daily_budget_too() -> None:
    budget = Workload(at_most=3, per_day=20)
    scans = [_scan(99.0, [0.0]), _scan(0.0, [0.0], subject="b")]
    metrics, (row, _) = at_budget(budget, scans, _calibration(here=HUNDRED), DELTA, seed=0)
    assert (row["rank"], row["alpha"]) == (budget.rank(100, DELTA), None)
    assert row["budget"] == "at most 3 false flags among 20 healthy scans a day"
    assert metrics["false_positive_rate_at_3_of_20_a_day"].value == 0.5
