"""The plain VAE: one dense latent for a whole slice (Baur et al. 2021, arXiv:2004.03271, "VAE")."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from mri_guard.evaluation.baseline_parts.fixed_grid import GRID, residual, to_grid
from mri_guard.evaluation.baseline_parts.material import Material
from mri_guard.evaluation.baseline_parts.networks import seeded, trained
from mri_guard.training.data import Subject

BATCH = 16
LATENTS = 128
KL_WEIGHT = 0.1
"""The scale of the Laplace distribution that the absolute error stands for, in units of `View`."""


@dataclass(frozen=True, slots=True, eq=False)
class DenseVae:
    """A trained plain VAE.

    Attributes:
        network: in evaluation mode.
    """

    network: nn.Module

    @classmethod
    def fit(cls, material: Material) -> "DenseVae":
        """Trained on `material.learn`, or taken from its folder."""
        slices = [to_grid(subject)[subject.centres] for subject in material.learn]

        def loss(network: nn.Module, rng: np.random.Generator) -> Tensor:
            return evidence_bound(network, _batch(slices, rng))

        network = seeded(_network, material.seed, "plain_vae")
        return cls(trained("plain_vae", network, loss, material))

    def residual(self, subject: Subject) -> Tensor:
        """What the VAE does not restore, signed, (z, x, y) of the subject's box."""
        with torch.inference_mode():
            restored = self.network(to_grid(subject))[0]
        return residual(subject, restored)


def evidence_bound(network: nn.Module, slices: Tensor) -> Tensor:
    """Absolute error and weighted KL divergence from the standard normal, a brain pixel, a scalar.

    Args:
        network: gives restoration, mean, log variance and sample.
        slices: (b, 1, *GRID), 0 outside the brain.
    """
    restored, mean, log_variance, _ = network(slices)
    brain = slices != 0
    error = ((restored - slices).abs() * brain).sum()
    nats = 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).sum()
    bound: Tensor = (error + KL_WEIGHT * nats) / brain.sum().clamp_min(1)
    return bound


def _network() -> nn.Module:
    from monai.networks.nets.varautoencoder import VarAutoEncoder  # noqa: PLC0415 - half of what a command takes to start

    network: nn.Module = VarAutoEncoder(
        spatial_dims=2,
        in_shape=(1, *GRID),
        out_channels=1,
        latent_size=LATENTS,
        channels=(16, 32, 64, 64),
        strides=(2, 2, 2, 2),
        norm=("group", {"num_groups": 8}),
        use_sigmoid=False,
        use_mean_at_inference=True,
    )
    return network


def _batch(slices: Sequence[Tensor], rng: np.random.Generator) -> Tensor:
    """Slices of random subjects, half of them mirrored, (b, 1, *GRID)."""
    chosen = []
    for _ in range(BATCH):
        some = slices[int(rng.integers(len(slices)))]
        one = some[int(rng.integers(len(some)))]
        chosen.append(one.flip(1) if rng.random() < 0.5 else one)
    return torch.stack(chosen)
