"""A scan cut to its brain's box, with what the model made of it."""

import numpy as np
import pytest

from mri_guard.evaluation.risks.scene import examine, numbered
from tests.evaluation.risks.toys import case, untrained


def test_puts_restoration_lesion_and_scores_where_the_brain_is() -> None:
    of, scorer = case(3, lesioned=True), untrained()
    found, anomaly = examine(of, scorer), scorer(of.preprocessed)
    assert found.restored.shape == found.lesion.shape == found.subject.image.shape
    assert len(found.scores) == len(found.position) == len(found.restored)
    assert found.lesion.sum() == (of.lesion & of.preprocessed.brain).sum()
    # In the units of the subject's image: one gain for both.
    gain = found.subject.image.sum() / of.preprocessed.image[of.preprocessed.brain].sum()
    assert found.restored.sum() == pytest.approx(gain * anomaly.reconstruction.sum(), rel=1e-3)
    slices = of.preprocessed.brain.any(axis=(0, 1))
    assert np.array_equal(found.scores, anomaly.slice_scores[slices], equal_nan=True)
    assert found.patient == 3


def test_numbers_patients_without_gaps() -> None:
    scorer = untrained()
    found = [examine(case(number), scorer) for number in (7, 2, 7)]
    assert [one.patient for one in numbered(found)] == [1, 0, 1]
