import numpy as np
import pytest

from mri_guard.calibration import LabelledScores, VennAbers
from mri_guard.determinism import generator
from mri_guard.evaluation.at_alpha import Scored
from mri_guard.evaluation.probability import probability_figures


def _scan(label: str, score: float, subject: str) -> Scored:
    return Scored(label, "here", subject, score, np.empty(0), None)


def _scans(n: int, apart: float, *use: str) -> list[Scored]:
    rng = generator(0, "probability figures", *use)
    return [
        *(_scan("healthy", float(s), f"h{i}") for i, s in enumerate(rng.normal(size=n))),
        *(_scan("abnormal", float(s), f"a{i}") for i, s in enumerate(rng.normal(apart, 1, n))),
    ]


def _labelled(scans: list[Scored]) -> LabelledScores:
    healthy, abnormal = (
        tuple(scan.score for scan in scans if scan.label == label)
        for label in ("healthy", "abnormal")
    )
    return LabelledScores(healthy=healthy, abnormal=abnormal)


def test_believes_a_probability_of_like_scans_and_not_one_of_others() -> None:
    new = _scans(150, 1.5, "new")
    for apart, believable in ((1.5, True), (6.0, False)):
        labelled = _labelled(_scans(150, apart, "labelled"))
        metrics, points = probability_figures(new, labelled, seed=0)
        error = metrics["probability_calibration_error"]
        chance = metrics["probability_calibration_error_by_chance"]
        assert (error.value <= 1.5 * chance.high) is believable
        assert (error.low == 0) is (error.value <= chance.high)
        for name in ("probability", "isotonic"):
            assert sum(point["n"] for point in points if point["of"] == name) == 300


def test_leaves_out_scans_that_got_no_score_and_draws_patients_not_scans() -> None:
    labelled = LabelledScores(healthy=(0.0, 1.0, 2.0), abnormal=(3.0, 4.0))
    people = range(5)
    scans = [_scan("healthy", 0.0, f"twice {one}") for one in people for _ in range(2)]
    scans += [_scan("abnormal", 0.0, f"once {one}") for one in people]
    scans += [_scan("abnormal", float("-inf"), "last")]
    metrics, _ = probability_figures(scans, labelled, seed=0)
    brier = metrics["probability_brier"]
    told = VennAbers(labelled)(0.0).value
    assert brier.n == 15
    assert "of 15 scans of 10 patients" in brier.definition

    def drawn(twice: int) -> float:
        return (2 * twice * told**2 + (10 - twice) * (1 - told) ** 2) / (10 + twice)

    assert brier.value == pytest.approx(drawn(5))
    # Of ten patients drawn, the 2.5th and 97.5th percentile of Bin(10, 0.5) are 2 and 8.
    assert (brier.low, brier.high) == pytest.approx((drawn(8), drawn(2)))


def test_has_nothing_to_tell_without_a_score() -> None:
    labelled = LabelledScores(healthy=(0.0,), abnormal=(1.0,))
    scans = [_scan("abnormal", float("-inf"), "a")]
    assert probability_figures(scans, labelled, seed=0) == ({}, [])
