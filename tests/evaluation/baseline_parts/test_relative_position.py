import numpy as np
import pytest

from mri_guard.evaluation.baseline_parts.relative_position import relative_position


def test_measures_position_between_the_brains_ends() -> None:
    brain = np.zeros((4, 4, 7), dtype=np.bool_)
    brain[1, 1, 2:5] = True
    assert relative_position(brain) == pytest.approx(
        [np.nan, np.nan, 0, 0.5, 1, np.nan, np.nan], nan_ok=True
    )
