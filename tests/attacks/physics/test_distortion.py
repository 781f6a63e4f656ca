"""What every distortion owes."""

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mri_guard.attacks.physics import Distortion
from mri_guard.determinism import generator
from tests.attacks.physics.heads import KINDS, head, victim, weights


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_changes_nothing_at_rest_or_without_strength(kind: str) -> None:
    signal, _ = head()
    still = KINDS[kind](victim(), 0.5)
    torch.testing.assert_close(still.image(still.rest()), signal, atol=1e-5, rtol=0)
    weak = KINDS[kind](victim(), 0.0)
    drawn = weak.project(weak.draw(generator(0, kind)))
    torch.testing.assert_close(weak.image(drawn), signal, atol=1e-5, rtol=0)


def test_changes_signal_and_nothing_outside_the_mask(kind: str) -> None:
    """Normalised intensities lie so much lower than signal."""
    signal, mask = head()
    shown = torch.where(mask, signal - 0.25, 0.1)
    lower = dataclasses.replace(victim(), image=shown, no_signal=-0.25)
    space, plain = KINDS[kind](lower, 0.5), KINDS[kind](victim(), 0.5)
    drawn = space.draw(generator(1, kind))
    changed = space.image(drawn)
    torch.testing.assert_close(changed[mask], plain.image(drawn)[mask] - 0.25)
    assert torch.equal(changed[~mask], shown[~mask])
    assert not torch.allclose(changed[mask], shown[mask], atol=1e-3)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32), size=st.floats(0.01, 100), epsilon=st.floats(0.01, 1))
@pytest.mark.parametrize("name", KINDS)
def test_projects_into_its_budget_and_leaves_alone_what_is_there(
    name: str, seed: int, size: float, epsilon: float
) -> None:
    space = KINDS[name](victim(), epsilon)
    rng = generator(seed, name)
    anywhere = size * torch.as_tensor(rng.normal(size=space.shape)).float()
    projected = space.project(anywhere)
    for inside in (projected, space.draw(rng), space.steepest(anywhere), space.rest()):
        torch.testing.assert_close(space.project(inside), inside, atol=1e-5, rtol=1e-4)


def test_likes_no_change_in_its_budget_better_than_the_steepest(kind: str) -> None:
    space = KINDS[kind](victim(), 0.3)
    for seed in range(5):
        rng = generator(seed, kind)
        gradient = torch.as_tensor(rng.normal(size=space.shape)).float()
        best = float((gradient * space.steepest(gradient)).sum())
        others = [space.draw(rng) for _ in range(20)] + [space.project(100 * gradient)]
        assert all(float((gradient * other).sum()) <= best * (1 + 1e-3) for other in others)


def test_has_the_gradient_that_finite_differences_have(kind: str) -> None:
    """In double precision, along one direction from anywhere but rest."""
    signal, mask = head()
    double = dataclasses.replace(victim(), image=signal.double(), mask=mask)
    space: Distortion = KINDS[kind](double, 0.4)
    rng = generator(2, kind)
    at, along = (0.5 * space.draw(rng) for _ in range(2))

    def value(step: float | torch.Tensor) -> torch.Tensor:
        return (space.image(at + step * along) * weights()).sum()

    step = torch.zeros((), dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(value(step), step)
    measured = (value(1e-5) - value(-1e-5)) / 2e-5
    assert float(gradient) == pytest.approx(float(measured), rel=1e-3, abs=1e-4)
    assert abs(float(gradient)) > 1e-3


def test_has_a_finite_gradient_where_there_is_no_signal(kind: str) -> None:
    """The magnitude's own gradient at 0 is none."""
    space = KINDS[kind](victim(), 0.3)
    for parameters in (space.rest(), space.draw(generator(3, kind))):
        parameters.requires_grad_()
        whole = space.apply(head()[0], parameters)
        (gradient,) = torch.autograd.grad((whole * weights()).sum(), parameters)
        assert torch.isfinite(gradient).all()
        assert (gradient != 0).any()
