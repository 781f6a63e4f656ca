"""What all monitors have in common."""

from typing import Any

import numpy as np
import pytest

from mri_guard.determinism import generator
from mri_guard.monitoring import Monitor, State, monitors, shipped

MONITORS = monitors(shipped())


def scans(name: str, n: int, *, changed: bool = False) -> list[Any]:
    rng = generator(0, "all monitors", name, n)
    kind = name.rsplit("_", 1)[1]
    if kind == "cusum":
        return list(rng.normal(1.0 * changed, size=n))
    if kind == "martingale":
        return list(rng.beta(1, 1 + 2 * changed, n))
    if kind == "mix":
        return list(
            rng.choice(["a", "b", "c"], n, p=[0.1, 0.2, 0.7] if changed else [0.7, 0.2, 0.1])
        )
    if kind == "mmd":
        return list(rng.normal(1.0 * changed, size=(n, 4)))
    return [bool(x) for x in rng.random(n) < (0.6 if changed else 0.1)]


def fed(monitor: Monitor, state: State, seen: list[Any]) -> State:
    for one in seen:
        state = monitor(state, one)
    return state


def test_expects_fewer_than_one_false_alarm_of_all_together() -> None:
    kept = shipped()
    others = (len(MONITORS) - 1) * np.log1p(-kept.false_alarm)
    assert -(np.log1p(-kept.cusum_false_alarm) + others) < 1


@pytest.mark.parametrize("name", MONITORS)
def test_goes_on_from_its_json_as_if_it_had_never_stopped(name: str) -> None:
    monitor, seen = MONITORS[name], scans(name, 265)
    at_once = fed(monitor, monitor.state(), seen)
    stored = fed(monitor, monitor.state(), seen[:130]).model_dump_json()
    assert fed(monitor, monitor.state.model_validate_json(stored), seen[130:]) == at_once


@pytest.mark.parametrize("name", MONITORS)
def test_raises_an_alarm_that_stands_once_scans_have_changed(name: str) -> None:
    monitor = MONITORS[name]
    before = fed(monitor, monitor.state(), scans(name, 400))
    after = fed(monitor, before, scans(name, 200, changed=True))
    assert (before.scans, before.alarm, after.alarm) == (400, False, True)
    assert fed(monitor, after, scans(name, 60)).alarm
    begun = after.again()
    assert (begun.alarm, begun.statistic) == (False, 0.0)
    assert fed(monitor, begun, scans(name, 200, changed=True)).alarm


@pytest.mark.parametrize("name", MONITORS)
def test_has_a_finite_limit_and_begins_below_it(name: str) -> None:
    monitor = MONITORS[name]
    assert np.isfinite(monitor.limit)
    assert monitor.state().statistic < monitor.limit
