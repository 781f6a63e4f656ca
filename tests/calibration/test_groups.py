import numpy as np
import pytest
from crepes import ConformalClassifier
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mri_guard.calibration import Rate, Workload, exact_threshold
from mri_guard.calibration.groups import Groups
from mri_guard.determinism import generator
from mri_guard.errors import NotCalibratedError

HUNDRED = tuple(float(i) for i in range(100))
FEW = tuple(1000.0 + i for i in range(58))
FIVE = Rate(alpha=0.05)


def test_holds_a_large_group_against_its_own_scans_and_a_small_one_against_all() -> None:
    groups = Groups({"large": HUNDRED, "small": FEW}, FIVE, 0.05)
    large, small, unknown = (groups.limit(name) for name in ("large", "small", "unknown"))
    assert large.own
    assert large.threshold == exact_threshold(HUNDRED, 0.05, 0.05)
    assert large.claim == "a false-positive rate of at most 0.05 with probability 0.95 (n = 100)"
    pooled = exact_threshold([*HUNDRED, *FEW], 0.05, 0.05)
    assert (small.own, small.threshold, small.claim) == (
        False,
        pooled,
        "no group guarantee (n = 58)",
    )
    assert (unknown.threshold, unknown.claim) == (pooled, "no group guarantee (n = 0)")


def test_p_values_follow_the_same_rule() -> None:
    groups = Groups({"large": HUNDRED, "small": FEW}, FIVE, 0.05)
    assert groups.p_value(100.0, "large") == 1 / 101
    assert groups.p_value(100.0, "small") == 59 / 159
    assert groups.p_value(100.0, "unknown") == 59 / 159


def test_a_workload_may_be_the_budget() -> None:
    budget = Workload(at_most=3, per_day=20)
    groups = Groups({"large": HUNDRED, "small": HUNDRED[:5]}, budget, 0.05)
    assert groups.limit("large").own
    assert not groups.limit("small").own


def test_refuses_what_has_no_threshold_at_all() -> None:
    with pytest.raises(NotCalibratedError, match="58 healthy scores"):
        Groups({"small": FEW}, FIVE, 0.05).limit("small")
    with pytest.raises(NotCalibratedError, match="no calibration scores"):
        Groups({}, FIVE, 0.05).p_value(1.0, "any")


ties = st.lists(st.integers(0, 30), min_size=59, max_size=80)


@given(one=ties, other=ties, asked=st.lists(st.integers(-1, 31), min_size=1, max_size=20))
def test_agrees_with_crepes(one: list[int], other: list[int], asked: list[int]) -> None:
    # crepes without smoothing counts ties against the scan too: the same p-values to the last bit.
    groups = Groups({"0": [float(s) for s in one], "1": [float(s) for s in other]}, FIVE, 0.05)
    bins = np.array([0] * len(one) + [1] * len(other))
    fitted = ConformalClassifier().fit(np.array([*one, *other], dtype=float), bins=bins)
    for group in (0, 1):
        theirs = fitted.predict_p(
            np.array(asked, dtype=float)[:, None],
            bins=np.full(len(asked), group),
            smoothing=False,
        )[:, 0]
        ours = [groups.p_value(float(score), str(group)) for score in asked]
        assert ours == pytest.approx(list(theirs), abs=1e-12)


def test_own_thresholds_hold_the_rate_in_each_group_where_the_pooled_one_does_not() -> None:
    rng = generator(0, "groups simulation")
    draws, n, delta = 2000, 80, 0.05
    allowed = stats.binom.ppf(0.999, draws, delta)
    usual, noisy = rng.normal(size=(draws, n)), rng.normal(1.0, 1.0, size=(draws, n))
    limits = np.array(
        [
            [Groups({"u": u, "n": v}, FIVE, delta).limit(name).threshold for name in ("u", "n")]
            for u, v in zip(usual[:300].tolist(), noisy[:300].tolist(), strict=True)
        ]
    )
    ranked = np.stack([np.sort(some, axis=1)[:, -1] for some in (usual, noisy)], axis=1)
    assert (limits == ranked[:300]).all()  # n = 80 allows the highest score alone
    for group, mean in enumerate((0.0, 1.0)):
        assert np.sum(stats.norm.sf(ranked[:, group] - mean) > 0.05) <= allowed
    pooled = [
        exact_threshold([*u, *v], 0.05, delta)
        for u, v in zip(usual[:300].tolist(), noisy[:300].tolist(), strict=True)
    ]
    assert np.mean(stats.norm.sf(np.array(pooled) - 1.0) > 0.05) > 4 * delta
