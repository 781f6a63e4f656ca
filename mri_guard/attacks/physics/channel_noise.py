"""Noise of both channels of the receiver, in a magnitude image."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mri_guard.attacks.physics.distortion import Distortion

LARGEST_SIGMA = 0.15
"""At strength 1, normalised intensity, as `artifacts.RicianNoise` draws it."""
CUT_OFF = 3.0
"""No voxel's noise is larger in either channel, standard deviations: 1 in 370 of Gaussian noise."""


@dataclass(frozen=True, slots=True, eq=False)
class ChannelNoise(Distortion):
    """Adds noise to the real and the imaginary channel and takes the magnitude.

    Parameters are the noise itself, (2, z, 1, x, y), standard deviations: in each channel its root
    mean square over the mask is 1 at most, and no value exceeds `CUT_OFF`.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """Both channels of every voxel."""
        return (2, *self.victim.image.shape)

    @property
    def sigma(self) -> float:
        """Standard deviation in each channel, normalised intensity."""
        return LARGEST_SIGMA * self.epsilon

    def apply(self, image: Tensor, parameters: Tensor) -> Tensor:
        """The magnitude with noise."""
        real, imaginary = self.sigma * parameters
        return torch.complex(image + real, imaginary).abs()

    def draw(self, rng: np.random.Generator) -> Tensor:
        """White Gaussian noise."""
        return self.project(self._tensor(rng.standard_normal(self.shape, dtype=np.float32)))

    def project(self, parameters: Tensor) -> Tensor:
        """Cut off, then shrunk; 0 outside the mask."""
        noise = self.victim.wide(parameters).clamp(-CUT_OFF, CUT_OFF)
        return noise / self._rms(noise).clamp_min(1)

    def steepest(self, gradient: Tensor) -> Tensor:
        """Along the gradient of each channel, and where that is cut off, more elsewhere."""
        step = self.victim.wide(gradient)
        for _ in range(8):  # enough for the root mean square to settle beside the cut
            step = (step / self._rms(step).clamp_min(1e-30)).clamp(-CUT_OFF, CUT_OFF)
        return step

    def _rms(self, noise: Tensor) -> Tensor:
        """Root mean square over the mask, (2, 1, 1, 1, 1)."""
        inside = self.victim.mask.sum().clamp_min(1)
        return (noise.square().sum((1, 2, 3, 4), keepdim=True) / inside).sqrt()
