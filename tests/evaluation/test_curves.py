"""Points of curves, beside scikit-learn's."""

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import precision_recall_curve, roc_curve

from mri_guard.determinism import generator
from mri_guard.evaluation.curves import curves
from mri_guard.metrics.bootstrap import patient_counts
from mri_guard.metrics.by_patient import Pixels
from tests.metrics.test_by_patient import pixels, slices

PATIENTS = 4


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    scores, truth = pixels(PATIENTS)
    counts = patient_counts(PATIENTS, generator(0, "curves"), 200)
    return curves(Pixels.of(scores, truth), slices(PATIENTS), counts)


def test_roc_is_that_of_scikit_learn(rows: list[dict[str, Any]]) -> None:
    sample = slices(PATIENTS)
    rates, found, _ = roc_curve(sample.truth, sample.scores, drop_intermediate=False)
    points = [row for row in rows if row["curve"] == "roc"]
    assert len(points) == 21
    for row in points:  # the highest point at or left of x
        assert row["y"] == pytest.approx(found[rates <= row["x"] + 1e-9].max(), abs=1e-4)


def test_precision_is_that_of_scikit_learn_interpolated(rows: list[dict[str, Any]]) -> None:
    scores, truth = pixels(PATIENTS)
    pooled = np.maximum(np.concatenate(scores), -1e9)  # it takes no infinity
    precision, recall, _ = precision_recall_curve(np.concatenate(truth), pooled)
    points = [row for row in rows if row["curve"] == "precision_recall"]
    assert len(points) == 20
    for row in points:  # 2e-2: pixels are counted in bins, the first of which are small
        assert row["y"] == pytest.approx(precision[recall >= row["x"] - 1e-9].max(), abs=2e-2)


def test_bands_hold_their_point_and_curves_are_monotonous(rows: list[dict[str, Any]]) -> None:
    assert all(row["low"] - 1e-4 <= row["y"] <= row["high"] + 1e-4 for row in rows)
    for curve, way in (("roc", 1), ("precision_recall", -1)):
        values = [row["y"] for row in rows if row["curve"] == curve]
        assert (way * np.diff(values) >= -1e-9).all()
