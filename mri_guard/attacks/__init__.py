"""Worst case: one attack a file."""

from mri_guard.attacks.pgd import Direction, Perturbed, Pgd

ATTACKS = (Pgd,)
"""Every attack."""

__all__ = ["ATTACKS", "Direction", "Perturbed", "Pgd"]
