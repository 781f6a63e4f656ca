"""Nothing reaches the model that no check has vouched for."""

from mri_guard.sanitize.header_checks import HEADER_CHECKS
from mri_guard.sanitize.nifti_checks import NIFTI_CHECKS
from mri_guard.sanitize.sanitizer import Sanitizer
from mri_guard.sanitize.series_checks import SERIES_CHECKS
from mri_guard.sanitize.voxel_checks import VOXEL_CHECKS, learnt_checks

__all__ = [
    "HEADER_CHECKS",
    "NIFTI_CHECKS",
    "SERIES_CHECKS",
    "VOXEL_CHECKS",
    "Sanitizer",
    "learnt_checks",
]
