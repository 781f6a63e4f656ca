"""Adversarial receiver noise: as much of it as a scanner makes, but which is the attacker's choice.

No random noise does what this does; it bounds what noise of that size can do at all.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mri_guard.attacks.engine import Access, Found, Threat, Victim
from mri_guard.attacks.physics import ChannelNoise, worst_in


@dataclass(frozen=True, slots=True)
class RicianNoise:
    """Climbs to the worst noise of both channels; see `ChannelNoise` for its bounds.

    Attributes:
        draws: random noises that are tried first.
        starts: the best so many of them are climbed from.
        steps: gradient steps from each.
    """

    name: ClassVar[str] = "rician_noise"
    threat: ClassVar[Threat] = Threat.PHYSICAL
    access: ClassVar[Access] = Access.GRADIENT
    realistic: ClassVar[float] = 0.3
    """A sigma of 0.045, an SNR of about 16 in white matter."""
    draws: int = 8
    starts: int = 2
    steps: int = 15

    def __call__(self, victim: Victim, epsilon: float, rng: np.random.Generator) -> Found:
        """The furthest that any noise came.

        Args:
            victim: see `Victim`.
            epsilon: 1 allows a sigma of 0.15 normalised intensity in each channel.
            rng: draws the starts.
        """
        noises = ChannelNoise(victim, epsilon)
        return worst_in(victim, noises, rng, draws=self.draws, starts=self.starts, steps=self.steps)
