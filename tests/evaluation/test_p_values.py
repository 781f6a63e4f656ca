import numpy as np
import pytest

from mri_guard.determinism import generator
from mri_guard.evaluation.at_alpha import PREDICTED, Scored
from mri_guard.evaluation.p_values import LEVELS, p_value_figures

HUNDRED = {"here": tuple(float(i) for i in range(50)), "there": tuple(50.0 + i for i in range(50))}


def _healthy(*scores: float) -> list[Scored]:
    return [Scored("healthy", "here", "a", score, np.empty(0), None) for score in scores]


def test_counts_p_values_up_to_each_level_among_all_sites() -> None:
    # Of 100 calibration scores p <= 0.05 means at most 4 at least as high: 95 ties with the fifth.
    scans = _healthy(95.0, 95.5, 200.0, 0.0, float("-inf"))
    metrics, (row,) = p_value_figures(scans, HUNDRED, seed=0)
    small = metrics["healthy_p_value_up_to_0.05"]
    assert (small.value, small.n) == (0.5, 4)
    assert metrics["healthy_p_value_up_to_0.05" + PREDICTED].value == pytest.approx(5 / 101)
    assert (row["first"], row["second"]) == (4, 100)
    assert row["p_value_of_both"] == min(1, 2 * min(row["above_p_value"], row["apart_p_value"]))


def test_exchangeable_scans_are_inside_the_bands_and_shifted_ones_are_not() -> None:
    rng = generator(0, "p-values")
    calibration = {"here": tuple(rng.normal(size=200).tolist())}
    for shift, inside in ((0.0, True), (1.0, False)):
        scans = _healthy(*rng.normal(shift, 1, size=150).tolist())
        metrics, (row,) = p_value_figures(scans, calibration, seed=0)
        for level in LEVELS:
            came = metrics[f"healthy_p_value_up_to_{level:.2f}"].value
            band = metrics[f"healthy_p_value_up_to_{level:.2f}{PREDICTED}"]
            assert (band.low <= came <= band.high) is inside, level
        assert (row["p_value_of_both"] > 0.05) is inside


def test_tells_nothing_of_a_level_that_too_few_scans_allow() -> None:
    metrics, _ = p_value_figures(_healthy(1.0), {"here": (0.0,) * 10}, seed=0)
    assert "healthy_p_value_up_to_0.05" not in metrics
    assert "healthy_p_value_up_to_0.10" in metrics


def test_has_nothing_to_tell_without_healthy_scans() -> None:
    assert p_value_figures([], HUNDRED, seed=0) == ({}, [])
