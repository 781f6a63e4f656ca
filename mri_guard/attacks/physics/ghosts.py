"""Copies of the head along phase encoding."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from mri_guard.attacks.physics.distortion import Distortion

DEEPEST = 0.5
"""Depth of the modulation at strength 1, as `artifacts.Ghosting` draws it."""


@dataclass(frozen=True, slots=True, eq=False)
class Ghosts(Distortion):
    """Multiplies line n of each slice's k-space with 1 + depth cos(2 pi shift n + phase).

    One row of two parameters: depth times cosine and sine of the phase.

    Attributes:
        shift: of the ghosts, share of the field of view.
        axis: of phase encoding, x or y.
    """

    shift: float
    axis: Literal[0, 1]

    @property
    def shape(self) -> tuple[int, ...]:
        """One row."""
        return (1, 2)

    def apply(self, image: Tensor, parameters: Tensor) -> Tensor:
        """The image with ghosts."""
        side = 2 + self.axis
        count = image.shape[side]
        line = torch.fft.fftfreq(count, 1 / count, dtype=image.dtype, device=image.device)
        turns = 2 * math.pi * self.shift * line
        cosine, sine = parameters[0]
        modulation = 1 + DEEPEST * self.epsilon * (cosine * turns.cos() - sine * turns.sin())
        lines = modulation[:, None] if self.axis == 0 else modulation
        ghosted: Tensor = torch.fft.ifft(torch.fft.fft(image, dim=side) * lines, dim=side).abs()
        return ghosted
