import pytest

from mri_guard.attacks import Direction, Nes
from mri_guard.determinism import generator
from tests.attacks.victims import IMAGE, MASK, linear, two_halves


@pytest.mark.parametrize("direction", ["evade", "alarm"])
def test_comes_within_a_third_of_the_best_change_of_a_linear_score(direction: Direction) -> None:
    attacked, weights = linear(direction)
    found = Nes(queries=1000, tile=1)(attacked, 0.1, generator(0, "test"))
    best = 0.1 * weights[MASK].abs().sum()
    assert (found.margins - attacked.margins(IMAGE)).sum() >= 2 / 3 * best


def test_learns_more_from_tiles_where_scores_are_smooth() -> None:
    gains = []
    for tile in (1, 4):
        found = Nes(queries=60, tile=tile)(two_halves(), 0.1, generator(0, "test"))
        gains.append(float((found.margins - two_halves().margins(IMAGE)).sum()))
    assert gains[1] > 1.3 * gains[0]
