"""A head that moved while the lines of k-space were acquired."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from mri_guard.artifacts.motion import LARGEST_DEG, LARGEST_MM
from mri_guard.attacks.physics.distortion import Distortion
from mri_guard.attacks.physics.warp import turn
from mri_guard.preprocess.grid import PIXEL_MM


@dataclass(frozen=True, slots=True, eq=False)
class Moves(Distortion):
    """Takes the lines acquired during each move from the image of the moved head.

    Three parameters for each move, a row each: shift along x, along y, turn; at strength 1 up to
    `artifacts.motion`'s 5 mm and 5 degrees.

    Attributes:
        times: beginning and end of each move, shares of the acquisition.
        axis: of phase encoding, x or y.
    """

    times: tuple[tuple[float, float], ...]
    axis: Literal[0, 1]

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows of one."""
        return (3 * len(self.times), 1)

    def apply(self, image: Tensor, parameters: Tensor) -> Tensor:
        """The image of the head that moved."""
        count = image.shape[2 + self.axis]
        acquired = np.fft.fftshift(np.arange(count))
        spectrum = torch.fft.fft2(image)
        for (start, end), move in zip(self.times, parameters.view(-1, 3), strict=True):
            taken = torch.zeros(count, dtype=torch.bool, device=image.device)
            taken[acquired[round(start * count) : round(end * count)].copy()] = True
            lines = taken[:, None] if self.axis == 0 else taken
            spectrum = torch.where(lines, self._moved(image, move), spectrum)
        moved: Tensor = torch.fft.ifft2(spectrum).abs()
        return moved

    def _moved(self, image: Tensor, move: Tensor) -> Tensor:
        """k-space of the moved head."""
        shift_px = move[:2] * (self.epsilon * LARGEST_MM / PIXEL_MM)
        turned = turn(image, move[2] * (self.epsilon * math.radians(LARGEST_DEG)))
        along_x, along_y = (
            torch.fft.fftfreq(n, dtype=image.dtype, device=image.device) * shift
            for n, shift in zip(image.shape[2:], shift_px, strict=True)
        )
        angle = -2 * math.pi * (along_x[:, None] + along_y)
        spectrum: Tensor = torch.fft.fft2(turned) * torch.polar(torch.ones_like(angle), angle)
        return spectrum
