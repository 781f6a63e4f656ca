"""Are the axes named right?"""

from dataclasses import dataclass

from mri_guard.records import Rejection, Scan
from mri_guard.sanitize.learnt_heads import LearntHeads
from mri_guard.sanitize.look import look


@dataclass(frozen=True, slots=True)
class OrientationPlausible:
    """Refuses a head that looks more like one with its axes named otherwise.

    `orientation-implausible`: upside down, back to front, or axes swapped. Which side is left
    cannot be told from a head that is nearly the same on both: that is the header's word alone.
    """

    heads: LearntHeads
    name: str = "orientation_plausible"

    def __call__(self, scan: Scan, /) -> Rejection | None:
        """Why the volume is refused, or None."""
        turned = self.heads.turned(look(scan))
        if turned > 0:
            return Rejection(
                "orientation-implausible",
                f"turned or with axes swapped it is {turned:.2f} nearer to a head; 0 allowed",
            )
        return None
