"""Stripes from single samples of k-space that sparks hit."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from mri_guard.attacks.physics.distortion import Distortion

HIGHEST = 0.5
"""Of a spike at strength 1, as `artifacts.Spike` draws it: share of the slice's mean."""


@dataclass(frozen=True, slots=True, eq=False)
class Stripes(Distortion):
    """Adds to one sample of each slice's k-space.

    A row of two parameters for each slice: height times cosine and sine of the phase.

    Attributes:
        samples: int64, (z, 2), number of the sample that is hit in each slice, along x and y.
    """

    samples: Tensor

    @property
    def shape(self) -> tuple[int, ...]:
        """One row for each slice."""
        return (len(self.samples), 2)

    def apply(self, image: Tensor, parameters: Tensor) -> Tensor:
        """The image with stripes."""
        height, width = image.shape[-2:]
        x = torch.arange(height, device=image.device)[:, None]
        y = torch.arange(width, device=image.device)
        along_x, along_y = self.samples[:, 0, None, None], self.samples[:, 1, None, None]
        # Whole turns are taken off while all is integer: float32 would lose them.
        whole_x, whole_y = (along_x * x % height).to(image), (along_y * y % width).to(image)
        turns = whole_x / height + whole_y / width
        wave = torch.polar(torch.ones_like(turns), 2 * math.pi * turns)[:, None]
        high = HIGHEST * self.epsilon * image.mean((2, 3), keepdim=True)
        return (
            image + high * torch.complex(*parameters.unbind(1))[:, None, None, None] * wave
        ).abs()
