"""How little the image is like those that the bundle has learnt from."""

from dataclasses import dataclass

from mri_guard.sanitize.learnt_heads import LearntHeads, vector
from mri_guard.sanitize.look import Look


@dataclass(frozen=True, slots=True)
class Likeness:
    """Distance from the subspace of clean heads (`learnt_heads.LearntHeads.distance`)."""

    heads: LearntHeads
    name: str = "likeness"
    reason: str = "not-like-training"
    resolution: float = 0.02

    def __call__(self, look: Look, /) -> float | None:
        """The measure of a scan, or None where it cannot be measured."""
        return self.heads.distance(vector(look))
