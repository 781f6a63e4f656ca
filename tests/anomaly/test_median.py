import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mri_guard.anomaly.median import NEAR, median


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(-5, 5, width=32), min_size=1, max_size=60))
def test_is_the_median_exactly(values: list[float]) -> None:
    assert torch.equal(median(torch.tensor(values)), torch.tensor(values).median())


def test_shares_its_gradient_among_what_lies_about_it() -> None:
    values = torch.linspace(-1, 1, 1001)[torch.randperm(1001, generator=torch.manual_seed(0))]
    values.requires_grad_()
    (gradient,) = torch.autograd.grad(median(values), values)
    torch.testing.assert_close(gradient.sum(), torch.tensor(1.0))
    assert (gradient >= 0).all()
    some = values[gradient > 0].detach()
    assert some.abs().max() <= 2 * NEAR + 1e-3
    assert len(some) == 2 * int(NEAR * 1001) + 1


def test_gradient_promises_what_a_step_gains() -> None:
    values = torch.randn(5001, generator=torch.Generator().manual_seed(1)).requires_grad_()
    spread = median((values - median(values)).abs())
    (gradient,) = torch.autograd.grad(spread, values)
    step = 0.01 * gradient.sign()
    moved = (values + step).detach()
    gained = (moved - moved.median()).abs().median() - spread
    promised = (gradient * step).sum()
    assert 0.5 * promised < gained < 1.5 * promised


def test_holds_where_all_values_are_one() -> None:
    values = torch.ones(7, requires_grad=True)
    (gradient,) = torch.autograd.grad(median(values), values)
    torch.testing.assert_close(gradient, torch.full((7,), 1 / 7))
