import numpy as np
import pytest

from mri_guard.defences import Ensemble, Median, Transformed
from mri_guard.determinism import generator
from mri_guard.ports import Scorer
from mri_guard.records import Anomaly, Preprocessed
from tests.toys import toy_brain

TOY = toy_brain(generator(0, "scorers"), slices=3, side=12)


def _scorer(factor: float) -> Scorer:
    def score(preprocessed: Preprocessed, /) -> Anomaly:
        signed = np.float32(factor) * preprocessed.image
        slices = np.array([factor, np.nan, 2 * factor])
        return Anomaly(np.abs(signed), signed, preprocessed.image.copy(), slices, factor)

    return score


def test_ensemble_is_the_median_of_its_scorers() -> None:
    found = Ensemble((_scorer(1.0), _scorer(-3.0), _scorer(2.0)))(TOY)
    alone = _scorer(1.0)(TOY)
    assert np.array_equal(found.signed, np.median([TOY.image, -3 * TOY.image, 2 * TOY.image], 0))
    assert np.array_equal(found.map, np.abs(found.signed))
    assert np.array_equal(found.reconstruction, TOY.image)
    np.testing.assert_array_equal(found.slice_scores, alone.slice_scores)
    assert found.score == 1.0


@pytest.mark.parametrize("moved", [-1e6, 1e6])
def test_one_of_three_cannot_take_the_ensemble_beyond_the_others(moved: float) -> None:
    found = Ensemble((_scorer(1.0), _scorer(moved), _scorer(1.2)))(TOY)
    assert 1.0 <= found.score <= 1.2


def test_ensemble_of_none_is_refused() -> None:
    with pytest.raises(ValueError, match="no scorer"):
        Ensemble(())


def test_transformed_scorer_sees_the_transformed_image_alone() -> None:
    found = Transformed(_scorer(1.0), Median())(TOY)
    assert np.array_equal(found.signed, Median()(TOY.image))
