"""Input transformations and other defences."""

from mri_guard.defences.bit_depth import BitDepth
from mri_guard.defences.median import Median

TRANSFORMATIONS = (BitDepth(), Median())
"""Every input transformation, cheapest first."""

__all__ = ["TRANSFORMATIONS", "BitDepth", "Median"]
