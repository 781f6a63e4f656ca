"""Signed steps of a fixed size."""

import pytest
import torch

from mri_guard.attacks import Attack, Bim, Direction, Fgsm, MiFgsm, PgdL2
from mri_guard.determinism import generator
from tests.attacks.victims import IMAGE, MASK, linear, victim


@pytest.mark.parametrize("attack", [Fgsm(), Bim(), MiFgsm()], ids=lambda one: one.name)
@pytest.mark.parametrize(("direction", "sign"), [("evade", -1.0), ("alarm", 1.0)])
def test_reaches_the_corner_of_the_ball_for_a_linear_score(
    attack: Attack, direction: Direction, sign: float
) -> None:
    attacked, weights = linear(direction)
    found = attack(attacked, 0.1, generator(0, "test"))
    torch.testing.assert_close(found.image - IMAGE, sign * 0.1 * weights.sign() * MASK)


def test_reaches_the_ball_s_surface_along_the_weights() -> None:
    attacked, weights = linear()
    found = PgdL2(steps=40)(attacked, 0.1, generator(0, "test"))
    inside = weights * MASK
    best = 0.1 * 240**0.5 * inside / inside.norm()
    torch.testing.assert_close(found.image - IMAGE, best, atol=2e-3, rtol=0)


def test_does_not_spend_its_steps_on_being_rid_of_noise() -> None:
    attacked, weights = linear()
    found = PgdL2(steps=8)(attacked, 0.1, generator(0, "test"))
    best = 0.1 * 240**0.5 * (weights * MASK).norm()
    gain = float(found.margins - attacked.margins(IMAGE))
    assert gain > 0.98 * float(best)


def test_takes_one_gradient_at_the_clean_image() -> None:
    # Curved: what is steepest at the clean image is not what is highest in the ball.
    attacked = victim(lambda x: -(x - IMAGE - 0.01).square().sum()[None])
    found = Fgsm()(attacked, 0.1, generator(0, "test"))
    assert found.queries == 3
    assert torch.equal(found.image, IMAGE)  # the step led too far


def test_goes_on_in_the_direction_that_most_gradients_had() -> None:
    # Each voxel's slope turns back and forth on the way up; gathered, the turns cancel.
    def ridged(x: torch.Tensor) -> torch.Tensor:
        change = (x - IMAGE)[MASK]
        return (change + 0.03 * torch.sin(change * 150)).sum()[None]

    attacked = victim(ridged)
    plain = Bim()(attacked, 0.1, generator(0, "test"))
    gathered = MiFgsm()(attacked, 0.1, generator(0, "test"))
    assert float(gathered.margins) > float(plain.margins)
