from mri_guard.evaluation.robustness.pictures import picks
from tests.evaluation.robustness.test_attacked import answer


def test_picks_slices_by_how_far_they_moved_one_of_a_scan() -> None:
    found = picks([("evade", 0, answer([4.0, 1.0], [0, 9])), ("evade", 1, answer([2.0], [5]))])
    assert set(found) == {"evade_most", "evade_median", "evade_least"}
    assert found["evade_most"] == [("evade", 0, 1), ("evade", 1, 0)]
    assert found["evade_least"][0] == ("evade", 0, 0)
