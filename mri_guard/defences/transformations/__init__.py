"""One input transformation a file."""

from mri_guard.defences.transformations.bit_depth import BitDepth
from mri_guard.defences.transformations.jpeg import Jpeg
from mri_guard.defences.transformations.median import Median
from mri_guard.defences.transformations.non_local_means import NonLocalMeans
from mri_guard.defences.transformations.resize_pad import ResizePad
from mri_guard.defences.transformations.total_variation import TotalVariation

Transformation = BitDepth | Jpeg | Median | NonLocalMeans | ResizePad | TotalVariation
"""From an image, float32, (x, y, z), normalised intensity, to one like it."""

TRANSFORMATIONS: tuple[Transformation, ...] = (
    BitDepth(),
    Jpeg(),
    Median(),
    ResizePad(),
    TotalVariation(),
    NonLocalMeans(),
)
"""Every input transformation, cheapest first."""

__all__ = [
    "TRANSFORMATIONS",
    "BitDepth",
    "Jpeg",
    "Median",
    "NonLocalMeans",
    "ResizePad",
    "TotalVariation",
    "Transformation",
]
