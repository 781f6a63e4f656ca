import pytest
import torch

from mri_guard.anomaly.median import SHARE, median
from mri_guard.determinism import generator


@pytest.mark.parametrize("count", [1, 2, 7, 400])
def test_is_the_median(count: int) -> None:
    values = torch.as_tensor(generator(0, "values").normal(size=count))
    assert median(values) == values.median()


def test_shares_its_gradient_among_the_values_around_it() -> None:
    values = torch.as_tensor(generator(1, "values").normal(size=1000)).requires_grad_()
    (gradient,) = torch.autograd.grad(median(values), values)
    moved = gradient != 0
    assert int(moved.sum()) == SHARE * 1000
    assert float(gradient.sum()) == pytest.approx(1)
    near = (values - values.median()).abs()
    assert near[moved].max() < near[~moved].min()


def test_tells_what_a_small_step_of_all_along_the_gradient_brings() -> None:
    """Where an attacker moves every value by its own sign, the median moves as predicted."""
    values = torch.as_tensor(generator(2, "values").normal(size=4001)).requires_grad_()
    (gradient,) = torch.autograd.grad(median(values), values)
    step = 0.01
    before, moved = values.detach().median(), (values + step * gradient.sign()).detach().median()
    assert float(moved - before) == pytest.approx(step, rel=0.1)


def test_gives_a_gradient_of_nothing_where_the_result_does_not_count() -> None:
    values = torch.ones(5, requires_grad=True)
    (gradient,) = torch.autograd.grad(0 * median(values), values)
    assert not gradient.any()
