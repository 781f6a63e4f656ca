"""Where an attack may go: changes of an image and their bounds."""

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from mri_guard.attacks.engine.victim import Victim


class Space(Protocol):
    """Changes of an image that a budget allows, by their parameters.

    White-box attacks climb in any of them: voxel by voxel, or along the few parameters of a bias
    field.
    """

    def rest(self) -> Tensor:
        """Parameters that change nothing."""

    def draw(self, rng: np.random.Generator) -> Tensor:
        """Parameters somewhere in the space, for a random start."""

    def image(self, parameters: Tensor) -> Tensor:
        """The changed image, like the victim's; differentiable."""

    def project(self, parameters: Tensor) -> Tensor:
        """The nearest parameters within the budget."""

    def steepest(self, gradient: Tensor) -> Tensor:
        """The step that the gradient likes best, as large as the budget."""


@dataclass(frozen=True, slots=True, eq=False)
class Linf:
    """Every voxel may change by so much.

    Attributes:
        victim: whose image changes.
        epsilon: largest change, normalised intensity.
    """

    victim: Victim
    epsilon: float

    def rest(self) -> Tensor:
        """No change."""
        return torch.zeros_like(self.victim.image)

    def draw(self, rng: np.random.Generator) -> Tensor:
        """Uniform within the bounds."""
        drawn = rng.uniform(-self.epsilon, self.epsilon, tuple(self.victim.image.shape))
        return self.victim.wide(torch.as_tensor(drawn).to(self.victim.image))

    def image(self, parameters: Tensor) -> Tensor:
        """The image with the change added."""
        return self.victim.image + parameters

    def project(self, parameters: Tensor) -> Tensor:
        """Cut off at the bounds, 0 outside the mask."""
        return self.victim.wide(parameters.clamp(-self.epsilon, self.epsilon))

    def steepest(self, gradient: Tensor) -> Tensor:
        """Signs (Goodfellow et al. 2015, arXiv:1412.6572)."""
        return self.victim.wide(self.epsilon * gradient.sign())


@dataclass(frozen=True, slots=True, eq=False)
class L2:
    """The change's root mean square over the mask is bounded.

    Attributes:
        victim: whose image changes.
        epsilon: largest root mean square, normalised intensity: the L2 norm is it times the root of
            the number of voxels in the mask.
    """

    victim: Victim
    epsilon: float

    @property
    def radius(self) -> float:
        """L2 norm."""
        return self.epsilon * math.sqrt(int(self.victim.mask.sum()))

    def size(self, change: Tensor) -> float:
        """Root mean square of a change over the mask."""
        return float(change.norm()) / math.sqrt(max(1, int(self.victim.mask.sum())))

    def rest(self) -> Tensor:
        """No change."""
        return torch.zeros_like(self.victim.image)

    def draw(self, rng: np.random.Generator) -> Tensor:
        """Uniform in the ball."""
        drawn = torch.as_tensor(rng.normal(size=tuple(self.victim.image.shape)))
        change = self.steepest(drawn.to(self.victim.image))
        return change * float(rng.uniform() ** (1 / max(1, int(self.victim.mask.sum()))))

    def image(self, parameters: Tensor) -> Tensor:
        """The image with the change added."""
        return self.victim.image + parameters

    def project(self, parameters: Tensor) -> Tensor:
        """Shrunk to the ball, 0 outside the mask."""
        inside = self.victim.wide(parameters)
        return inside * min(1.0, self.radius / max(float(inside.norm()), 1e-12))

    def steepest(self, gradient: Tensor) -> Tensor:
        """Along the gradient to the ball's surface."""
        inside = self.victim.wide(gradient)
        step: Tensor = inside * (self.radius / inside.norm().clamp_min(1e-12))
        return step
