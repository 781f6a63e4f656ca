import pytest

from mri_guard.attacks import Direction, Spsa
from mri_guard.determinism import generator
from tests.attacks.victims import IMAGE, MASK, linear


@pytest.mark.parametrize("direction", ["evade", "alarm"])
def test_comes_within_a_third_of_the_best_change_of_a_linear_score(direction: Direction) -> None:
    attacked, weights = linear(direction)
    found = Spsa(queries=1000, tile=1)(attacked, 0.1, generator(0, "test"))
    best = 0.1 * weights[MASK].abs().sum()
    assert (found.margins - attacked.margins(IMAGE)).sum() >= 2 / 3 * best
