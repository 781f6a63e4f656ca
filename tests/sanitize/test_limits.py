"""The joint rule: what it promises, and what it refuses to judge."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mri_guard.errors import BundleError, NotCalibratedError
from mri_guard.sanitize.limits import Limits, Normal, group_weights
from mri_guard.sanitize.voxel_checks.within_limits import WithinLimits
from tests.toys import any_heads, wide_limits

NORMAL = Normal(centre=2.0, spread=0.5)


def limits(worst: tuple[float, ...], alpha: float = 0.01, margin: float = 1.0) -> Limits:
    return Limits(normals={"a": NORMAL}, worst={"some": worst}, alpha=alpha, margin=margin)


def test_holds_as_many_clean_scans_as_it_says() -> None:
    """P(S > k-th largest of n) = k / (n + 1) exactly, for continuous scores."""
    rng = np.random.default_rng(0)
    n, alpha, trials = 99, 0.05, 20_000
    scores = rng.gumbel(size=(trials, n + 1))
    rank = limits((1.0,) * n, alpha).rank()
    assert rank == 5
    highest = np.partition(scores[:, :-1], n - rank, axis=1)[:, n - rank]
    held = float(np.mean(scores[:, -1] > highest))
    exact = rank / (n + 1)
    assert held == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / trials))
    assert limits(tuple(scores[0, :-1]), alpha).highest == pytest.approx(highest[0])


@given(
    st.lists(st.floats(0, 100), min_size=99, max_size=130), st.floats(1, 5), st.floats(0.01, 0.2)
)
def test_never_holds_more_of_its_own_scans_than_alpha(
    worst: list[float], margin: float, alpha: float
) -> None:
    made = limits(tuple(worst), alpha, margin)
    assert sum(score > made.highest for score in worst) <= alpha * (len(worst) + 1)


def test_needs_scans_enough_for_its_alpha() -> None:
    assert limits((1.0,) * 99).rank() == 1
    with pytest.raises(NotCalibratedError, match=r"98 scans .* wanted at least 99"):
        limits((1.0,) * 98).rank()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_does_not_let_pass_what_is_no_number(value: float) -> None:
    with pytest.raises(ValueError, match="not finite"):
        limits((1.0,) * 99).deviations({"a": value})


def test_counts_spreads_and_leaves_out_what_was_not_measured() -> None:
    made = limits((1.0,) * 99)
    assert made.deviations({"a": 3.0}) == {"a": 2.0}
    assert made.deviations({"a": None}) == {}
    with pytest.raises(NotCalibratedError, match="no limits for b"):
        made.deviations({"b": 1.0})


def test_fits_the_spread_of_a_normal_sample() -> None:
    values = np.random.default_rng(0).normal(3, 2, 100_000).clip(max=3 + 2 * 2.5)
    fitted = Normal.fit(values.tolist(), [1 / values.size] * values.size, 0.1)
    assert fitted.centre == pytest.approx(3, abs=0.05)
    assert fitted.spread == pytest.approx(2, rel=0.02)


def test_spreads_no_less_than_means_something() -> None:
    assert Normal.fit([1.0] * 20, [0.05] * 20, 0.3) == Normal(centre=1.0, spread=0.3)


def test_counts_each_group_alike() -> None:
    weights = group_weights(["a"] * 30 + ["b"] * 10)
    assert weights[:30].sum() == pytest.approx(0.5)
    assert weights[30:].sum() == pytest.approx(0.5)


def test_is_not_made_without_a_limit_for_every_measure() -> None:
    some = wide_limits()
    fewer = {name: normal for name, normal in some.normals.items() if name != "spike"}
    with pytest.raises(BundleError, match="do not fit: spike"):
        WithinLimits(any_heads(), some.model_copy(update={"normals": fewer}))


def test_says_how_many_scans_stand_behind_it() -> None:
    assert "toys n = 100" in wide_limits().guarantee
