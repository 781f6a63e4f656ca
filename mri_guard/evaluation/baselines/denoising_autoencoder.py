"""A U-Net that takes coarse noise away, and lesions with it (Kascenas et al. 2022, MIDL, PMLR 172).

As there: free skips, noise of standard deviation 0.2 on every eighth pixel, drawn out and moved at
random, and a squared error. We depart from it in what it sees, one sequence in units of `View`, and
in the residual, which is measured in healthy spreads as every row's is here.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from mri_guard.anomaly import HealthyStatistics, VaeConfig
from mri_guard.evaluation.baseline_parts.material import Material, healthy
from mri_guard.evaluation.baseline_parts.networks import random_slice, seeded, trained
from mri_guard.evaluation.baseline_parts.score import as_seen, scored_box, standardised
from mri_guard.records import Anomaly, Preprocessed
from mri_guard.training.data import Subject

BATCH = 16
CROP_PX = 64
NOISE = 0.2
COARSE_PX = 8
MULTIPLE = 16
"""The U-Net halves its image four times."""


@dataclass(frozen=True, slots=True, eq=False)
class DenoisingAutoencoder:
    """Residual of a denoising U-Net, in healthy spreads at that place.

    Attributes:
        network: trained on lesion-free slices, in evaluation mode.
        statistics: of the residual in lesion-free slices of other patients.
        config: smoothing and scores as of the model beside it.
    """

    network: nn.Module
    statistics: HealthyStatistics
    config: VaeConfig
    name: ClassVar[str] = "denoising_autoencoder"

    @classmethod
    def fit(cls, material: Material) -> "DenoisingAutoencoder":
        """Trained on four fifths of the patients, statistics of the others."""

        def loss(network: nn.Module, rng: np.random.Generator) -> Tensor:
            image, brain, noise = (
                torch.stack(parts)[:, None]
                for parts in zip(*(_sample(material, rng) for _ in range(BATCH)), strict=True)
            )
            error = (network(image + noise * brain) - image) * brain
            mean_square: Tensor = error.square().sum() / brain.sum().clamp_min(1)
            return mean_square

        network = trained(cls.name, seeded(_network, material.seed, cls.name), loss, material)
        statistics = healthy(material.hold_out, lambda subject: _residual(network, subject))
        return cls(network, statistics, material.config)

    def __call__(self, preprocessed: Preprocessed) -> Anomaly:
        """Smoothed |z| of the residual as the map."""
        subject = as_seen(preprocessed, self.config)
        unusual = standardised(_residual(self.network, subject), self.statistics, subject)
        return scored_box(unusual, preprocessed, self.config, both_signs=True)


def coarse_noise(side: int, rng: np.random.Generator) -> Tensor:
    """Noise on every eighth pixel, linear between them, moved at random, (side, side)."""
    coarse = torch.from_numpy(rng.normal(0, NOISE, (1, 1, *[side // COARSE_PX + 2] * 2))).float()
    fine = functional.interpolate(coarse, scale_factor=float(COARSE_PX), mode="bilinear")[0, 0]
    x, y = rng.integers(COARSE_PX, size=2)
    return fine[x : x + side, y : y + side]


def _network() -> nn.Module:
    from monai.networks.nets.basic_unet import BasicUNet  # noqa: PLC0415 - half of what a command takes to start

    network: nn.Module = BasicUNet(
        spatial_dims=2,
        in_channels=1,
        out_channels=1,
        features=(16, 32, 48, 64, 64, 16),
        norm=("group", {"num_groups": 8}),
    )
    return network


def _residual(network: nn.Module, subject: Subject) -> Tensor:
    """What the network takes away, signed, (z, x, y) of the subject's box."""
    image = torch.from_numpy(subject.image)
    width, height = image.shape[1:]
    padded = functional.pad(image, (0, -height % MULTIPLE, 0, -width % MULTIPLE))[:, None]
    with torch.inference_mode():
        restored = torch.cat([network(some) for some in torch.split(padded, BATCH)])
    return (image - restored[:, 0, :width, :height]) * torch.from_numpy(subject.brain)


def _sample(material: Material, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """A lesion-free slice cut to a square and mirrored half the time, its brain, noise."""
    subject, centre = random_slice(material.learn, rng)
    image, brain = subject.image[centre], subject.brain[centre].astype(np.float32)
    both: NDArray[np.float32] = np.stack([image, brain])
    short = [(0, max(0, CROP_PX - length)) for length in image.shape]
    x, y = (int(rng.integers(max(0, length - CROP_PX) + 1)) for length in image.shape)
    both = np.pad(both, ((0, 0), *short))[:, x : x + CROP_PX, y : y + CROP_PX]
    if rng.random() < 0.5:
        both = both[:, ::-1]
    image_, brain_ = torch.from_numpy(both.copy())
    return image_, brain_, coarse_noise(CROP_PX, rng)
