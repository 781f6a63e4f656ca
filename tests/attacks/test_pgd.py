import pytest
import torch

from mri_guard.attacks import Direction, Pgd
from mri_guard.determinism import generator
from tests.attacks.victims import IMAGE, MASK, linear


@pytest.mark.parametrize(("direction", "sign"), [("evade", -1.0), ("alarm", 1.0)])
def test_reaches_the_corner_of_the_ball_for_a_linear_score(
    direction: Direction, sign: float
) -> None:
    victim, weights = linear(direction)
    found = Pgd()(victim, 0.1, generator(0, "test"))
    torch.testing.assert_close(found.image - IMAGE, sign * 0.1 * weights.sign() * MASK)
