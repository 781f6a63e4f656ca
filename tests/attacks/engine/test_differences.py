import math

import pytest
import torch
from torch import Tensor

from mri_guard.attacks.engine import Search, bounded, slope, tiled
from mri_guard.determinism import generator
from tests.attacks.victims import IMAGE, MASK, linear, victim


def cosine(one: Tensor, other: Tensor) -> float:
    return float(torch.nn.functional.cosine_similarity(one.flatten(), other.flatten(), 0))


@pytest.mark.parametrize("law", ["gauss", "signs"])
def test_estimates_the_gradient_better_the_more_directions_it_takes(law: str) -> None:
    """Of n directions in d dimensions the cosine is about the root of n / (n + d)."""
    attacked, weights = linear()
    rng = generator(0, "test", law)

    def draw(shape: tuple[int, ...]) -> object:
        return rng.standard_normal(shape) if law == "gauss" else rng.choice([-1.0, 1.0], shape)

    size = int(MASK.sum())
    for count in (20, 200, 800):
        directions = (tiled(attacked, 1, draw) for _ in range(count))
        estimate = slope(lambda x: attacked.scores(x)[0], IMAGE, directions, 0.1)
        expected = math.sqrt(count / (count + size))
        assert cosine(estimate, weights * MASK) == pytest.approx(expected, abs=0.08)


def test_is_the_gradient_of_a_parabola_along_one_direction_exactly() -> None:
    at, direction = torch.tensor([1.0, 2.0]), torch.tensor([1.0, 0.0])
    found = slope(lambda x: x.square().sum(), at, [direction], 0.3)
    torch.testing.assert_close(found, torch.tensor([2.0, 0.0]))


def test_draws_alike_within_tiles_and_nothing_outside_the_mask() -> None:
    attacked, _ = linear()
    drawn = tiled(attacked, 4, generator(0, "test").standard_normal)
    assert drawn.shape == IMAGE.shape
    assert torch.equal(drawn[~MASK], torch.zeros_like(drawn[~MASK]))
    assert len(set(drawn[0, 0, 4:8, 4:8].flatten().tolist())) == 1
    assert len(set(drawn[MASK].tolist())) == 2 * 4 * 4


def test_counts_nothing_outside_the_ball_and_what_a_detector_notices_in_it() -> None:
    plain = victim(lambda x: x.mean((1, 2, 3)))
    search = Search(bounded(plain, 0.1))
    search.look(IMAGE + 0.11 * MASK)
    assert torch.equal(search.found().image, IMAGE)
    search.look(IMAGE + 0.1 * MASK)
    assert torch.equal(search.found().image, IMAGE + 0.1 * MASK)
    watched = type(plain)(IMAGE, MASK, plain.scores, "alarm", 0.0, hidden=lambda x: -x.max()[None])
    search = Search(bounded(watched, 0.1))
    search.look(IMAGE + 0.1 * MASK)
    assert torch.equal(search.found().image, IMAGE)
