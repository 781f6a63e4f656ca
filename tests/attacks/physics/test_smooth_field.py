import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mri_guard.attacks import Victim
from mri_guard.attacks.physics import SmoothField
from mri_guard.determinism import generator
from tests.attacks.physics.heads import head, victim


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32), size=st.floats(0.1, 1e3), epsilon=st.floats(0.001, 1))
def test_lies_within_its_bounds_at_every_voxel_of_the_mask(
    seed: int, size: float, epsilon: float
) -> None:
    fields, (signal, mask) = SmoothField.of(victim(), epsilon), head()
    anywhere = size * torch.as_tensor(generator(seed).normal(size=fields.shape)).float()
    for parameters in (fields.project(anywhere), fields.steepest(anywhere)):
        ratio = (fields.image(parameters) / signal)[mask]
        assert ratio.max() <= (1 + epsilon) * (1 + 1e-5)
        assert ratio.min() >= (1 - 1e-5) / (1 + epsilon)


def test_is_as_bright_as_it_may_be_everywhere_where_all_gradients_say_so() -> None:
    fields, (signal, mask) = SmoothField.of(victim(), 0.1), head()
    rest = fields.rest().requires_grad_()
    (gradient,) = torch.autograd.grad(fields.image(rest).sum(), rest)
    brightest = fields.image(fields.steepest(gradient))
    torch.testing.assert_close(brightest[mask], 1.1 * signal[mask], atol=1e-4, rtol=1e-4)


def test_has_as_many_parameters_as_there_are_polynomials_to_tell_apart() -> None:
    """A cubic in three dimensions has 20 terms; 3 slices cannot tell z^3 from z, one slice has 10
    terms.
    """
    assert SmoothField.of(victim(), 0.1).shape == (19,)
    one = torch.ones(1, 1, 20, 20)
    alone = Victim(one, one > 0, lambda image: image.sum()[None], "alarm", 0.0)
    assert SmoothField.of(alone, 0.1).shape == (10,)


@pytest.mark.parametrize("epsilon", [0.05, 0.3])
def test_scales_with_the_signal(epsilon: float) -> None:
    fields, (signal, _) = SmoothField.of(victim(), epsilon), head()
    drawn = fields.draw(generator(0))
    torch.testing.assert_close(fields.apply(300 * signal, drawn), 300 * fields.apply(signal, drawn))
