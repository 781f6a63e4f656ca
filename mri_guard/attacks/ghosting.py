"""Adversarial ghosting: copies of the head, as far off and of the phase that do most harm."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mri_guard.attacks.engine import Access, Found, Search, Threat, Victim
from mri_guard.attacks.physics import Ghosts, image_gradient, promise, seek

NEAREST = 1 / 20
"""Smallest shift, share of the field of view, as `artifacts.Ghosting` draws it."""


@dataclass(frozen=True, slots=True)
class Ghosting:
    """Tries the shifts that the clean gradient likes best and random ones, and climbs to the worst
    depth and phase of the best.

    Attributes:
        compared: shifts along each axis, evenly spaced, of which the gradient is asked.
        liked: so many of them are tried.
        draws: random ghosts that are tried too.
        starts: the best so many of all are climbed from.
        steps: gradient steps from each.
    """

    name: ClassVar[str] = "ghosting"
    threat: ClassVar[Threat] = Threat.PHYSICAL
    access: ClassVar[Access] = Access.GRADIENT
    realistic: ClassVar[float] = 0.3
    """Ghosts up to 7.5 % as bright as the head."""
    compared: int = 60
    liked: int = 8
    draws: int = 8
    starts: int = 2
    steps: int = 8

    def __call__(self, victim: Victim, epsilon: float, rng: np.random.Generator) -> Found:
        """The furthest that any ghosts came.

        Args:
            victim: see `Victim`.
            epsilon: 1 allows a modulation of depth 0.5, ghosts a quarter as bright as the head.
            rng: draws the starts.
        """
        search = Search(victim)
        gradient = image_gradient(search)
        shifts = np.linspace(NEAREST, 0.5, self.compared)
        every = [Ghosts(victim, epsilon, float(s), axis) for s in shifts for axis in (0, 1)]
        promised = sorted(((*promise(g, gradient), g) for g in every), key=lambda one: -one[0])
        candidates = [(ghosts, start) for _, start, ghosts in promised[: self.liked]]
        for _ in range(self.draws):
            shift = float(1 / rng.uniform(2, 1 / NEAREST))
            ghosts = Ghosts(victim, epsilon, shift, 0 if rng.random() < 0.5 else 1)
            candidates.append((ghosts, ghosts.draw(rng)))
        seek(search, candidates, starts=self.starts, steps=self.steps)
        return search.found()
