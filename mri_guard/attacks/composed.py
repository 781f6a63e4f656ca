"""Adversarial chain of MR transformations: pose, deformation, bias field and noise, sought together
(AdvChain; Chen et al. 2022, Medical Image Analysis 82, 102597, arXiv:2108.03429, section 3).
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mri_guard.attacks.engine import Access, Found, Search, Threat, Victim
from mri_guard.attacks.physics import (
    Chain,
    ChannelNoise,
    Pose,
    SmoothField,
    Warping,
    climb,
    image_gradient,
    promise,
    seek,
)


@dataclass(frozen=True, slots=True)
class Composed:
    """Climbs to the worst of each part alone, then from there along all of them together.

    The paper puts noise and bias field before the geometry; here they come in the order in which a
    signal meets them, so that no interpolation blurs the noise.

    Attributes:
        draws: random chains that are tried too.
        alone: gradient steps for each part.
        starts: the best so many of all are climbed from.
        steps: gradient steps along all parts.
    """

    name: ClassVar[str] = "composed"
    threat: ClassVar[Threat] = Threat.PHYSICAL
    access: ClassVar[Access] = Access.GRADIENT
    realistic: ClassVar[float] = 0.1
    """The field of a tenth that is left after correction, 0.4 mm, 0.5 degrees, a sigma of 0.015."""
    draws: int = 4
    alone: int = 5
    starts: int = 2
    steps: int = 15

    def __call__(self, victim: Victim, epsilon: float, rng: np.random.Generator) -> Found:
        """The furthest that any chain came.

        Args:
            victim: see `Victim`.
            epsilon: of each part: of pose as of `artifacts.Motion`, and as `Deformation`,
                `BiasField` and `RicianNoise` tell.
            rng: draws the starts.
        """
        search = Search(victim)
        gradient = image_gradient(search)
        chain = Chain(
            victim,
            epsilon,
            (
                Pose(victim, epsilon),
                Warping.of(victim, epsilon),
                SmoothField.of(victim, epsilon),
                ChannelNoise(victim, epsilon),
            ),
        )
        ends = [
            climb(search, part, promise(part, gradient)[1], steps=self.alone)
            for part in chain.parts
        ]
        first = [chain.join(ends), promise(chain, gradient)[1]]
        drawn = [chain.draw(rng) for _ in range(self.draws)]
        candidates = [(chain, one) for one in (*first, *drawn)]
        seek(search, candidates, starts=self.starts, steps=self.steps)
        return search.found()
