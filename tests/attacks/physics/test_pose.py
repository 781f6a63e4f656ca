import math

import pytest
import torch
from scipy import ndimage

from mri_guard.attacks.physics import Pose
from tests.attacks.physics.heads import head, victim, volume


def test_shifts_the_head_along_its_axes() -> None:
    """At strength 0.8 by 4 mm, 2 pixels."""
    signal = head()[0]
    moved = Pose(victim(), 0.8).apply(signal, torch.tensor([[1.0], [-1.0], [0.0]]))
    torch.testing.assert_close(moved, signal.roll((2, -2), (2, 3)), atol=1e-4, rtol=0)


@pytest.mark.parametrize("share", [-1.0, 0.4])
def test_turns_the_head_from_x_towards_y(share: float) -> None:
    signal = head()[0]
    turned = Pose(victim(), 1.0).apply(signal, torch.tensor([[0.0], [0.0], [share]]))
    expected = ndimage.rotate(volume(signal), 5.0 * share, axes=(1, 0), reshape=False, order=1)
    assert abs(volume(turned) - expected).max() < 1e-4
    assert not math.isclose(float((turned - signal).abs().max()), 0, abs_tol=0.01)
