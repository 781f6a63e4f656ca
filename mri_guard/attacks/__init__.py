"""Worst case: one attack a file, each a row of `ATTACKS`.

An attack moves a victim's scores within a budget and tells how far it came; what all of them are
made of is in `engine`, and what MR-physical ones know of scanners in `physics`.
"""

from mri_guard.attacks.bias_field import BiasField
from mri_guard.attacks.composed import Composed
from mri_guard.attacks.deformation import Deformation
from mri_guard.attacks.engine import Access, Attack, Direction, Found, Threat, Victim
from mri_guard.attacks.ghosting import Ghosting
from mri_guard.attacks.gibbs import Gibbs
from mri_guard.attacks.motion import Motion
from mri_guard.attacks.pgd import Pgd
from mri_guard.attacks.rician_noise import RicianNoise
from mri_guard.attacks.spike import Spike

ATTACKS: tuple[type[Attack], ...] = (
    Pgd,
    BiasField,
    Motion,
    Ghosting,
    Gibbs,
    Spike,
    RicianNoise,
    Deformation,
    Composed,
)
"""Every attack."""

__all__ = [
    "ATTACKS",
    "Access",
    "Attack",
    "BiasField",
    "Composed",
    "Deformation",
    "Direction",
    "Found",
    "Ghosting",
    "Gibbs",
    "Motion",
    "Pgd",
    "RicianNoise",
    "Spike",
    "Threat",
    "Victim",
]
