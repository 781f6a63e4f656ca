"""Several distortions, one after the other, whose parameters are sought together."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mri_guard.attacks.physics.distortion import Distortion


@dataclass(frozen=True, slots=True, eq=False)
class Chain(Distortion):
    """Parameters are those of its parts, one after the other, flat.

    Attributes:
        parts: of the same victim, in the order in which they are applied.
    """

    parts: tuple[Distortion, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """As many as all parts have."""
        return (sum(part.rest().numel() for part in self.parts),)

    def apply(self, image: Tensor, parameters: Tensor) -> Tensor:
        """The image after the last part."""
        for part, own in zip(self.parts, self.split(parameters), strict=True):
            image = part.apply(image, own)
        return image

    def draw(self, rng: np.random.Generator) -> Tensor:
        """As each part draws."""
        return self.join(part.draw(rng) for part in self.parts)

    def project(self, parameters: Tensor) -> Tensor:
        """Within the budget of each part."""
        every = zip(self.parts, self.split(parameters), strict=True)
        return self.join(part.project(own) for part, own in every)

    def steepest(self, gradient: Tensor) -> Tensor:
        """As large as the budget of each part."""
        every = zip(self.parts, self.split(gradient), strict=True)
        return self.join(part.steepest(own) for part, own in every)

    def split(self, parameters: Tensor) -> list[Tensor]:
        """Parameters of each part, of its shape."""
        own = torch.split(parameters, [part.rest().numel() for part in self.parts])
        return [one.view(part.shape) for part, one in zip(self.parts, own, strict=True)]

    @staticmethod
    def join(parameters: Iterable[Tensor]) -> Tensor:
        """Parameters of the chain, from those of each part."""
        return torch.cat([one.flatten() for one in parameters])
