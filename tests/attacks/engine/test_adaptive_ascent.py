import pytest
import torch

from mri_guard.attacks.engine import L2, Linf, Search, ascend, ascend_adaptively
from mri_guard.attacks.engine.adaptive_ascent import checkpoints
from mri_guard.determinism import generator
from tests.attacks.victims import IMAGE, MASK, linear, victim


def test_looks_at_its_steps_when_the_paper_says() -> None:
    # Of 100 steps: 0.22, then each interval 0.03 shorter, down to 0.06.
    assert sorted(checkpoints(100)) == [22, 41, 57, 70, 80, 87, 93, 99, 105]


@pytest.mark.parametrize("steps", [0, 1, 2, 7])
def test_takes_as_many_gradients_as_it_is_told(steps: int) -> None:
    search = Search(linear()[0])
    ball = Linf(search.victim, 0.1)
    ascend_adaptively(search, ball, ball.rest(), steps=steps)
    assert search.queries == steps + 1


def test_reaches_the_corner_in_two_looks() -> None:
    attacked, weights = linear()
    search, ball = Search(attacked), Linf(attacked, 0.1)
    best = ascend_adaptively(search, ball, ball.rest(), steps=2)
    torch.testing.assert_close(best, 0.1 * weights.sign() * MASK)


@pytest.mark.parametrize("kind", [Linf, L2])
def test_comes_as_near_to_a_peak_as_steps_that_halve_can(kind: type[Linf] | type[L2]) -> None:
    peak = IMAGE + 0.03 * torch.cos(torch.arange(IMAGE.numel()) * 0.9).reshape(IMAGE.shape) * MASK
    attacked = victim(lambda x: -(x - peak).square().sum()[None])
    adaptive, plain = Search(attacked), Search(attacked)
    ball = kind(attacked, 0.1)
    start = ball.draw(generator(0, "test"))
    best = ascend_adaptively(adaptive, ball, start, steps=60)
    ascend(plain, ball, start, steps=60, step_size=0.25)
    assert torch.equal(ball.image(best), adaptive.found().image)
    assert -max(adaptive.history) < 0.05 * -max(plain.history)
