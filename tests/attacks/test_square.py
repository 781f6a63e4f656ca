import pytest
import torch

from mri_guard.attacks import Direction, Found, Square, Victim
from mri_guard.determinism import generator
from tests.attacks.victims import IMAGE, MASK, linear, two_halves, victim


@pytest.mark.parametrize("direction", ["evade", "alarm"])
def test_comes_within_a_tenth_of_the_best_change_of_a_linear_score(direction: Direction) -> None:
    attacked, weights = linear(direction)
    found = Square(queries=1000)(attacked, 0.1, generator(0, "test"))
    best = 0.1 * weights[MASK].abs().sum()
    gain = (found.margins - attacked.margins(IMAGE)).sum()
    assert 0.9 * best <= gain <= best * (1 + 1e-4)


def test_searches_slices_with_goals_of_their_own_at_the_same_time() -> None:
    """Ten goals in ten slices cost about what one costs, not ten times as much."""
    stack = torch.cat([IMAGE] * 5)
    weights = torch.sin(torch.arange(stack.numel()) * 1.7).reshape(stack.shape)
    mask = torch.cat([MASK] * 5)
    best = 0.1 * (weights * mask).abs().sum()

    def gain(found: Found, attacked: Victim) -> float:
        return float((found.history[-1] - attacked.margins(stack).sum()) / best)

    each = Victim(stack, mask, lambda x: (x * weights).sum((1, 2, 3)), "alarm", 0.0)
    both = Victim(stack, mask, lambda x: (x * weights).sum()[None], "alarm", 0.0)
    apart, together = (
        gain(Square(queries=300)(one, 0.1, generator(0, "test")), one) for one in (each, both)
    )
    assert apart > 0.75
    assert apart > together + 0.2


def test_changes_a_voxel_at_full_strength_or_not_at_all() -> None:
    found = Square(queries=100)(two_halves(), 0.1, generator(0, "test"))
    strengths = (found.image - IMAGE)[MASK].abs().mul(10).round(decimals=4)
    assert set(strengths.tolist()) <= {0.0, 1.0}


def test_tells_the_look_that_passed_the_threshold_first() -> None:
    attacked, weights = linear("alarm")
    threshold = float(attacked.scores(IMAGE) + 0.05 * weights[MASK].abs().sum())
    easy = victim(attacked.scores, "alarm", threshold)
    found = Square()(easy, 0.1, generator(0, "test"))
    first = int(found.first[0])
    assert 1 < first < 500
    assert max(found.history[: first - 1]) <= 0 < found.history[first - 1]
