from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mri_guard.evaluation.baseline_parts.dense_vae import KL_WEIGHT, DenseVae, evidence_bound
from mri_guard.evaluation.baseline_parts.fixed_grid import GRID
from mri_guard.evaluation.baseline_parts.material import Material
from mri_guard.evaluation.baseline_parts.networks import trained
from tests.evaluation.toy_material import material, toys

CALLS: list[int] = []


class Constant(nn.Module):
    """One number, to be learnt."""

    def __init__(self) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.zeros(1))


def loss(network: Constant, rng: np.random.Generator) -> Tensor:
    CALLS.append(1)
    return (network.value - 0.2 - 0.01 * rng.standard_normal()).square().sum()


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Material:
    return material(toys(2), tmp_path_factory.mktemp("networks"), steps=800)


def steps_taken(split: Material) -> tuple[int, float]:
    CALLS.clear()
    value = float(trained("constant", Constant(), loss, split).value)
    return len(CALLS), value


def test_trains_once_and_then_takes_the_weights_that_lie_there(split: Material) -> None:
    first, again = steps_taken(split), steps_taken(split)
    assert first[0] == 800
    assert first[1] == pytest.approx(0.2, abs=0.03)
    assert again == (0, first[1])


def test_trains_anew_for_another_seed_other_data_and_a_file_cut_off(
    split: Material, tmp_path: Path
) -> None:
    few = replace(split, steps=3, folder=tmp_path)
    steps_taken(few)
    for other in (
        replace(few, seed=1),
        replace(few, steps=4),
        replace(few, learn=few.hold_out),
    ):
        assert steps_taken(other)[0] == other.steps
    (tmp_path / "constant.safetensors").write_bytes(b"cut off")
    assert steps_taken(few)[0] == 3
    assert steps_taken(few)[0] == 0


def test_pays_for_error_inside_the_brain_and_for_nats() -> None:
    class Fixed(nn.Module):
        def forward(self, slices: Tensor) -> tuple[Tensor, ...]:
            mean, log_variance = torch.full((2, 4), 2.0), torch.zeros(2, 4)
            return slices + 0.25, mean, log_variance, mean

    slices = torch.zeros(2, 1, *GRID)
    slices[:, :, :10, :10] = 1.0  # 200 brain pixels
    # KL of N(2, 1) to N(0, 1) is 2 nats a latent.
    expected = 0.25 + KL_WEIGHT * (2 * 4 * 2) / 200
    assert float(evidence_bound(Fixed(), slices)) == pytest.approx(expected)


def test_learns_to_restore_slices(tmp_path: Path) -> None:
    split = material(toys(3), tmp_path, steps=2)
    left = [
        float(DenseVae.fit(replace(split, steps=steps)).residual(split.learn[0]).abs().mean())
        for steps in (1, 25)
    ]
    assert left[1] < 0.75 * left[0]
