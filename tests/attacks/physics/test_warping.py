import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mri_guard.attacks.physics import Warping
from mri_guard.determinism import generator
from tests.attacks.physics.heads import head, victim


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32), epsilon=st.floats(0, 1))
def test_folds_nowhere_and_displaces_nothing_further_than_it_says(
    seed: int, epsilon: float
) -> None:
    """Neighbouring control points pull against each other as hard as they may."""
    bends = Warping.of(victim(), epsilon)
    signs = torch.as_tensor(generator(seed).choice([-1.0, 1.0], bends.shape)).float()
    displacement = bends.displacement_px(bends.project(signs)).double()
    assert displacement.norm(dim=1).max() * 2.0 <= 4.0 * epsilon + 1e-5  # pixels of 2 mm
    along_x, along_y = displacement.diff(dim=2)[..., :-1], displacement.diff(dim=3)[:, :, :-1]
    jacobian = (1 + along_x[:, 0]) * (1 + along_y[:, 1]) - along_x[:, 1] * along_y[:, 0]
    assert jacobian.min() > 0


@pytest.mark.parametrize(("direction", "side"), [((1.0, 0.0), 2), ((0.0, -1.0), 3)])
def test_shifts_the_head_where_all_control_points_agree(
    direction: tuple[float, float], side: int
) -> None:
    """4 mm are 2 pixels: each shows what lies 2 pixels further that way."""
    bends, (signal, _) = Warping.of(victim(), 1.0), head()
    everywhere = torch.tensor(direction).expand(bends.shape)
    moved = bends.apply(signal, everywhere)
    shift = -2 if side == 2 else 2
    torch.testing.assert_close(moved, signal.roll(shift, side), atol=1e-4, rtol=0)
