"""Checks of a NIfTI file before its voxels are read, cheapest first."""

from mri_guard.ports import HeaderCheck
from mri_guard.sanitize.header_checks.file_size import FileSize
from mri_guard.sanitize.nifti_checks.nifti_header import NiftiHeader

NIFTI_CHECKS: tuple[HeaderCheck, ...] = (FileSize(), NiftiHeader())
