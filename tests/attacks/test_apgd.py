from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from mri_guard.attacks import Apgd, Direction, Pgd, Victim
from mri_guard.determinism import generator
from tests.attacks.victims import IMAGE, MASK, linear, two_halves, victim


def ripples(x: Tensor) -> Tensor:
    """Two waves along two directions, and a slope."""
    steps = torch.arange(IMAGE.numel()).reshape(IMAGE.shape)
    along = [((x - IMAGE) * torch.sin(steps * rate)).sum() for rate in (0.3, 1.1)]
    return (torch.sin(3 * along[0]) + torch.cos(2 * along[1]) + 0.1 * along[0])[None]


def bowl(x: Tensor) -> Tensor:
    """Highest at a place beside the clean image."""
    steps = torch.arange(IMAGE.numel()).reshape(IMAGE.shape)
    return -(x - IMAGE - 0.03 * torch.cos(steps * 0.9)).square().sum()[None]


def valley(x: Tensor) -> Tensor:
    """Narrow: two voxels next to each other pull apart."""
    change = x - IMAGE
    return (change.sum() - 30 * (change[..., 1:] - change[..., :-1]).square().sum())[None]


@pytest.mark.parametrize(("direction", "sign"), [("evade", -1.0), ("alarm", 1.0)])
def test_reaches_the_corner_of_the_ball_for_a_linear_score(
    direction: Direction, sign: float
) -> None:
    attacked, weights = linear(direction)
    found = Apgd()(attacked, 0.1, generator(0, "test"))
    torch.testing.assert_close(found.image - IMAGE, sign * 0.1 * weights.sign() * MASK)


@pytest.mark.parametrize(("score", "gap"), [(ripples, 0.0), (bowl, 0.04), (valley, 12.0)])
def test_comes_further_than_plain_steps_where_a_score_is_curved(
    score: Callable[[Tensor], Tensor], gap: float
) -> None:
    attacked = victim(score)
    for seed in range(3):
        ours = max(Apgd(steps=60)(attacked, 0.1, generator(seed, "test")).history)
        plain = max(Pgd(steps=60)(attacked, 0.1, generator(seed, "test")).history)
        assert ours > plain + gap


def test_lets_go_of_goals_that_are_reached() -> None:
    # A loud goal that is reached at once, and a quiet one that wants the same voxels otherwise.
    def scores(x: Tensor) -> Tensor:
        up = (x - IMAGE)[MASK].mean()
        return torch.stack([50 * up + 4, 0.04 - up])

    attacked = Victim(IMAGE, MASK, scores, "alarm", threshold=0.07)
    rng = generator(0, "test")
    summed = Apgd()(attacked, 0.05, rng)
    lacking = Apgd(objective="hinge")(attacked, 0.05, rng)
    assert float(summed.margins[1]) < 0 < float(lacking.margins[1])


def test_keeps_the_best_of_goals_apart() -> None:
    attacked = two_halves()
    clean = attacked.margins(IMAGE)
    found = Apgd()(attacked, 0.05, generator(0, "test"))
    # The second slice lies on one side of the bump: all of its voxels move by epsilon. Of the first
    # some are so near to it that the random start puts them on its other side, for less.
    low, high = ((found.margins - clean) / (0.05 * 120 / 256)).tolist()
    assert high == pytest.approx(1, rel=1e-4)
    assert 0.95 < low <= 1
