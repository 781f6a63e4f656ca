"""Adversarial spike: stripes over each slice, of the direction and phase that do most harm."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from mri_guard.attacks.engine import Access, Found, Search, Threat, Victim
from mri_guard.attacks.physics import Stripes, image_gradient, promise, seek


@dataclass(frozen=True, slots=True)
class Spike:
    """Tries the samples of k-space that the clean gradient likes best and random ones, and climbs
    to the worst height and phase of the best.

    Sparks hit each slice by itself: its sample is its own. Random ones are the same in all slices,
    as in `mri_guard.artifacts`.

    Attributes:
        liked: so many samples of each slice are tried, the best of all slices together first.
        draws: random ones that are tried too.
        starts: the best so many of all are climbed from.
        steps: gradient steps from each.
    """

    name: ClassVar[str] = "spike"
    threat: ClassVar[Threat] = Threat.PHYSICAL
    access: ClassVar[Access] = Access.GRADIENT
    realistic: ClassVar[float] = 0.3
    """Stripes 15 % as high as the slice's mean."""
    liked: int = 8
    draws: int = 8
    starts: int = 2
    steps: int = 8

    def __call__(self, victim: Victim, epsilon: float, rng: np.random.Generator) -> Found:
        """The furthest that any stripes came.

        Args:
            victim: see `Victim`.
            epsilon: 1 allows stripes half as high as the slice's mean.
            rng: draws the starts.
        """
        search = Search(victim)
        gradient = image_gradient(search)
        candidates = []
        for samples in _liked(victim.wide(gradient), self.liked):
            stripes = Stripes(victim, epsilon, samples)
            candidates.append((stripes, promise(stripes, gradient)[1]))
        sides = victim.image.shape[-2:]
        for _ in range(self.draws):
            sample = torch.tensor([int(rng.integers(side)) for side in sides])
            stripes = Stripes(victim, epsilon, sample.to(gradient.device).expand(len(gradient), 2))
            alike = stripes.draw(rng)[:1].expand(len(gradient), 2)
            candidates.append((stripes, alike))
        seek(search, candidates, starts=self.starts, steps=self.steps)
        return search.found()


def _liked(gradient: Tensor, count: int) -> list[Tensor]:
    """Of each slice the samples whose wave the gradient resembles most, best first, (z, 2) each."""
    # A wave and the one that runs against it look alike in a magnitude image: half of them do.
    resemblance = torch.fft.rfft2(gradient[:, 0]).abs()
    columns, every = resemblance.shape[-1], resemblance.flatten(1)
    order = every.topk(min(count, every.shape[1])).indices
    return [torch.stack([one // columns, one % columns], dim=1) for one in order.T]
