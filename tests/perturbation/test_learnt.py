import numpy as np
import pytest

from mri_guard.errors import BundleError
from mri_guard.perturbation.detectors import Learnt, assembled
from mri_guard.perturbation.detectors.learnt import discriminant


def test_finds_fishers_direction() -> None:
    rng = np.random.default_rng(0)
    spread = np.array([[1.0, 0.8], [0.8, 1.0]])
    clean = rng.multivariate_normal([0, 0], spread, 20000)
    direction = discriminant(clean, clean + np.array([0.1, 0.0]))
    known = np.linalg.solve(spread, [1.0, 0.0])
    assert direction / np.linalg.norm(direction) == pytest.approx(
        known / np.linalg.norm(known), abs=0.02
    )
    assert (clean @ direction).std() == pytest.approx(1, abs=0.01)


def test_comes_back_from_its_arrays() -> None:
    learnt = Learnt((1.0, 2.0), (0.5, -0.25, 3.0, 0.0))
    assert Learnt.from_arrays(learnt.arrays(), learnt.calibration) == learnt


@pytest.mark.parametrize(
    "arrays",
    [
        {},
        {"direction": np.zeros(3, np.float32)},
        {"direction": np.array([0, 0, 0, np.nan], np.float32)},
        {"direction": np.zeros(4, np.float32), "other": np.zeros(1, np.float32)},
    ],
)
def test_refuses_what_does_not_fit(arrays: dict[str, np.ndarray]) -> None:
    with pytest.raises(BundleError, match="direction"):
        Learnt.from_arrays(arrays, ())


def test_assembles_what_was_calibrated_in_running_order() -> None:
    direction = {"learnt.direction": np.ones(4, np.float32)}
    clean = {"feature_squeezing": (0.0,), "learnt": (1.0,), "high_frequency": (2.0,)}
    made = assembled(clean, direction)
    assert [detector.name for detector in made] == ["high_frequency", "learnt", "feature_squeezing"]
    assert [detector.calibration for detector in made] == [(2.0,), (1.0,), (0.0,)]
    with pytest.raises(BundleError, match="wanted some of"):
        assembled({"other": (0.0,)}, {})
    with pytest.raises(BundleError, match="wanted some of"):
        assembled({}, {})
    with pytest.raises(BundleError, match="no calibration"):
        assembled({"high_frequency": (0.0,)}, direction)
