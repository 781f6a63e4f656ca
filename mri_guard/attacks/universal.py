"""One change for every slice and every scan (Moosavi-Dezfooli et al. 2017, arXiv:1610.08401;
by signed steps on the summed margins, Shafahi et al. 2020, arXiv:1811.11304).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mri_guard.attacks.engine import Access, Found, Objective, Search, Threat, Victim

SIDE = 128
"""Of the square that a change is kept on, pixels; a plane of another size shares its middle."""


@dataclass(frozen=True, slots=True)
class Universal:
    """One in-plane change, found on some victims, for these and others.

    Half of the steps climb the sum of all margins; half, from where these began, the margins that
    are largest anyway, since slices that want opposite changes leave the sum no slope.

    Attributes:
        steps: gradients of each victim.
        step_size: of the first step, as a share of epsilon; the last is a tenth of it.
    """

    name: ClassVar[str] = "universal"
    threat: ClassVar[Threat] = Threat.LINF
    access: ClassVar[Access] = Access.GRADIENT
    steps: int = 20
    step_size: float = 0.25

    def __call__(self, victim: Victim, epsilon: float, rng: np.random.Generator) -> Found:
        """The furthest that one change for all slices came.

        Args:
            victim: see `Victim`.
            epsilon: largest change of a voxel, normalised intensity.
            rng: draws the start.
        """
        search = Search(victim)
        self._fit([search], epsilon, rng)
        return search.found()

    def fit(self, victims: Sequence[Victim], epsilon: float, rng: np.random.Generator) -> Tensor:
        """The change that brought these victims furthest, float32, (1, 1, `SIDE`, `SIDE`).

        Args:
            victims: of any shapes, at least one.
            epsilon: largest change of a voxel, normalised intensity.
            rng: draws the start.
        """
        return self._fit([Search(victim) for victim in victims], epsilon, rng)

    def _fit(self, searches: Sequence[Search], epsilon: float, rng: np.random.Generator) -> Tensor:
        drawn = rng.uniform(-epsilon, epsilon, (1, 1, SIDE, SIDE))
        start = torch.as_tensor(drawn).to(searches[0].victim.image)
        best, best_sum = torch.zeros_like(start), sum(float(one.clean.sum()) for one in searches)
        objectives: tuple[Objective, ...] = (torch.sum, _largest)
        for objective in objectives:
            change = start
            steps = max(1, self.steps // len(objectives))
            for step in range(steps):
                total, gradient = 0.0, torch.zeros_like(change)
                for search in searches:
                    margins, slope = search.climb(change, _changing(search.victim), objective)
                    total += float(margins.sum())
                    gradient += slope
                if total > best_sum:
                    best, best_sum = change, total
                size = self.step_size * (1 - 0.9 * step / max(1, steps - 1))
                change = (change + size * epsilon * gradient.sign()).clamp(-epsilon, epsilon)
        return best


def applied(victim: Victim, change: Tensor) -> Tensor:
    """The victim's image with a change in every slice, where its mask lets it.

    Args:
        victim: of any shape.
        change: (1, 1, `SIDE`, `SIDE`), as `Universal.fit` gives it.
    """
    width, height = victim.image.shape[2:]
    left, top = (width - SIDE) // 2, (height - SIDE) // 2
    around = (top, height - SIDE - top, left, width - SIDE - left)  # negative: cut off
    return victim.image + victim.wide(functional.pad(change, around).expand_as(victim.image))


def _changing(victim: Victim) -> Callable[[Tensor], Tensor]:
    return lambda change: applied(victim, change)


def _largest(margins: Tensor) -> Tensor:
    """The largest margin, smooth."""
    return torch.logsumexp(margins, 0)
