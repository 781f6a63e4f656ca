"""Attacks that ask how little is enough."""

import math

import pytest
import torch
from torch import Tensor

from mri_guard.attacks import Attack, AutoEnsemble, CarliniWagner, DeepFool, Direction, Pgd
from mri_guard.attacks.engine import Victim
from mri_guard.determinism import generator
from tests.attacks.victims import IMAGE, MASK, linear, two_halves, victim

MINIMAL = pytest.mark.parametrize("attack", [DeepFool(), CarliniWagner()], ids=lambda a: a.name)
UNBOUNDED = 1e3


def plane(direction: Direction, away: float) -> tuple[Victim, float]:
    """A linear score so far from its threshold, and the smallest change, root mean square."""
    attacked, weights = linear(direction)
    clean, sign = float(attacked.scores(IMAGE)), 1 if direction == "alarm" else -1
    inside = weights[MASK]
    smallest = away / float(inside.norm()) / math.sqrt(len(inside))
    return victim(attacked.scores, direction, clean + sign * away), smallest


def noisy(x: Tensor) -> Tensor:
    """Rises with noise, as the score of any detector of what is unusual: neighbours differ."""
    rough = [(x[..., 1:] - x[..., :-1]).square(), (x[..., 1:, :] - x[..., :-1, :]).square()]
    return (10 * sum(part.mean() for part in rough) + x[MASK].mean())[None]


@MINIMAL
@pytest.mark.parametrize("direction", ["evade", "alarm"])
@pytest.mark.parametrize("away", [0.01, 3.0])
def test_finds_the_distance_to_a_hyperplane(
    attack: Attack, direction: Direction, away: float
) -> None:
    attacked, smallest = plane(direction, away)
    found = attack(attacked, UNBOUNDED, generator(0, "test"))
    assert float(found.least) == pytest.approx(smallest, rel=0.03)
    assert float(found.least) >= smallest * 0.999


@MINIMAL
def test_succeeds_with_no_less_than_the_distance(attack: Attack) -> None:
    attacked, smallest = plane("alarm", 1.0)
    enough = attack(attacked, 1.03 * smallest, generator(0, "test"))
    short = attack(attacked, 0.97 * smallest, generator(0, "test"))
    assert float(enough.margins) > 0
    assert float(short.margins) < 0
    assert torch.isinf(short.least).all()
    assert float((short.image - IMAGE)[MASK].square().mean().sqrt()) <= 0.97 * smallest * 1.001


@MINIMAL
def test_finds_the_smallest_change_of_each_of_several_goals(attack: Attack) -> None:
    base = two_halves()
    clean = base.scores(IMAGE)
    # Slices are apart: the smallest change of each is that of its own 120 voxels, all alike.
    lower = Victim(IMAGE, MASK, lambda x: base.scores(x) - clean, "alarm", threshold=0.01)
    found = attack(lower, UNBOUNDED, generator(0, "test"))
    assert (found.margins > 0).all()
    both = 0.01 * 256 / 120
    assert found.least.max() <= 1.05 * both


@pytest.mark.parametrize(
    "attack", [DeepFool(steps=40), CarliniWagner(), AutoEnsemble(steps=40)], ids=lambda a: a.name
)
def test_evades_without_bounds_where_noise_raises_the_score(attack: Attack) -> None:
    clean = float(noisy(IMAGE))
    attacked = victim(noisy, "evade", clean - 0.05)
    assert not (Pgd()(attacked, UNBOUNDED, generator(0, "test")).margins > 0).any()
    assert (attack(attacked, UNBOUNDED, generator(0, "test")).margins > 0).all()


@MINIMAL
def test_does_nothing_where_nothing_slopes(attack: Attack) -> None:
    flat = victim(lambda x: (0 * x).sum()[None], threshold=1.0)
    found = attack(flat, UNBOUNDED, generator(0, "test"))
    assert torch.equal(found.image, IMAGE)


def test_wants_a_margin_where_confidence_is_asked_for() -> None:
    attacked, _ = plane("alarm", 1.0)
    found = CarliniWagner(confidence=0.5)(attacked, UNBOUNDED, generator(0, "test"))
    assert float(found.margins) >= 0.5
