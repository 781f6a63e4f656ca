"""What MR-physical attacks come to, beside the random artifacts of the same strength."""

import numpy as np
import pytest
import torch
from torch import Tensor

from mri_guard import artifacts, attacks
from mri_guard.attacks import ATTACKS, Attack, Direction, Threat, Victim
from mri_guard.determinism import generator
from mri_guard.ports import Artifact
from tests.attacks.physics.heads import head, victim, volume

PHYSICAL = tuple(kind for kind in ATTACKS if kind().threat is Threat.PHYSICAL)
BESIDE: tuple[tuple[type[Attack], type[Artifact], float], ...] = (
    (attacks.BiasField, artifacts.BiasField, 1.2),
    (attacks.Motion, artifacts.Motion, 1.2),
    (attacks.Ghosting, artifacts.Ghosting, 1.05),
    (attacks.Gibbs, artifacts.Gibbs, 1.0),
    (attacks.Spike, artifacts.Spike, 2.0),
    (attacks.RicianNoise, artifacts.RicianNoise, 3.0),
)
"""Attack, artifact, and by how much it beats the best of 30 random ones on the toy at least."""
STRENGTH = 0.3


def gain(attacked: Victim, image: Tensor) -> float:
    return float((attacked.margins(image) - attacked.margins(attacked.image)).sum())


@pytest.mark.parametrize("direction", ["evade", "alarm"])
@pytest.mark.parametrize(
    ("attack", "artifact", "times"), BESIDE, ids=lambda one: getattr(one, "__name__", str(one))
)
def test_beats_random_artifacts(
    attack: type[Attack], artifact: type[Artifact], times: float, direction: Direction
) -> None:
    attacked, (signal, mask) = victim(direction), head()
    best = 0.0
    for seed in range(30):
        shown = artifact.draw(generator(seed, "random"), STRENGTH)(volume(signal))
        stack = torch.as_tensor(np.moveaxis(shown, 2, 0).copy())[:, None]
        best = max(best, gain(attacked, torch.where(mask, stack, signal)))
    epsilon = STRENGTH
    if attack is attacks.BiasField:
        epsilon = 3 ** (STRENGTH / 2) - 1  # as strong as the artifact's field about its middle
    found = attack()(attacked, epsilon, generator(0, "attack"))
    assert gain(attacked, found.image) >= times * best - 1e-4
    assert best > 0 or attack is attacks.Gibbs  # which can only blur, and so may do no harm


@pytest.mark.parametrize("direction", ["evade", "alarm"])
def test_composed_comes_further_than_any_of_its_parts(direction: Direction) -> None:
    attacked = victim(direction)
    parts = (attacks.BiasField(), attacks.Deformation(), attacks.RicianNoise())
    alone = [gain(attacked, part(attacked, 0.1, generator(0, "part")).image) for part in parts]
    together = attacks.Composed()(attacked, 0.1, generator(0, "all"))
    assert gain(attacked, together.image) > max(alone)


@pytest.mark.parametrize(("direction", "sign"), [("evade", -1), ("alarm", 1)])
def test_bias_field_reaches_the_known_optimum_of_a_score_that_is_linear_in_it(
    direction: Direction, sign: int
) -> None:
    """Of all cubics within -1 and 1 on that interval Chebyshev's has the largest leading
    coefficient, 4; along x the grid holds all places where it touches its bounds.
    """
    image = torch.full((1, 1, 41, 3), 0.7)
    place = torch.linspace(-1, 1, 41, dtype=torch.float64)
    leading = torch.linalg.pinv(torch.stack([place**i for i in range(4)], dim=1))[3]

    def scores(changed: Tensor) -> Tensor:
        logarithm = (changed.double() / 0.7).log()[0, 0].mean(1)
        score: Tensor = (leading @ logarithm)[None].float()
        return score

    attacked = Victim(image, torch.ones_like(image, dtype=torch.bool), scores, direction, 0.0)
    found = attacks.BiasField()(attacked, 0.1, generator(0, "chebyshev"))
    reached = float(attacked.scores_of(attacked.margins(found.image)))
    assert reached == pytest.approx(sign * 4 * np.log(1.1), rel=2e-3)


def test_spike_finds_the_samples_that_scores_wait_for() -> None:
    """Each slice has a wave of its own; the attack knows none of them."""
    signal, mask = head()
    x, y = torch.arange(signal.shape[2])[:, None] / 34, torch.arange(signal.shape[3]) / 30
    waves = torch.stack(
        [torch.cos(2 * torch.pi * (a * x + b * y) + a) for a, b in ((5, 3), (2, 11), (9, 0))]
    )[:, None]

    def scores(image: Tensor) -> Tensor:
        return (image * waves * mask).sum((1, 2, 3))

    attacked = Victim(signal, mask, scores, "alarm", 0.0)
    found = attacks.Spike()(attacked, 0.05, generator(0, "spike"))
    high = 0.5 * 0.05 * signal.mean((2, 3), keepdim=True)
    assert gain(attacked, found.image) == pytest.approx(
        float((high * waves.square() * mask).sum()), rel=0.05
    )


@pytest.mark.parametrize("kind", PHYSICAL, ids=lambda kind: kind.__name__)
def test_comes_further_the_stronger_it_may_be(kind: type[Attack]) -> None:
    weak, strong = (
        gain(victim(), kind()(victim(), epsilon, generator(0, "stronger")).image)
        for epsilon in (0.1, 0.9)
    )
    assert 0 <= weak < strong
