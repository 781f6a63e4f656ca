"""Projected gradient descent in an Linf ball (Madry et al. 2018, arXiv:1706.06083, section 2.1)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

Direction = Literal["evade", "alarm"]
"""evade: a lesion missed, the score goes down. alarm: the queue flooded, the score goes up."""


@dataclass(frozen=True, slots=True)
class Perturbed:
    """What an attack found.

    Attributes:
        image: like the input, on its device.
        scores: the score at the start and after each step.
    """

    image: Tensor
    scores: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Pgd:
    """Signed steps on the score, projected on the ball; keeps the best point it visited.

    Attributes:
        direction: which way to push the score.
        epsilon: radius, normalised intensity.
        steps: gradient steps.
        step_size: of each step, as a share of epsilon.
    """

    direction: Direction
    epsilon: float
    steps: int = 20
    step_size: float = 0.25
    name: str = "pgd"

    def __call__(
        self,
        image: Tensor,
        mask: Tensor,
        score: Callable[[Tensor], Tensor],
        rng: np.random.Generator,
    ) -> Perturbed:
        """The perturbed image whose score went furthest.

        Args:
            image: float, any shape, normalised intensity.
            mask: bool, like image; only here the image may change.
            score: differentiable, from an image to a scalar.
            rng: draws the random start inside the ball.
        """
        sign = -1.0 if self.direction == "evade" else 1.0
        start = rng.uniform(-self.epsilon, self.epsilon, tuple(image.shape))
        delta = torch.as_tensor(start, dtype=image.dtype, device=image.device) * mask
        best, best_value = torch.zeros_like(image), score(image).item()
        scores = [best_value]
        for _ in range(self.steps):
            delta = delta.detach().requires_grad_()
            value = score(image + delta)
            (gradient,) = torch.autograd.grad(value, delta)
            best, best_value = self._better(sign, best, best_value, delta, value.item())
            scores.append(value.item())
            step = sign * self.step_size * self.epsilon * gradient.sign()
            delta = (delta.detach() + step).clamp(-self.epsilon, self.epsilon) * mask
        with torch.no_grad():
            value = score(image + delta)
        scores.append(value.item())
        best, _ = self._better(sign, best, best_value, delta, value.item())
        return Perturbed(image=image + best, scores=tuple(scores))

    @staticmethod
    def _better(
        sign: float, best: Tensor, best_value: float, delta: Tensor, value: float
    ) -> tuple[Tensor, float]:
        if sign * value > sign * best_value:
            return delta.detach(), value
        return best, best_value
