import pytest
import torch

from mri_guard.attacks.engine import L2, Search
from tests.attacks.victims import IMAGE, MASK, victim


def test_begins_with_the_clean_image_and_counts_every_look() -> None:
    search = Search(victim(lambda x: x.mean((1, 2, 3))))
    search.look(IMAGE + 0.1 * MASK)
    found = search.found()
    assert found.queries == len(found.history) == 2
    torch.testing.assert_close(found.image, IMAGE + 0.1 * MASK)


def test_keeps_the_best_of_each_goal_whichever_image_it_was() -> None:
    search = Search(victim(lambda x: x.mean((1, 2, 3))))
    up = torch.zeros_like(IMAGE)
    up[0] = 0.3
    down = torch.zeros_like(IMAGE)
    down[1], down[0] = 0.2, -0.4
    search.look(IMAGE + up)
    search.look(IMAGE + down)
    found = search.found()
    expected = IMAGE.mean((1, 2, 3)) + torch.tensor([0.3, 0.2])
    torch.testing.assert_close(found.margins, expected)
    torch.testing.assert_close(found.image, IMAGE + up)


def test_tells_the_look_that_reached_a_goal_first() -> None:
    base = IMAGE.mean((1, 2, 3))
    search = Search(victim(lambda x: x.mean((1, 2, 3)) - base, threshold=0.15))
    for amount in (0.1, 0.2, 0.3):
        search.look(IMAGE + amount * torch.tensor([1.0, 0.0]).reshape(2, 1, 1, 1))
    assert search.found().first.tolist() == [3, 0]


def test_counts_nothing_that_a_detector_notices() -> None:
    watched = victim(lambda x: x.mean((1, 2, 3)))
    bright = torch.ones_like(IMAGE)

    def hidden(x: torch.Tensor) -> torch.Tensor:
        return (1.0 - x.max())[None]

    search = Search(type(watched)(IMAGE, MASK, watched.scores, "alarm", 0.0, hidden=hidden))
    search.look(bright)
    assert torch.equal(search.found().image, IMAGE)
    torch.testing.assert_close(search.found().margins, IMAGE.mean((1, 2, 3)))


def test_gives_the_gradient_of_the_objective() -> None:
    search = Search(victim(lambda x: x.square().sum((1, 2, 3)), "evade"))
    _, gradient = search.climb(torch.zeros_like(IMAGE), lambda delta: IMAGE + delta)
    torch.testing.assert_close(gradient, -2 * IMAGE)


def test_tells_the_smallest_change_that_reached_each_goal() -> None:
    base = IMAGE.mean((1, 2, 3))
    search = Search(victim(lambda x: x.mean((1, 2, 3)) - base, threshold=0.15))
    for first, second in ((0.3, 0.0), (0.2, 0.1), (0.25, 0.0)):
        search.look(IMAGE + torch.tensor([first, second]).reshape(2, 1, 1, 1))
    assert search.found().least.tolist() == pytest.approx([0.2, torch.inf])


def test_tells_no_change_at_all_of_a_goal_that_was_reached_at_once() -> None:
    search = Search(victim(lambda x: x.mean((1, 2, 3))))
    search.look(IMAGE + 0.1)
    assert search.found().least.tolist() == [0, 0]


def test_measures_changes_as_it_is_told() -> None:
    base = IMAGE.mean((1, 2, 3))
    attacked = victim(lambda x: x.mean((1, 2, 3)) - base)
    search = Search(attacked, L2(attacked, 1.0).size)
    search.look(IMAGE + 0.1 * MASK)
    assert search.found().least.tolist() == pytest.approx([0.1, 0.1])


def test_climbs_something_else_and_looks_at_the_margins() -> None:
    search = Search(victim(lambda x: x.mean((1, 2, 3))))
    margins, gradient = search.climb(
        torch.zeros_like(IMAGE), lambda delta: IMAGE + delta, aim=lambda x: (3 * x).sum()
    )
    assert torch.equal(margins, IMAGE.mean((1, 2, 3)))
    assert torch.equal(gradient, torch.full_like(IMAGE, 3.0))
