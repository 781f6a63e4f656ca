"""Whether the head runs over the edge of the field of view, where it comes back on the other side.

Graves and Mitchell 2013 (JMRI 38(2), 269-287, "Aliasing"). What was cropped looks the same.
"""

from dataclasses import dataclass

import numpy as np

from mri_guard.sanitize.look import Look


@dataclass(frozen=True, slots=True)
class Wrap:
    """Largest share of an edge of the field of view, in the plane, that the head touches.

    Over slices with the head in them; the lowest third, with chin, neck and shoulders, is left out.
    """

    name: str = "wrap"
    reason: str = "quality-wrap"
    resolution: float = 0.05

    def __call__(self, look: Look, /) -> float | None:
        """The measure of a scan, or None where it cannot be measured."""
        shown = np.flatnonzero(look.head.any(axis=(0, 1)))
        if not shown.size:
            return None
        upper = look.head[..., shown[0] + shown.size // 3 : shown[-1] + 1]
        edges = (upper[0], upper[-1], upper[:, 0], upper[:, -1])
        return max(float(edge.mean()) for edge in edges)
