import pytest
import torch

from mri_guard.attacks import Direction, Pgd
from mri_guard.determinism import generator

IMAGE = torch.linspace(0, 1, 64).reshape(1, 1, 8, 8)
MASK = torch.zeros(1, 1, 8, 8, dtype=torch.bool)
MASK[..., 2:6, 2:6] = True


@pytest.mark.parametrize(("direction", "sign"), [("evade", -1.0), ("alarm", 1.0)])
def test_reaches_the_corner_of_the_ball_for_a_linear_score(
    direction: Direction, sign: float
) -> None:
    weights = torch.where(torch.arange(64).reshape(1, 1, 8, 8) % 2 == 0, 1.0, -2.0)
    attack = Pgd(direction, epsilon=0.1)
    found = attack(IMAGE, MASK, lambda x: (x * weights).sum(), generator(0, "test"))
    torch.testing.assert_close(found.image - IMAGE, sign * 0.1 * weights.sign() * MASK)


def test_changes_nothing_outside_the_mask_and_stays_in_the_ball() -> None:
    found = Pgd("alarm", 0.05)(IMAGE, MASK, lambda x: (x**3).sum(), generator(1, "test"))
    delta = found.image - IMAGE
    assert torch.all(delta[~MASK] == 0)
    assert delta.abs().max() <= 0.05 + 1e-6


def test_does_nothing_at_epsilon_zero() -> None:
    found = Pgd("alarm", 0.0)(IMAGE, MASK, lambda x: x.sum(), generator(0, "test"))
    assert torch.equal(found.image, IMAGE)


def test_never_ends_worse_than_it_began() -> None:
    # a score that rises from the clean image in every direction: evasion has nothing to win
    found = Pgd("evade", 0.1)(IMAGE, MASK, lambda x: ((x - IMAGE) ** 2).sum(), generator(0, "t"))
    assert torch.equal(found.image, IMAGE)


def test_gives_the_same_result_for_the_same_seed() -> None:
    def score(x: torch.Tensor) -> torch.Tensor:
        return (x.sin() * x).sum()

    first = Pgd("alarm", 0.1)(IMAGE, MASK, score, generator(3, "test"))
    again = Pgd("alarm", 0.1)(IMAGE, MASK, score, generator(3, "test"))
    assert torch.equal(first.image, again.image)
    assert first.scores == again.scores
