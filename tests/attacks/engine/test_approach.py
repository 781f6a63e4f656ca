import math

import pytest
import torch
from torch import Tensor

from mri_guard.attacks import Direction
from mri_guard.attacks.engine import L2, Linf, Search, approach, boundary, shortfall
from tests.attacks.victims import IMAGE, MASK, linear, two_halves, victim


def hyperplane(direction: Direction, away: float) -> tuple[Search, Tensor, float]:
    """A linear score that is this far from its threshold, and its weights."""
    attacked, weights = linear(direction)
    clean = float(attacked.scores(IMAGE))
    sign = 1 if direction == "alarm" else -1
    return Search(victim(attacked.scores, direction, clean + sign * away)), weights, away


@pytest.mark.parametrize("direction", ["evade", "alarm"])
@pytest.mark.parametrize("pull", [0.0, 0.1])
def test_finds_the_distance_to_a_hyperplane(direction: Direction, pull: float) -> None:
    search, weights, away = hyperplane(direction, 2.0)
    inside = weights[MASK]
    ball = L2(search.victim, 1e3)
    search.size = ball.size
    approach(search, ball, ball.rest(), steps=6, targets=boundary(search), pull=pull)
    expected = away / float(inside.norm()) / math.sqrt(len(inside))
    assert float(search.least) == pytest.approx(expected, rel=0.02)
    assert float(search.least) >= expected * (1 - 1e-3)


def test_finds_the_distance_in_the_largest_voxel() -> None:
    search, weights, away = hyperplane("alarm", 2.0)
    ball = Linf(search.victim, 1e3)
    approach(search, ball, ball.rest(), steps=6, targets=boundary(search))
    assert float(search.least) == pytest.approx(away / float(weights[MASK].abs().sum()), rel=0.02)


def test_comes_nearest_to_the_clean_image_on_a_curved_boundary() -> None:
    # Past a sphere around a point beside the clean image: nearest along the line through both.
    middle = IMAGE - 0.02 * torch.cos(torch.arange(IMAGE.numel()) * 0.7).reshape(IMAGE.shape) * MASK
    offset = float((IMAGE - middle).norm())
    noise = torch.randn(IMAGE.shape, generator=torch.Generator().manual_seed(0))
    least = []
    for pull in (0.0, 0.5):
        search = Search(victim(lambda x: (x - middle).norm()[None], threshold=3 * offset))
        search.size = lambda change: float(change.norm())
        ball = L2(search.victim, 1e3)
        start = ball.project(0.05 * offset * noise)
        approach(search, ball, start, steps=30, targets=boundary(search), pull=pull)
        least.append(float(search.least))
    assert least[1] == pytest.approx(2 * offset, rel=0.03)
    assert least[1] < 0.95 * least[0]


def test_steps_longer_where_a_score_promises_more_than_it_keeps() -> None:
    # Steep at the clean image, and flat soon after: a linear step gets nowhere.
    weights = linear()[1]

    def bent(x: Tensor) -> Tensor:
        along = ((x - IMAGE) * weights).sum()[None]
        return torch.tanh(100 * along) / 10 + along / 10

    search = Search(victim(bent, threshold=1.0))
    ball = L2(search.victim, 1e3)
    approach(search, ball, ball.rest(), steps=15, targets=boundary(search))
    assert torch.isfinite(search.least).all()


def test_goes_just_past_the_threshold_or_further_where_all_are_past_it() -> None:
    some = Search(victim(lambda x: torch.stack([x[0].mean(), -x[1].mean()])))
    assert boundary(some).tolist() == pytest.approx([1e-5, 1e-5])
    every = Search(victim(lambda x: x.mean((1, 2, 3))))
    torch.testing.assert_close(boundary(every), every.clean + 1)


def test_takes_back_a_step_that_led_astray() -> None:
    # A narrow dip: the linear distance leads far up its other side.
    def dip(x: Tensor) -> Tensor:
        along = (x - IMAGE)[MASK].mean()
        return (torch.square(along - 0.01) * 1e4 + 0.0)[None]

    search = Search(victim(dip, "evade", threshold=0.01))
    ball = L2(search.victim, 1e3)
    approach(search, ball, ball.rest(), steps=20, targets=boundary(search))
    assert torch.isfinite(search.least).all()


def test_pulls_no_more_at_what_has_been_reached() -> None:
    targets = torch.tensor([1.0, 1.0])
    search, ball = Search(two_halves()), Linf(two_halves(), 0.1)
    half = torch.tensor([search.clean[0] - 1, search.clean[1] + 1])
    _, gradient = search.climb(ball.rest(), ball.image, shortfall(half))
    assert not gradient[0].any()
    assert gradient[1].any()
    assert float(shortfall(targets)(torch.tensor([3.0, 0.5]))) == -0.5


def test_stays_where_nothing_slopes() -> None:
    search = Search(victim(lambda x: (x * 0).sum()[None], threshold=1.0))
    ball = L2(search.victim, 0.1)
    last = approach(search, ball, ball.rest(), steps=5, targets=boundary(search))
    assert not last.any()
