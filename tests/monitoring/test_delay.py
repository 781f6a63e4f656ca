"""The claim that `benchmarks.detection_delay` measures, on fewer streams."""

import numpy as np

from mri_guard.determinism import generator
from mri_guard.metrics.proportion import clopper_pearson
from mri_guard.monitoring import monitors, normal_score, shipped
from mri_guard.monitoring.limits import largest_cusum
from mri_guard.monitoring.ranks import online_p_values

STREAMS, BEFORE, AFTER = 100, 1000, 100


def found(scores: np.ndarray, rng: np.random.Generator) -> int:
    """Streams in which the chart speaks within `AFTER` scans."""
    monitor, alarms = monitors(shipped())["score_cusum"], 0
    for p in online_p_values(scores, BEFORE, rng):
        state = monitor.state()
        for one in p:
            state = monitor(state, normal_score(one))
        alarms += state.alarm
    return alarms


def test_finds_half_a_standard_deviation_in_a_hundred_scans_more_often_than_not() -> None:
    rng = generator(0, "delay")
    scores = rng.standard_normal((STREAMS, BEFORE + AFTER))
    scores[:, BEFORE:] += 0.5
    assert clopper_pearson(found(scores, rng), STREAMS)[0] > 0.5


def test_finds_scores_that_fall_as_well() -> None:
    rng = generator(0, "falling")
    scores = rng.standard_normal((STREAMS, BEFORE + AFTER))
    scores[:, BEFORE:] -= 0.5
    assert clopper_pearson(found(scores, rng), STREAMS)[0] > 0.5


def test_says_nothing_where_nothing_has_changed() -> None:
    rng = generator(0, "unchanged")
    # Half of all streams of 20,000 scans may have an alarm; here are 10,000 scans in all.
    assert found(rng.exponential(size=(STREAMS, BEFORE + AFTER)), rng) <= 2


def test_counts_as_many_streams_at_once_as_one_by_one() -> None:
    rng = generator(0, "at once")
    z = rng.standard_normal((40, 5))
    monitor = monitors(shipped())["score_cusum"]
    expected = []
    for stream in z.T:
        state, statistics = monitor.state(), [0.0]
        for one in stream:
            state = monitor(state, one)
            statistics.append(state.statistic)
        expected.append(max(statistics))
    assert largest_cusum(iter(z), 5).tolist() == expected
