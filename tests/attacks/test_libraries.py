"""Our attacks against those of libraries that were not written here, where these are installed."""

import warnings

import pytest
import torch
from torch import Tensor

from mri_guard.attacks import Apgd, AutoEnsemble, CarliniWagner, Direction, Pgd, PgdL2, Victim
from mri_guard.attacks.engine import L2, AsClassifier
from mri_guard.determinism import generator
from tests.attacks.victims import IMAGE, MASK

with warnings.catch_warnings():
    # foolbox imports from places in scipy that are deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    foolbox = pytest.importorskip("foolbox")
pyautoattack = pytest.importorskip("pyautoattack")

EPSILON = 0.05
STEPS = 20


def curved(x: Tensor) -> Tensor:
    """Ripples over a slope, which changes twentyfold and never turns: one best answer."""
    change = (x - IMAGE)[MASK]
    return (change.sin() + 0.015 * (60 * change).sin()).sum()[None]


def attacked(direction: Direction = "alarm", away: float = 5.0, scale: float = 1.0) -> Victim:
    sign = 1 if direction == "alarm" else -1
    return Victim(IMAGE, MASK, curved, direction, sign * away, scale)


def by_foolbox(victim: Victim, attack: object, epsilon: float, room: float) -> Tensor:
    """What the library made of a victim's image."""
    model = AsClassifier(victim, room=room).eval()
    seen = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
    boxed = model.boxed(victim.image)
    _, found, _ = attack(seen, boxed, model.label, epsilons=model.epsilon(epsilon))  # type: ignore[operator]
    return model.image(found).detach()


@pytest.mark.parametrize("direction", ["evade", "alarm"])
def test_comes_as_far_as_foolbox_in_the_largest_change(direction: Direction) -> None:
    torch.manual_seed(0)
    victim = attacked(direction)
    library = foolbox.attacks.LinfPGD(steps=STEPS, rel_stepsize=0.25)
    theirs = by_foolbox(victim, library, EPSILON, room=EPSILON)
    assert (theirs - IMAGE).abs().max() <= EPSILON * 1.001
    margin = float(victim.margins(theirs))
    assert margin > float(victim.margins(IMAGE)) + 1
    for ours in (Pgd(steps=STEPS), Apgd(steps=STEPS), AutoEnsemble(steps=STEPS)):
        found = ours(victim, EPSILON, generator(0, "test"))
        assert float(found.margins) >= margin - 1e-4  # the one best answer, but for rounding


def test_comes_as_far_as_foolbox_in_root_mean_square() -> None:
    torch.manual_seed(0)
    victim = attacked()
    library = foolbox.attacks.L2PGD(steps=STEPS, rel_stepsize=0.25)
    radius = L2(victim, EPSILON).radius
    theirs = by_foolbox(victim, library, radius, room=radius)
    ours = PgdL2(steps=STEPS)(victim, EPSILON, generator(0, "test"))
    margin = float(victim.margins(theirs))
    assert margin > float(victim.margins(IMAGE)) + 1
    assert float(ours.margins) >= 0.99 * margin


def test_finds_a_change_as_small_as_foolbox_does() -> None:
    victim = attacked(away=1.0)
    library = foolbox.attacks.L2CarliniWagnerAttack(
        binary_search_steps=3, steps=50, stepsize=2e-3, initial_const=1.0
    )
    theirs = by_foolbox(victim, library, 10.0, room=0.5)
    assert float(victim.margins(theirs)) >= 0
    ours = CarliniWagner()(victim, 10.0, generator(0, "test"))
    size = L2(victim, 1.0).size
    assert float(ours.least) <= 0.8 * size(theirs - IMAGE)


@pytest.mark.parametrize(
    ("direction", "away", "reachable"),
    [("evade", 12.0, True), ("alarm", 12.0, True), ("alarm", 14.0, False)],
)
def test_succeeds_where_autoattack_does(direction: Direction, away: float, reachable: bool) -> None:
    victim = attacked(direction, away)
    model = AsClassifier(victim, room=EPSILON).eval()
    attack = pyautoattack.AutoAttack(
        model,
        attacks=["apgd-ce", "fab", "square"],  # DLR losses need four classes
        eps=model.epsilon(EPSILON),
        seed=0,
        version="custom",
    )
    attack.apgd.n_iter = attack.fab.n_iter = STEPS
    attack.apgd.n_restarts = attack.fab.n_restarts = 1
    attack.square.n_queries = 20
    theirs, _ = attack.run_standard_evaluation(model.boxed(IMAGE), model.label)
    ours = AutoEnsemble(steps=STEPS)(victim, EPSILON, generator(0, "test"))
    assert (float(victim.margins(model.image(theirs).detach())) > 0) is reachable
    assert bool(ours.margins > 0) is reachable


def test_hides_the_gradient_from_a_library_where_the_scale_is_too_small() -> None:
    torch.manual_seed(0)
    library = foolbox.attacks.LinfPGD(steps=STEPS, rel_stepsize=0.25)
    there, hidden = (
        float(curved(by_foolbox(attacked(scale=scale), library, EPSILON, room=EPSILON)))
        for scale in (1.0, 0.002)
    )
    assert hidden < 0.5 * there
    # Ours climb the margin itself, which no scale bends.
    ours = Pgd(steps=STEPS)(attacked(scale=0.002), EPSILON, generator(0, "test"))
    assert float(curved(ours.image)) > 0.98 * there
