from mri_guard.evaluation.latency import latency
from mri_guard.records import StepTiming


def test_gives_median_and_slowest_twentieth_of_those_who_reached_the_step() -> None:
    scans = [[StepTiming(name="decode", milliseconds=ms)] for ms in range(1, 22)]
    scans[3].append(StepTiming(name="score", milliseconds=50))
    assert latency(scans) == [
        {"step": "decode", "n": 21, "median_ms": 11, "p95_ms": 20},
        {"step": "score", "n": 1, "median_ms": 50, "p95_ms": 50},
    ]
    assert latency([]) == []
