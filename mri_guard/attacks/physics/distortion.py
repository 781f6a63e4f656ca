"""What a scanner or a patient does to an image, as a space that attacks climb in."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mri_guard.attacks.engine import Victim


@dataclass(frozen=True, slots=True, eq=False)
class Distortion(ABC):
    """A `Space` of images that physics makes of one; few parameters, differentiable.

    The physics works on the whole stack, as a scanner does, and on signal, which is 0 where there
    is none; what it does outside the mask is thrown away, since no attack may change anything
    there, and nothing is known of signal there.

    Parameters come in rows, (..., d), each row in the unit ball: a number between -1 and 1, or the
    real and imaginary part of what has an amplitude and a phase. Where that is not so, subclasses
    say what is.

    Attributes:
        victim: whose image is distorted.
        epsilon: strength; 0 changes nothing.
    """

    victim: Victim
    epsilon: float

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Of the parameters."""

    @abstractmethod
    def apply(self, image: Tensor, parameters: Tensor) -> Tensor:
        """A distorted stack of slices, all of it; differentiable.

        Args:
            image: float32, (z, 1, x, y), signal.
            parameters: of the distortion.
        """

    def image(self, parameters: Tensor) -> Tensor:
        """The victim's image, distorted inside the mask; differentiable in the parameters."""
        victim = self.victim
        distorted = self.apply(victim.signal, parameters) + victim.no_signal
        return torch.where(victim.mask, distorted, victim.image)

    def rest(self) -> Tensor:
        """Parameters that change nothing."""
        return self.victim.image.new_zeros(self.shape)

    def draw(self, rng: np.random.Generator) -> Tensor:
        """Numbers uniform in their range; longer rows of any direction at full length, as
        `mri_guard.artifacts` draws phases.
        """
        if self.shape[-1] == 1:
            return self._tensor(rng.uniform(-1, 1, self.shape))
        return self.steepest(self._tensor(rng.normal(size=self.shape)))

    def project(self, parameters: Tensor) -> Tensor:
        """The nearest parameters within the budget."""
        length: Tensor = parameters.norm(dim=-1, keepdim=True)
        return parameters / length.clamp_min(1)

    def steepest(self, gradient: Tensor) -> Tensor:
        """The step that the gradient likes best, as large as the budget."""
        length: Tensor = gradient.norm(dim=-1, keepdim=True)
        return gradient / length.clamp_min(1e-30)

    def _tensor(self, values: object) -> Tensor:
        return torch.as_tensor(values).to(self.victim.image)
