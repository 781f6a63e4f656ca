"""Synthetic heads whose truth is known, from the ICBM152 tissue maps."""

from mri_guard.phantom.dicom import write_dicom_series
from mri_guard.phantom.parameters import Lesion, LesionKind, PhantomParameters, draw_parameters
from mri_guard.phantom.render import Phantom, render
from mri_guard.phantom.write import write_phantoms

__all__ = [
    "Lesion",
    "LesionKind",
    "Phantom",
    "PhantomParameters",
    "draw_parameters",
    "render",
    "write_dicom_series",
    "write_phantoms",
]
