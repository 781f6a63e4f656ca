"""What every attack owes: its budget kept, no harm done, the truth told, the same again."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mri_guard import attacks
from mri_guard.attacks import ATTACKS, Access, Attack, Direction, Found, Threat, Victim
from mri_guard.determinism import generator
from tests.attacks.physical import LIMITS
from tests.attacks.victims import IMAGE, MASK, latents, linear, two_halves

EPSILON = {Threat.LINF: 0.05, Threat.L2: 0.03, Threat.PATCH: 0.05}
LARGEST = 3.0
"""Of an image: no attack leaves what a scanner could write."""
SHORTER = {
    "surrogate": {"lessons": 20},
    "composed": {"draws": 2, "alone": 2, "steps": 5},
}
"""Of what costs most; nothing that is owed here hangs on it."""


def made(kind: Any, **fields: int) -> Any:
    """One of a kind that does not take long."""
    return replace(kind(), **SHORTER.get(kind.name, {}), **fields)


@pytest.fixture(params=ATTACKS, ids=lambda kind: kind.__name__)
def attack(request: pytest.FixtureRequest) -> Attack:
    attack: Attack = made(request.param)
    return attack


def epsilon_of(attack: Attack) -> float:
    """A budget under which it can do something: of a physical one what it calls realistic."""
    if attack.threat is Threat.PHYSICAL:
        return float(attack.realistic)  # type: ignore[attr-defined]  # every physical one has it
    return EPSILON[attack.threat]


def budget_used(attack: Attack, found: Found, epsilon: float) -> float:
    """Share of the budget that the change spends; of a physical one, of what physics allows."""
    if attack.threat is Threat.PHYSICAL:
        return LIMITS[attack.name](IMAGE, MASK, found.image, epsilon)
    change = (found.image - IMAGE)[MASK]
    if attack.threat is Threat.LINF:
        return float(change.abs().max()) / epsilon
    if attack.threat is Threat.L2:
        return float(change.square().mean().sqrt()) / epsilon
    return float((change != 0).float().mean()) / epsilon


def test_does_not_import_its_siblings(attack: Attack) -> None:
    source = (Path(attacks.__path__[0]) / f"{attack.name}.py").read_text()
    for kind in ATTACKS:
        assert f"mri_guard.attacks.{kind.name} " not in source


@pytest.mark.parametrize("direction", ["evade", "alarm"])
def test_keeps_its_budget_and_what_is_outside_the_mask(
    attack: Attack, direction: Direction
) -> None:
    epsilon = epsilon_of(attack)
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
    found = attack(victim, epsilon_of(attack), generator(2, "contract"))
    clean, reached = victim.margins(IMAGE), victim.margins(found.image)
    assert reached.sum() >= clean.sum() - 1e-6
    assert (found.margins >= clean - 1e-6).all()
    assert (found.margins >= reached - 1e-6).all()
    assert found.queries == len(found.history) >= 1


def test_moves_a_score_further_than_noise_does(attack: Attack) -> None:
    epsilon = epsilon_of(attack)
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

    victim = Victim(IMAGE, MASK, valley, "evade", threshold=-1.0, others=(valley,), latents=latents)
    found = attack(victim, epsilon_of(attack), generator(0, "contract"))
    assert float(victim.margins(found.image)) >= float(victim.margins(IMAGE)) - 1e-6


def test_gives_the_same_for_the_same_seed(attack: Attack) -> None:
    epsilon = epsilon_of(attack)
    once, again = (attack(two_halves(), epsilon, generator(4, "contract")) for _ in range(2))
    assert torch.equal(once.image, again.image)
    assert once.history == again.history


@dataclass(eq=False)
class Counting:
    """Scores without a gradient, that keep what they were shown."""

    scores: Callable[[torch.Tensor], torch.Tensor]
    seen: list[torch.Tensor] = field(default_factory=list)

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        assert not torch.is_grad_enabled()
        assert not image.requires_grad
        self.seen.append(image.clone())
        return self.scores(image)


NO_GRADIENT: list[Any] = [kind for kind in ATTACKS if kind().access is not Access.GRADIENT]
BLACK_BOX: list[Any] = [kind for kind in NO_GRADIENT if hasattr(kind(), "queries")]
TOLD_DECISIONS: list[Any] = [kind for kind in ATTACKS if kind().access is Access.DECISION]


@pytest.mark.parametrize("kind", BLACK_BOX, ids=lambda kind: kind.__name__)
@settings(max_examples=8, deadline=None)
@given(queries=st.integers(1, 60), goals=st.sampled_from([linear, two_halves]))
def test_asks_for_no_gradient_and_no_more_than_its_queries(
    kind: Any, queries: int, goals: Callable[[], Any]
) -> None:
    given = goals()
    victim = given[0] if isinstance(given, tuple) else given
    counting = Counting(victim.scores)
    attack = made(kind, queries=queries)
    found = attack(replace(victim, scores=counting), 0.05, generator(6, "contract"))
    assert len(counting.seen) == found.queries <= queries


@pytest.mark.parametrize("kind", NO_GRADIENT, ids=lambda kind: kind.__name__)
def test_asks_for_no_gradient_if_it_may_have_none(kind: Any) -> None:
    victim = two_halves()
    counting = Counting(victim.scores)
    found = made(kind)(replace(victim, scores=counting), 0.05, generator(6, "contract"))
    assert len(counting.seen) == found.queries


@pytest.mark.parametrize("kind", TOLD_DECISIONS, ids=lambda kind: kind.__name__)
def test_is_led_by_decisions_alone_if_it_may_ask_no_more(kind: Any) -> None:
    middle = IMAGE.mean((1, 2, 3))

    def scores(x: torch.Tensor) -> torch.Tensor:
        return x.mean((1, 2, 3)) - middle - 0.02

    seen = []
    for told in (scores, lambda x: scores(x).sign() * scores(x).abs().sqrt()):
        counting = Counting(told)
        kind()(Victim(IMAGE, MASK, counting, "alarm", 0.0), 0.05, generator(7, "contract"))
        seen.append(counting.seen)
    assert len(seen[0]) == len(seen[1]) > 20
    assert all(torch.equal(one, other) for one, other in zip(*seen, strict=True))


def test_leaves_the_victim_alone(attack: Attack) -> None:
    before = IMAGE.clone()
    attack(two_halves(), epsilon_of(attack), generator(5, "contract"))
    assert torch.equal(IMAGE, before)
