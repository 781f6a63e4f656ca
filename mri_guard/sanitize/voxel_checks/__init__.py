"""Checks of the decoded volume before the model sees it, cheapest first."""

from mri_guard.ports import VoxelCheck
from mri_guard.sanitize.learnt_heads import LearntHeads
from mri_guard.sanitize.limits import Limits
from mri_guard.sanitize.voxel_checks.dynamic_range import DynamicRange
from mri_guard.sanitize.voxel_checks.finite_values import FiniteValues
from mri_guard.sanitize.voxel_checks.head_extent import HeadExtent
from mri_guard.sanitize.voxel_checks.head_found import HeadFound
from mri_guard.sanitize.voxel_checks.not_constant import NotConstant
from mri_guard.sanitize.voxel_checks.orientation_plausible import OrientationPlausible
from mri_guard.sanitize.voxel_checks.within_limits import WithinLimits

VOXEL_CHECKS: tuple[VoxelCheck, ...] = (
    HeadExtent(),
    FiniteValues(),
    NotConstant(),
    DynamicRange(),
    HeadFound(),
)
"""Those that need no bundle."""


def learnt_checks(heads: LearntHeads, limits: Limits) -> tuple[VoxelCheck, ...]:
    """Those that a bundle has learnt, after `VOXEL_CHECKS`."""
    return (WithinLimits(heads, limits), OrientationPlausible(heads))
