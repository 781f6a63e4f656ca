import math
from dataclasses import replace

import pytest
import torch

from mri_guard.attacks import Boundary, Direction
from mri_guard.determinism import generator
from tests.attacks.victims import IMAGE, MASK, linear, victim


@pytest.mark.parametrize("direction", ["evade", "alarm"])
def test_comes_as_near_as_a_hyperplane_is(direction: Direction) -> None:
    attacked, weights = linear(direction)
    distance = 0.02
    sign = -1.0 if direction == "evade" else 1.0
    threshold = float(attacked.scores(IMAGE) + sign * distance * weights[MASK].abs().sum())
    attacked = replace(attacked, threshold=threshold)
    found, near = Boundary(queries=2000, tile=1).nearest(attacked, 0.03, generator(0, "test"))
    assert distance <= near <= 1.2 * distance
    assert found.first[0] > 0
    assert (found.image - IMAGE).abs().max() <= 0.03 * (1 + 1e-4)


def test_reports_nothing_that_it_found_outside_the_ball() -> None:
    attacked = victim(lambda x: x[MASK].mean()[None] - IMAGE[MASK].mean(), threshold=0.2)
    found, near = Boundary().nearest(attacked, 0.1, generator(0, "test"))
    assert near == pytest.approx(0.2, rel=0.02)
    assert found.first.tolist() == [0]
    assert found.margins[0] == pytest.approx(-0.1, abs=1e-4)


def test_seeks_every_goal_that_its_start_reached() -> None:
    rest = IMAGE.mean((1, 2, 3))
    attacked = victim(lambda x: x.mean((1, 2, 3)) - rest, threshold=0.02)
    found, near = Boundary().nearest(attacked, 0.1, generator(0, "test"))
    assert (found.first > 0).all()
    share = 120 / 256
    assert near == pytest.approx(0.02 / share, rel=0.02)


def test_evades_a_score_of_roughness_by_blurring() -> None:
    noisy = IMAGE + 0.1 * torch.sin(torch.arange(IMAGE.numel()) * 2.1).reshape(IMAGE.shape)

    def roughness(x: torch.Tensor) -> torch.Tensor:
        return (x[..., 1:, :] - x[..., :-1, :]).abs().mean((1, 2, 3))

    threshold = float(roughness(noisy).min()) * 0.8
    attacked = replace(victim(roughness, "evade", threshold), image=noisy)
    found, near = Boundary(tile=1).nearest(attacked, 0.2, generator(0, "test"))
    assert (found.first > 0).all()
    assert near < 0.2


def test_says_infinity_where_no_start_reached_a_goal_and_zero_where_none_is_needed() -> None:
    for threshold, expected in ((1e3, math.inf), (-1e3, 0.0)):
        attacked = victim(lambda x: x.mean()[None], threshold=threshold)
        found, near = Boundary().nearest(attacked, 0.1, generator(0, "test"))
        assert near == expected
        assert found.queries < 100
