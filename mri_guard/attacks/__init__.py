"""Worst case: one attack a file, each a row of `ATTACKS`.

An attack moves a victim's scores within a budget and tells how far it came; what all of them are
made of is in `engine`.
"""

from mri_guard.attacks.engine import Access, Attack, Direction, Found, Threat, Victim
from mri_guard.attacks.pgd import Pgd

ATTACKS: tuple[type[Attack], ...] = (Pgd,)
"""Every attack."""

__all__ = ["ATTACKS", "Access", "Attack", "Direction", "Found", "Pgd", "Threat", "Victim"]
