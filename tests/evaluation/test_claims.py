import numpy as np
import pytest
from numpy.typing import NDArray

from mri_guard.calibration import Rate, Workload
from mri_guard.determinism import generator
from mri_guard.evaluation.claims import Claim, claims

BUDGETS = (Rate(alpha=0.05), Workload(at_most=4, per_day=30))
N = 240


def _people() -> tuple[NDArray[np.float64], dict[str, NDArray[np.bool_]]]:
    """Scores with ties and a heavy tail; group b scores higher, c is small."""
    rng = generator(0, "simulated healthy")
    group = np.repeat(["a", "b", "c"], [100, 90, 50])
    scores = np.round(rng.standard_t(3, size=N), 1) + 2.0 * (group == "b")
    return scores, {name: group == name for name in "abc"}


@pytest.fixture(scope="module")
def found() -> tuple[Claim, ...]:
    scores, slices = _people()
    return claims(scores, slices, BUDGETS, 0.05, seed=0, resamples=300)


def _of(found: tuple[Claim, ...], name: str, threshold: str) -> list[Claim]:
    return [one for one in found if (one.of, one.threshold) == (name, threshold)]


def test_exact_thresholds_keep_their_budgets_overall_and_in_each_slice(
    found: tuple[Claim, ...],
) -> None:
    for name in ("all", "a", "b"):
        for claim in _of(found, name, "exact"):
            assert claim.verdict == "kept"
            assert claim.broken is not None
            assert claim.low is not None
            assert claim.low <= 0.05
            assert claim.stated == 0.05


def test_a_plain_quantile_breaks_the_rate_and_says_that_it_promised_nothing(
    found: tuple[Claim, ...],
) -> None:
    rate, _ = _of(found, "all", "quantile")
    assert rate.low is not None
    assert rate.low > 0.2
    assert (rate.stated, rate.verdict) == (None, "no guarantee")


def test_the_pooled_threshold_breaks_the_budgets_of_the_group_that_scores_higher(
    found: tuple[Claim, ...],
) -> None:
    for claim in _of(found, "b", "pooled"):
        assert claim.low is not None
        assert claim.low > 0.05
        assert claim.verdict == "no guarantee"


def test_cannot_tell_of_a_slice_that_is_too_small(found: tuple[Claim, ...]) -> None:
    rate, day = _of(found, "c", "exact")
    assert rate.broken is None
    assert rate.verdict == "cannot tell (n = 50, would need 59)"
    needed = BUDGETS[1].smallest_count(0.05) + 30
    assert (day.broken is None) is (needed > 50)
    assert rate.people == 50


def test_a_day_and_its_calibration_set_share_nobody(found: tuple[Claim, ...]) -> None:
    for claim in found:
        if "a day" in claim.budget and claim.of == "all":
            assert claim.calibrated == N - 30


def test_refuses_scores_that_are_no_numbers() -> None:
    with pytest.raises(ValueError, match="not finite"):
        claims(np.array([1.0, np.nan]), {}, BUDGETS, 0.05, seed=0)
