"""Quality measures of a scan: one a file, each with its definition and where it comes from.

A measure is a number that rises with how bad a scan is, in a unit in which honest scans scatter
about evenly: a logarithm where the thing itself is a ratio. `mri_guard.sanitize.limits` says how
high it may be.
"""

from typing import Protocol

from mri_guard.sanitize.learnt_heads import LearntHeads
from mri_guard.sanitize.look import Look
from mri_guard.sanitize.measures.air_structure import AirStructure
from mri_guard.sanitize.measures.background import Background
from mri_guard.sanitize.measures.bias import Bias
from mri_guard.sanitize.measures.blur import Blur
from mri_guard.sanitize.measures.clipping import Clipping
from mri_guard.sanitize.measures.entropy import Entropy
from mri_guard.sanitize.measures.flatness import Flatness
from mri_guard.sanitize.measures.ghosting import Ghosting
from mri_guard.sanitize.measures.grain import Grain
from mri_guard.sanitize.measures.likeness import Likeness
from mri_guard.sanitize.measures.motion import Motion
from mri_guard.sanitize.measures.noise import Noise
from mri_guard.sanitize.measures.short_head import ShortHead
from mri_guard.sanitize.measures.small_head import SmallHead
from mri_guard.sanitize.measures.spike import Spike
from mri_guard.sanitize.measures.strokes import Strokes
from mri_guard.sanitize.measures.tissue import Tissue
from mri_guard.sanitize.measures.top_cut import TopCut
from mri_guard.sanitize.measures.wrap import Wrap


class Measure(Protocol):
    """One thing that can be wrong with an image, as a number that rises with it."""

    @property
    def name(self) -> str:
        """The measure's name, equal to its file's."""

    @property
    def reason(self) -> str:
        """Stable code of a scan that is refused for it."""

    @property
    def resolution(self) -> float:
        """Differences below this mean nothing: the least spread that limits are made from."""

    def __call__(self, look: Look, /) -> float | None:
        """The measure of a scan that shows a head, or None where it cannot be measured."""


MEASURES: tuple[Measure, ...] = (
    TopCut(),
    ShortHead(),
    SmallHead(),
    Wrap(),
    Ghosting(),
    Background(),
    Clipping(),
    AirStructure(),
    Noise(),
    Entropy(),
    Motion(),
    Flatness(),
    Bias(),
    Blur(),
    Grain(),
    Strokes(),
    Spike(),
)
"""Those that need nothing learnt, cheapest first."""


def measures(heads: LearntHeads) -> tuple[Measure, ...]:
    """Every measure, with what a bundle has learnt of heads."""
    learnt: list[Measure] = [Likeness(heads)]
    if heads.contrast is not None:
        learnt.append(Tissue(heads.contrast))
    return (*MEASURES, *learnt)


__all__ = ["MEASURES", "Likeness", "Measure", "Tissue", "measures"]
