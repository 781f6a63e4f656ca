"""Worst case: one attack a file, each a row of `ATTACKS`.

An attack moves a victim's scores within a budget and tells how far it came; what all of them are
made of is in `engine`.
"""

from mri_guard.attacks.bayesian import Bayesian
from mri_guard.attacks.boundary import Boundary
from mri_guard.attacks.engine import Access, Attack, Direction, Found, Threat, Victim
from mri_guard.attacks.nes import Nes
from mri_guard.attacks.pgd import Pgd
from mri_guard.attacks.spsa import Spsa
from mri_guard.attacks.square import Square
from mri_guard.attacks.surrogate import Surrogate
from mri_guard.attacks.transfer import Transfer

ATTACKS: tuple[type[Attack], ...] = (
    Pgd,
    Square,
    Nes,
    Spsa,
    Bayesian,
    Surrogate,
    Transfer,
    Boundary,
)
"""Every attack."""

__all__ = [
    "ATTACKS",
    "Access",
    "Attack",
    "Bayesian",
    "Boundary",
    "Direction",
    "Found",
    "Nes",
    "Pgd",
    "Spsa",
    "Square",
    "Surrogate",
    "Threat",
    "Transfer",
    "Victim",
]
