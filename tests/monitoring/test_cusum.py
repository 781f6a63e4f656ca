import numpy as np
import pytest

from mri_guard.determinism import generator
from mri_guard.monitoring.cusum import Cusum, CusumState, step


def run_lengths(limit: float, allowance: float, shift: float, streams: int = 2000) -> np.ndarray:
    rng = generator(0, "run length", str(limit), str(allowance), str(shift))
    upper, lower, length = np.zeros(streams), np.zeros(streams), np.zeros(streams)
    scans = 0
    while (length == 0).any():
        scans += 1
        upper, lower = step(upper, lower, rng.standard_normal(streams) + shift, allowance)
        reached = np.maximum(upper, lower) >= limit
        length[reached & (length == 0)] = scans
    return length


@pytest.mark.parametrize(
    ("limit", "allowance", "shift", "published"),
    [
        (8.01, 0.25, 0.0, 370.0),  # Hawkins 1993, as in Montgomery 2013, table 9.4
        (4.0, 0.5, 0.0, 168.0),  # Montgomery 2013, table 9.3
        (4.0, 0.5, 1.0, 8.38),
        (4.0, 0.5, 0.5, 26.6),
        (5.0, 0.5, 1.0, 10.4),
    ],
)
def test_runs_as_long_as_published(
    limit: float, allowance: float, shift: float, published: float
) -> None:
    lengths = run_lengths(limit, allowance, shift)
    error = lengths.std() / np.sqrt(len(lengths))
    assert abs(lengths.mean() - published) < 4 * error + 0.005 * published


def test_adds_what_is_beyond_the_allowance() -> None:
    state = CusumState()
    for z in (1.0, 1.0, -0.5, -3.0):
        state = Cusum(10.0, 0.25)(state, z)
    assert (state.upper, state.lower) == (0.0, 3.0)
    assert (state.statistic, state.scans, state.alarm) == (3.0, 4, False)


@pytest.mark.parametrize("z", [2.0, -2.0])
def test_raises_its_alarm_at_the_limit_either_way(z: float) -> None:
    chart = Cusum(3.5, 0.25)
    first = chart(CusumState(), z)
    second = chart(first, z)
    assert (first.alarm, second.alarm) == (False, True)
    assert chart(second, -10 * z).alarm
