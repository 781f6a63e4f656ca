from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mri_guard.training.mining import EVEN_SHARE, learnt, odds

difficulties = st.lists(st.floats(0, 1), min_size=1, max_size=40)


@given(difficulties)
def test_draws_every_kind_and_the_harder_oftener(difficulty: list[float]) -> None:
    found = odds(difficulty)
    assert found.sum() == pytest.approx(1)
    assert (found >= EVEN_SHARE / len(difficulty) - 1e-12).all()
    order = sorted(range(len(difficulty)), key=lambda kind: difficulty[kind])
    assert all(found[easy] <= found[hard] + 1e-12 for easy, hard in pairwise(order))


def test_draws_all_alike_where_nothing_is_hard() -> None:
    assert odds([0.0, 0.0]).tolist() == [0.5, 0.5]


def test_learns_which_kinds_stay_and_which_go() -> None:
    difficulty = [1.0, 1.0, 1.0]
    for _ in range(400):
        difficulty = learnt(difficulty, [0, 1, 1], [0.9, -3.0, 0.2])
    assert difficulty[0] == pytest.approx(0.1, abs=0.01)
    assert difficulty[1] == pytest.approx(0.9, abs=0.02)
    assert difficulty[2] == 1.0


@given(difficulties, st.lists(st.floats(-5, 5), max_size=10))
def test_keeps_difficulty_between_nought_and_one(
    difficulty: list[float], shares: list[float]
) -> None:
    after = learnt(difficulty, [0] * len(shares), shares)
    assert all(0 <= value <= 1 for value in after)
    assert after[1:] == difficulty[1:]
