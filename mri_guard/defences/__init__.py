"""Input transformations, ensembles and smoothing: what stands between an attacker and the score."""

from mri_guard.defences.ensemble import Ensemble
from mri_guard.defences.smoothing import Smoothed, bounds, largest_radius, ranks, smoothed
from mri_guard.defences.transformations import (
    TRANSFORMATIONS,
    BitDepth,
    Jpeg,
    Median,
    NonLocalMeans,
    ResizePad,
    TotalVariation,
    Transformation,
)
from mri_guard.defences.transformed import Transformed

__all__ = [
    "TRANSFORMATIONS",
    "BitDepth",
    "Ensemble",
    "Jpeg",
    "Median",
    "NonLocalMeans",
    "ResizePad",
    "Smoothed",
    "TotalVariation",
    "Transformation",
    "Transformed",
    "bounds",
    "largest_radius",
    "ranks",
    "smoothed",
]
