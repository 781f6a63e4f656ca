import numpy as np
import pytest
import torch
from torch import Tensor

from mri_guard.attacks import Found, Pgd, Victim
from mri_guard.attacks.engine import Way, attack_defended, defended, on_stack, strongest
from mri_guard.defences import TRANSFORMATIONS, BitDepth, Median, Transformation
from mri_guard.determinism import generator
from tests.attacks.victims import IMAGE, MASK, linear

BITS = on_stack(BitDepth(bits=3))
"""Steps of 1/7: far wider than what the attack may change."""


def _looks_like(image: Tensor) -> Victim:
    """A victim that scores how much of one pattern it sees, just short of success."""
    _, weights = linear()
    clean = float((image * weights).sum())
    return Victim(image, MASK, lambda x: (x * weights).sum()[None], "alarm", clean + 0.5)


def test_naive_attack_gets_nowhere_and_another_way_succeeds() -> None:
    # Each pixel in the middle of a rounding step, as most of an image's pixels are near no edge;
    # a third of them near one, where a small change tips them over.
    grid = torch.round(IMAGE * 7) / 7
    near = torch.arange(IMAGE.numel()).reshape(IMAGE.shape) % 3 == 0
    image = grid + near * (0.5 / 7 - 0.02)
    victim, epsilon = _looks_like(image), 0.03
    found = attack_defended(Pgd(steps=10), victim, BITS, epsilon, generator(0, "ways"))
    best = strongest(list(found.values()))
    other = max(float(found[way].margins) for way in (Way.STRAIGHT_THROUGH, Way.IGNORING))
    assert float(found[Way.NAIVE].margins) < 0 < other
    assert float(best.margins) == other


@pytest.mark.parametrize("way", Way)
@pytest.mark.parametrize("transform", TRANSFORMATIONS, ids=lambda one: one.name)
def test_every_way_looks_at_the_defended_score(way: Way, transform: Transformation) -> None:
    victim, weights = linear()
    through = on_stack(transform)
    seen = defended(victim, through, way).scores(IMAGE)
    torch.testing.assert_close(seen, (through(IMAGE) * weights).sum()[None])


def test_gradient_is_of_the_way() -> None:
    def squares(x: Tensor) -> Tensor:
        return x.square().sum()[None]

    victim = Victim(IMAGE, MASK, squares, "alarm", 0.0)
    wanted = {Way.NAIVE: 0 * IMAGE, Way.STRAIGHT_THROUGH: 2 * BITS(IMAGE), Way.IGNORING: 2 * IMAGE}
    for way, gradient in wanted.items():
        image = IMAGE.clone().requires_grad_()
        (got,) = torch.autograd.grad(defended(victim, BITS, way).scores(image).sum(), image)
        torch.testing.assert_close(got, gradient)


def test_stack_goes_through_a_transformation_of_volumes_slice_by_slice() -> None:
    volume = np.moveaxis(IMAGE[:, 0].numpy(), 0, 2)
    wanted = torch.from_numpy(np.moveaxis(Median()(volume), 2, 0).copy())[:, None]
    assert torch.equal(on_stack(Median())(IMAGE), wanted)


def test_strongest_keeps_the_best_of_each_goal_and_counts_all_looks() -> None:
    def found(margins: list[float], history: tuple[float, ...], first: list[int]) -> Found:
        image = torch.full((1,), max(history))
        least = torch.tensor([0.1 if look else torch.inf for look in first])
        return Found(
            image, torch.tensor(margins), history, len(history), torch.tensor(first), least
        )

    one, two = found([1.0, -1.0], (-2.0, 0.0), [2, 0]), found([-1.0, 3.0], (-2.0, 1.0, 2.0), [0, 3])
    best = strongest([one, two])
    assert best.margins.tolist() == [1.0, 3.0]
    assert best.history == (-2.0, 0.0, -2.0, 1.0, 2.0)
    assert best.queries == 5
    assert best.first.tolist() == [2, 5]
    assert best.least.tolist() == pytest.approx([0.1, 0.1])
    assert best.image.tolist() == [2.0]
