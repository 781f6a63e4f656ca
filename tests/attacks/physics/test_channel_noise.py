import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mri_guard.attacks.physics import ChannelNoise
from mri_guard.determinism import generator
from tests.attacks.physics.heads import head, victim


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32), power=st.floats(0.5, 5), size=st.floats(0.01, 100))
def test_is_no_larger_at_a_voxel_and_in_all_than_noise_is(
    seed: int, power: float, size: float
) -> None:
    """However heavy the tails of what is asked for."""
    noises, mask = ChannelNoise(victim(), 0.4), head()[1]
    drawn = torch.as_tensor(generator(seed).normal(size=noises.shape)).float()
    asked = size * drawn.sign() * drawn.abs() ** power
    for noise in (noises.project(asked), noises.steepest(asked)):
        assert noise.abs().max() <= 3
        assert (noise[:, ~mask] == 0).all()
        for channel in noise:
            assert channel[mask].square().mean() <= 1 + 1e-4


def test_spends_all_of_its_budget_along_a_gradient_of_few_voxels() -> None:
    """3 standard deviations at a tenth of the voxels are 0.95 in all, at half of them too many."""
    noises, mask = ChannelNoise(victim(), 0.4), head()[1]
    places = torch.nonzero(mask.flatten())[:, 0]
    for share, height in ((10, 3.0), (2, 2**0.5)):
        gradient = torch.zeros(noises.shape)
        gradient[0].view(-1)[places[::share]] = 5.0
        step = noises.steepest(gradient)[0].view(-1)[places[::share]]
        assert step.numpy() == pytest.approx(height, rel=0.01)
