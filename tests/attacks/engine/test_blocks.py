import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mri_guard.attacks import Victim
from mri_guard.attacks.engine import Linf, Search, search_blocks
from mri_guard.determinism import generator
from tests.attacks.victims import IMAGE, MASK, two_halves, victim


def searched(attacked: Victim, epsilon: float, looks: int, seed: int = 0) -> Search:
    search = Search(attacked)
    search_blocks(search, Linf(attacked, epsilon), generator(seed, "test"), looks=looks)
    return search


def test_finds_the_way_where_there_is_no_gradient() -> None:
    def rounded(image: Tensor) -> Tensor:
        return torch.round(1000 * image[MASK].mean())[None]

    attacked = victim(rounded)
    for seed in range(3):
        gained = searched(attacked, 0.1, 60, seed).margins - attacked.margins(IMAGE)
        assert 60 <= float(gained) <= 100  # of the 100 that the whole ball holds


@settings(max_examples=20, deadline=None)
@given(epsilon=st.floats(1e-3, 0.5), seed=st.integers(0, 99))
def test_keeps_within_ball_and_mask(epsilon: float, seed: int) -> None:
    search = searched(two_halves(), epsilon, 10, seed)
    change = search.image - IMAGE
    assert float(change.abs().max()) <= epsilon + 1e-6
    assert not bool((change * ~MASK).any())


def test_goes_on_from_the_best_seen_and_takes_the_looks_it_was_given() -> None:
    attacked = two_halves()
    search = Search(attacked)
    best = attacked.image + 0.05 * (IMAGE - 0.5).sign() * MASK  # the corner: nothing is better
    search.look(best)
    search_blocks(search, Linf(attacked, 0.05), generator(0, "test"), looks=5)
    assert torch.equal(search.image, best)
    assert search.queries == 2 + 1 + 5
