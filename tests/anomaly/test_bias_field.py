import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from mri_guard.anomaly.bias_field import bias_field
from mri_guard.anomaly.frame import Frame

SHAPE = (8, 40, 48)
POSITIONS = Frame((0, 0, 0), SHAPE, 1).positions(torch.device("cpu"))
X, Y, Z = POSITIONS.unbind(1)
INSIDE = X**2 + Y**2 < 0.95
MEAN = 0.7 + 0.2 * torch.sin(5 * X) * torch.cos(4 * Y)
SPREAD = torch.full(SHAPE, 0.08)
NOTHING = torch.zeros(SHAPE)
FIELD = (0.1 * X - 0.15 * Y * Z + 0.1 * X**2 * Y - 0.05).exp()


def tissue(seed: int = 0) -> Tensor:
    noise = torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed))
    return (MEAN + 0.5 * SPREAD * noise) * INSIDE


def found(seen: Tensor, suspicion: Tensor = NOTHING, order: int = 3) -> Tensor:
    return bias_field(seen, INSIDE, POSITIONS, (MEAN, SPREAD), suspicion, order)


def error(field: Tensor, true: Tensor) -> float:
    return float((field / true - 1)[INSIDE].abs().max())


def test_finds_the_field_that_lies_over_a_brain() -> None:
    assert error(found(tissue() * FIELD), FIELD) < 0.03
    assert error(found(tissue()), torch.ones(SHAPE)) < 0.03


@given(gain=st.floats(0.75, 1.3), seed=st.integers(0, 9))
def test_a_gain_of_order_nought_is_the_gain(gain: float, seed: int) -> None:
    field = found(gain * tissue(seed), order=0)
    assert field.min() == field.max()
    assert field[0, 0, 0].item() == pytest.approx(gain, rel=0.02)


def test_what_is_suspected_is_not_taken_for_the_field() -> None:
    lesion = ((X - 0.4) ** 2 + Y**2 < 0.16) & INSIDE  # a sixth of the brain
    ill = (tissue() + 0.5 * lesion) * FIELD
    suspicion = 6.0 * lesion
    assert error(found(ill, suspicion), FIELD) < 0.05
    assert error(found(ill), FIELD) > 0.1


def test_its_gradient_is_that_of_differences() -> None:
    def middle(seen: Tensor) -> Tensor:
        field = bias_field(
            seen,
            INSIDE,
            POSITIONS.double(),
            (MEAN.double(), SPREAD.double()),
            2 * seen - 1.2,
            3,
        )
        return field[INSIDE].square().mean()

    seen = (tissue() * FIELD).double().requires_grad_()
    (gradient,) = torch.autograd.grad(middle(seen), seen)
    assert torch.isfinite(gradient).all()
    direction = gradient / gradient.norm()
    with torch.no_grad():
        differences = middle(seen + 1e-4 * direction) - middle(seen - 1e-4 * direction)
    assert differences.item() / 2e-4 == pytest.approx(gradient.norm().item(), rel=1e-3)


def test_a_brain_of_nothing_but_noise_has_a_field_too() -> None:
    for seen in (NOTHING, 3.0 * INSIDE, -0.5 * INSIDE):
        field = found(seen, suspicion=50 * torch.ones(SHAPE))
        assert torch.isfinite(field).all()
        assert (field > 0).all()
