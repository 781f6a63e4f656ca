import torch
from torch import Tensor

from mri_guard.attacks.engine import Linf, Parts, Search
from tests.attacks.victims import IMAGE, MASK, two_halves, victim


def parts(scores: object, budget: int = 10) -> tuple[Parts, Search]:
    search = Search(victim(scores))  # type: ignore[arg-type]
    return Parts.found(search, 0.05 * MASK.float(), budget), search


def test_finds_the_slice_that_each_goal_listens_to() -> None:
    found, search = parts(lambda x: torch.stack([x[1].mean(), x[0].mean()]))
    margins = torch.tensor([3.0, 5.0])
    assert found.spread(found.values(margins)).flatten().tolist() == [5.0, 3.0]
    assert search.queries == 3


def test_joins_goals_that_listen_to_one_slice_and_leaves_out_a_slice_that_moves_none() -> None:
    found, _ = parts(lambda x: torch.stack([x[1].mean(), x[1].square().mean()]))
    assert found.count == 1
    assert found.spread(found.values(torch.tensor([3.0, 5.0]))).flatten().tolist() == [0.0, 8.0]


def test_gives_a_slice_of_nobody_to_the_goal_that_it_moves_most() -> None:
    stack = torch.cat([IMAGE, IMAGE])[:3]

    def scores(x: Tensor) -> Tensor:
        each = x.mean((1, 2, 3))
        return torch.stack([each[0], each[2] + 0.1 * each[1]])

    search = Search(
        type(two_halves())(stack, torch.ones_like(stack, dtype=torch.bool), scores, "alarm", 0.0)
    )
    found = Parts.found(search, torch.full_like(stack, 0.1), 10)
    assert found.spread(torch.tensor([1.0, 2.0])).flatten().tolist() == [1.0, 2.0, 2.0]


def test_asks_nothing_beyond_its_budget_nor_for_one_goal() -> None:
    for scores, budget in (
        (lambda x: x.mean((1, 2, 3)), 1),
        (lambda x: x.mean()[None], 10),
    ):
        found, search = parts(scores, budget)
        assert search.queries == 1
        assert found.count == 1
        assert Linf(search.victim, 0.1).rest().shape == IMAGE.shape
        total = found.values(search.clean)
        torch.testing.assert_close(total, search.clean.sum()[None])
