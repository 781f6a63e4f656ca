"""Checks of the decoded volume before the model sees it, cheapest first."""

from mri_guard.ports import VoxelCheck
from mri_guard.sanitize.voxel_checks.dynamic_range import DynamicRange
from mri_guard.sanitize.voxel_checks.finite_values import FiniteValues
from mri_guard.sanitize.voxel_checks.head_extent import HeadExtent
from mri_guard.sanitize.voxel_checks.not_constant import NotConstant

VOXEL_CHECKS: tuple[VoxelCheck, ...] = (
    HeadExtent(),
    FiniteValues(),
    NotConstant(),
    DynamicRange(),
)
