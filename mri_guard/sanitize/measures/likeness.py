"""How little the image is like those that the bundle has learnt from."""

from dataclasses import dataclass

from mri_guard.sanitize.head_shape import HeadShape, vector
from mri_guard.sanitize.look import Look


@dataclass(frozen=True, slots=True)
class Likeness:
    """Distance from the subspace of clean heads (`head_shape.HeadShape.distance`)."""

    shape: HeadShape
    name: str = "likeness"
    reason: str = "not-like-training"
    resolution: float = 0.02
    two_sided: bool = False

    def __call__(self, look: Look, /) -> float | None:
        """The measure of a scan, or None where it cannot be measured."""
        return self.shape.distance(vector(look))
