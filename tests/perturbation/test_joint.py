import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mri_guard.errors import NotCalibratedError
from mri_guard.perturbation.joint import JointRule
from mri_guard.records import DetectorResult, Perturbation

NAMES = ("a", "b", "c")
RESOLUTIONS = dict.fromkeys(NAMES, 1e-6)


def _rule(clean: np.ndarray, alpha: float = 0.05) -> JointRule:
    columns = {name: tuple(column) for name, column in zip(NAMES, clean.T, strict=True)}
    return JointRule.fit(columns, RESOLUTIONS, alpha)


def _ask(rule: JointRule, statistics: np.ndarray) -> Perturbation:
    return rule(
        [
            DetectorResult(name=name, statistic=float(value), p_value=0.5)
            for name, value in zip(rule.names, statistics, strict=True)
        ]
    )


def _drawn(rng: np.random.Generator, count: int) -> np.ndarray:
    """Statistics that hang together, one of them with a heavy tail, one mostly 0."""
    common = rng.normal(size=count)
    heavy = rng.standard_t(2, size=count)
    rare = np.where(rng.random(count) < 0.1, rng.random(count), 0.0)
    return np.stack([common + 0.3 * heavy, heavy, rare + 1e-3 * common], axis=1)


def test_is_exact_for_exchangeable_scans() -> None:
    rng = np.random.default_rng(0)
    draws, count = 2000, 99
    p_values = np.empty(draws)
    for at in range(draws):
        every = _drawn(rng, count + 1)
        p_values[at] = _ask(_rule(every[:-1]), every[-1]).p_value
    for alpha in (0.01, 0.05, 0.1, 0.5):
        # Without ties exactly alpha, as alpha is a multiple of 1 / (count + 1).
        assert np.mean(p_values <= alpha) == pytest.approx(
            alpha, abs=3.3 * np.sqrt(alpha * (1 - alpha) / draws)
        )


def test_a_detector_that_finds_nothing_costs_the_others_little() -> None:
    rng = np.random.default_rng(1)
    clean = rng.normal(size=(400, 3))
    alone = JointRule.fit({"a": tuple(clean[:, 0])}, {"a": 1e-6}, 0.01)
    shared = np.array([4.5, 0.0, 0.0])
    assert _ask(alone, shared[:1]).p_value <= 0.01
    assert _ask(_rule(clean, 0.01), shared).p_value <= 0.01


def test_names_the_detector_most_out_of_line_first() -> None:
    clean = np.random.default_rng(2).normal(size=(200, 3))
    found = _ask(_rule(clean), np.array([0.0, 9.0, 30.0]))
    assert found.p_value == 1 / 201
    assert tuple(found.p_values) == ("c", "b", "a")
    assert found.suspects(0.05) == ("c", "b")


def test_one_extreme_scan_does_not_set_its_own_scale() -> None:
    clean = np.random.default_rng(3).normal(size=(200, 3))
    rule = _rule(clean)
    deviations = rule.deviations(np.array([1e9, 0.0, 0.0]))
    assert deviations[-1, 0] > 1e8
    assert _ask(rule, np.array([1e9, 0.0, 0.0])).p_value == 1 / 201


def test_statistics_that_never_vary_hold_nobody() -> None:
    rule = _rule(np.zeros((120, 3)))
    assert _ask(rule, np.zeros(3)).p_value == 1.0


@given(
    shift=st.floats(-1e3, 1e3),
    scale=st.floats(1e-2, 1e3),
    seed=st.integers(0, 2**16),
    at=st.integers(0, 2),
)
def test_unit_and_zero_of_a_statistic_do_not_matter(
    shift: float, scale: float, seed: int, at: int
) -> None:
    every = np.random.default_rng(seed).normal(size=(120, 3))
    other = every.copy()
    other[:, at] = shift + scale * other[:, at]
    one, two = (_ask(_rule(some[:-1]), some[-1]) for some in (every, other))
    assert one.p_value == pytest.approx(two.p_value, abs=2 / 120)


def test_the_limit_is_where_holding_begins() -> None:
    rng = np.random.default_rng(4)
    rule = _rule(rng.normal(size=(150, 3)))
    for _ in range(200):
        statistics = rng.normal(size=3) * 1.5
        deviation = rule.deviations(statistics)[-1].max()
        held = _ask(rule, statistics).p_value <= 0.05
        assert held == (deviation > rule.limit(statistics, 0.05))


@pytest.mark.parametrize(
    "results",
    [
        [],
        [DetectorResult(name="a", statistic=0.0, p_value=0.5)],
        [DetectorResult(name=name, statistic=0.0, p_value=0.5) for name in "abd"],
        [DetectorResult(name=name, statistic=0.0, p_value=0.5) for name in "abca"],
    ],
)
def test_refuses_other_detectors_than_its_own(results: list[DetectorResult]) -> None:
    with pytest.raises(ValueError, match="wanted"):
        _rule(np.zeros((120, 3)))(results)


def test_refuses_what_is_no_number() -> None:
    with pytest.raises(ValueError, match="not finite"):
        _rule(np.zeros((120, 3))).scale(np.array([0.0, np.nan, 0.0]))


def test_wants_the_same_scans_for_each_and_enough_of_them() -> None:
    with pytest.raises(NotCalibratedError, match="same scans"):
        JointRule.fit({"a": (0.0,) * 120, "b": (0.0,) * 119}, RESOLUTIONS, 0.01)
    with pytest.raises(NotCalibratedError, match="wanted at least 99"):
        JointRule.fit({"a": (0.0,) * 98}, RESOLUTIONS, 0.01)
    with pytest.raises(NotCalibratedError, match="same scans"):
        JointRule.fit({}, {}, 0.01)
