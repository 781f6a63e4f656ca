import pytest
import torch
from torch import Tensor

from mri_guard.attacks import Apgd, AutoEnsemble, Direction, Pgd, Victim
from mri_guard.determinism import generator
from tests.attacks.victims import IMAGE, MASK, linear, two_halves, victim


def test_reaches_the_corner_of_the_ball_for_a_linear_score() -> None:
    attacked, weights = linear()
    found = AutoEnsemble(steps=4, looks=2)(attacked, 0.1, generator(0, "test"))
    torch.testing.assert_close(found.image - IMAGE, 0.1 * weights.sign() * MASK)


def test_moves_a_score_whose_gradient_is_hidden() -> None:
    # Rounded: no gradient anywhere, and so nothing for the others to climb.
    attacked = victim(lambda x: torch.round(200 * x[MASK].mean())[None])
    clean = attacked.margins(IMAGE)
    hidden = Apgd()
    for seed in range(3):
        found = AutoEnsemble(steps=2, looks=60)(attacked, 0.1, generator(seed, "test"))
        assert float(found.margins - clean) >= 5
        assert float(hidden(attacked, 0.1, generator(seed, "test")).margins - clean) <= 2


def test_goes_further_than_steps_along_a_gradient_that_jumps() -> None:
    # A median's slope lies in one voxel at a time, and in another after each step.
    def middle(x: Tensor) -> Tensor:
        return torch.stack([50 * part[mask].median() for part, mask in zip(x, MASK, strict=True)])

    attacked = victim(middle)
    for seed in range(3):
        ours = max(AutoEnsemble()(attacked, 0.05, generator(seed, "test")).history)
        plain = max(Pgd()(attacked, 0.05, generator(seed, "test")).history)
        assert ours >= plain


def test_keeps_the_best_of_goals_apart() -> None:
    def opposed(x: Tensor) -> Tensor:  # what one wins the other loses
        up = (x - IMAGE)[MASK].mean()
        return torch.stack([up, -up])

    attacked = Victim(IMAGE, MASK, opposed, "alarm", threshold=0.02)
    found = AutoEnsemble(steps=8, looks=60)(attacked, 0.05, generator(0, "test"))
    assert (found.margins > 0).sum() >= 1
    assert found.margins.sum() > max(found.history) + 0.03


@pytest.mark.parametrize("direction", ["evade", "alarm"])
def test_is_no_less_far_than_its_parts(direction: Direction) -> None:
    attacked = two_halves(direction)
    rng = generator(0, "test")
    ensemble = AutoEnsemble()(attacked, 0.05, rng)
    part = Apgd()(attacked, 0.05, generator(0, "test"))
    assert (ensemble.margins >= part.margins - 1e-6).all()
