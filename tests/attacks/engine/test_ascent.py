"""Noise of a random start that no score feels."""

import pytest
import torch
from torch import Tensor

from mri_guard.attacks import Apgd, Attack, Direction, Pgd, PgdL2
from mri_guard.attacks.engine import L2, Linf, Search, ascend
from mri_guard.determinism import generator
from tests.attacks.victims import IMAGE, MASK, linear, victim

FELT = MASK.clone()
FELT[1] = FELT[0, ..., :8] = False


def first_slice(x: Tensor) -> Tensor:
    """Curved; feels the right half of the first slice alone."""
    return ((x - IMAGE) * (0.5 + IMAGE)).where(FELT, 0 * x).tanh().sum()[None]


@pytest.mark.parametrize("attack", [Pgd(), Apgd(), PgdL2()], ids=lambda one: one.name)
@pytest.mark.parametrize("direction", ["evade", "alarm"])
def test_leaves_no_noise_where_no_score_feels_it(attack: Attack, direction: Direction) -> None:
    found = attack(victim(first_slice, direction), 0.1, generator(0, "test"))
    assert torch.equal(found.image[~FELT], IMAGE[~FELT])
    assert (found.image[FELT] != IMAGE[FELT]).all()


@pytest.mark.parametrize("attack", [Pgd(), Apgd()], ids=lambda one: one.name)
def test_reaches_the_corner_where_it_is_felt(attack: Attack) -> None:
    found = attack(victim(first_slice), 0.1, generator(0, "test"))
    best = first_slice(IMAGE + 0.1 * FELT)
    torch.testing.assert_close(found.margins, best)


def test_spends_a_bounded_sum_where_it_is_felt() -> None:
    search = Search(victim(first_slice))
    ball = L2(search.victim, 0.05)
    ascend(search, ball, ball.draw(generator(0, "test")), steps=8, step_size=0.25)
    slope = (0.5 + IMAGE) * FELT  # at the clean image, and nearly so around it
    best = first_slice(ball.image(ball.steepest(slope)))
    assert max(search.history) > 0.97 * float(best)  # 0.98; 0.95 with noise that is not felt


def test_begins_at_the_start_where_everything_is_felt() -> None:
    attacked, _ = linear()
    search, ball = Search(attacked), Linf(attacked, 0.1)
    start = ball.draw(generator(0, "test"))
    assert torch.equal(ascend(search, ball, start, steps=1, step_size=0.0), start)
    assert search.history[1] == float(attacked.margins(ball.image(start)))


def test_still_moves_what_is_felt_only_later() -> None:
    def hinged(x: Tensor) -> Tensor:  # the second slice counts once the first has risen
        one, two = torch.split(((x - IMAGE) * MASK).sum((1, 2, 3)), 1)
        score: Tensor = one.clamp_max(6) + (one > 5) * two
        return score

    found = Pgd()(victim(hinged), 0.1, generator(0, "test"))
    torch.testing.assert_close(found.margins, torch.tensor([6.0 + 0.1 * float(MASK[1].sum())]))
