"""What every attack owes: its budget kept, no harm done, the truth told, the same again."""

from pathlib import Path

import pytest
import torch

from mri_guard import attacks
from mri_guard.attacks import ATTACKS, Attack, Direction, Found, Threat, Victim
from mri_guard.determinism import generator
from tests.attacks.victims import IMAGE, MASK, latents, linear, two_halves

EPSILON = {Threat.LINF: 0.05, Threat.L2: 0.03, Threat.PATCH: 0.05, Threat.PHYSICAL: 0.1}
LARGEST = 3.0
"""Of an image: no attack leaves what a scanner could write."""


@pytest.fixture(params=ATTACKS, ids=lambda kind: kind.__name__)
def attack(request: pytest.FixtureRequest) -> Attack:
    listed: type[Attack] = request.param
    return listed()


def budget_used(attack: Attack, found: Found, epsilon: float) -> float:
    """Share of the budget that the change spends; of a physical one it is not known here."""
    change = (found.image - IMAGE)[MASK]
    if attack.threat is Threat.LINF:
        return float(change.abs().max()) / epsilon
    if attack.threat is Threat.L2:
        return float(change.square().mean().sqrt()) / epsilon
    if attack.threat is Threat.PATCH:
        return float((change != 0).float().mean()) / epsilon
    return 0.0


def test_does_not_import_its_siblings(attack: Attack) -> None:
    source = (Path(attacks.__path__[0]) / f"{attack.name}.py").read_text()
    for kind in ATTACKS:
        assert f"mri_guard.attacks.{kind.name} " not in source


@pytest.mark.parametrize("direction", ["evade", "alarm"])
def test_keeps_its_budget_and_what_is_outside_the_mask(
    attack: Attack, direction: Direction
) -> None:
    epsilon = EPSILON[attack.threat]
    for victim in (linear(direction)[0], two_halves(direction)):
        found = attack(victim, epsilon, generator(1, "contract"))
        assert budget_used(attack, found, epsilon) <= 1 + 1e-4
        assert torch.isfinite(found.image).all()
        assert found.image.abs().max() <= LARGEST
        assert torch.equal(found.image[~MASK], IMAGE[~MASK])
        assert not found.image.requires_grad


@pytest.mark.parametrize("direction", ["evade", "alarm"])
def test_tells_the_truth_about_how_far_it_came(attack: Attack, direction: Direction) -> None:
    victim = two_halves(direction)
    found = attack(victim, EPSILON[attack.threat], generator(2, "contract"))
    clean, reached = victim.margins(IMAGE), victim.margins(found.image)
    assert reached.sum() >= clean.sum() - 1e-6
    assert (found.margins >= clean - 1e-6).all()
    assert (found.margins >= reached - 1e-6).all()
    assert found.queries == len(found.history) >= 1


def test_moves_a_score_further_than_noise_does(attack: Attack) -> None:
    epsilon = EPSILON[attack.threat]
    victim = two_halves("alarm")
    found = attack(victim, epsilon, generator(3, "contract"))
    clean = victim.margins(IMAGE)
    gain = (found.margins - clean).sum()
    assert gain > 0
    if attack.threat in {Threat.LINF, Threat.L2}:
        rng = generator(3, "noise")
        noise = torch.as_tensor(rng.uniform(-epsilon, epsilon, tuple(IMAGE.shape))).float() * MASK
        assert gain > 2 * (victim.margins(IMAGE + noise) - clean).clamp_min(0).sum()


def test_does_nothing_without_a_budget(attack: Attack) -> None:
    found = attack(two_halves(), 0.0, generator(0, "contract"))
    torch.testing.assert_close(found.image, IMAGE, atol=1e-6, rtol=0)


def test_never_ends_worse_than_it_began(attack: Attack) -> None:
    def valley(x: torch.Tensor) -> torch.Tensor:  # lowest at the clean image
        return (x - IMAGE).square().sum()[None]

    victim = Victim(IMAGE, MASK, valley, "evade", threshold=-1.0, latents=latents)
    found = attack(victim, EPSILON[attack.threat], generator(0, "contract"))
    assert float(victim.margins(found.image)) >= float(victim.margins(IMAGE)) - 1e-6


def test_gives_the_same_for_the_same_seed(attack: Attack) -> None:
    epsilon = EPSILON[attack.threat]
    once, again = (attack(two_halves(), epsilon, generator(4, "contract")) for _ in range(2))
    assert torch.equal(once.image, again.image)
    assert once.history == again.history


def test_leaves_the_victim_alone(attack: Attack) -> None:
    before = IMAGE.clone()
    attack(two_halves(), EPSILON[attack.threat], generator(5, "contract"))
    assert torch.equal(IMAGE, before)
