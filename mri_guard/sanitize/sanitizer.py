"""Runs the checks in order, times them, and stops each family at its first failure."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Self

from mri_guard.errors import SettingsError
from mri_guard.ports import HeaderCheck, SeriesCheck, VoxelCheck
from mri_guard.readers.headers import read_header
from mri_guard.readers.values import quietly
from mri_guard.records import (
    CheckResult,
    Contrast,
    Format,
    InstanceHeader,
    Rejection,
    Scan,
    Source,
)
from mri_guard.sanitize.header_checks import HEADER_CHECKS
from mri_guard.sanitize.nifti_checks import NIFTI_CHECKS
from mri_guard.sanitize.series_checks import SERIES_CHECKS
from mri_guard.sanitize.series_checks.contrast_known import ContrastKnown
from mri_guard.sanitize.voxel_checks import VOXEL_CHECKS

logger = logging.getLogger(__name__)

READ = "read"
"""Name of the result that tells of reading and repairs; what was read is judged by the checks."""


@dataclass(frozen=True, slots=True)
class Sanitizer:
    """A `ports.Sanitizer` over the checks of this package.

    Args:
        header_checks: for each DICOM instance.
        series_checks: for all instances of a series; only when every header check passed.
        nifti_checks: for a NIfTI file, in place of the header checks; of the series checks only
            the contrast applies to it.
        voxel_checks: for the decoded volume.

    Raises:
        SettingsError: a family without checks, which would pass everything.
    """

    header_checks: tuple[HeaderCheck, ...] = HEADER_CHECKS
    series_checks: tuple[SeriesCheck, ...] = SERIES_CHECKS
    nifti_checks: tuple[HeaderCheck, ...] = NIFTI_CHECKS
    voxel_checks: tuple[VoxelCheck, ...] = VOXEL_CHECKS

    def __post_init__(self) -> None:
        for family in ("header_checks", "series_checks", "nifti_checks", "voxel_checks"):
            if not getattr(self, family):
                raise SettingsError(f"{family} is empty; at least one check wanted")

    @classmethod
    def for_contrasts(
        cls, contrasts: Sequence[Contrast], learnt: Sequence[VoxelCheck] = ()
    ) -> Self:
        """All checks, with the contrasts that a bundle knows and the checks that it has learnt."""
        return cls(
            voxel_checks=(*VOXEL_CHECKS, *learnt),
            series_checks=tuple(
                replace(check, contrasts=tuple(contrasts))
                if isinstance(check, ContrastKnown)
                else check
                for check in SERIES_CHECKS
            ),
        )

    def check_headers(self, source: Source) -> tuple[tuple[CheckResult, ...], tuple[str, ...]]:
        """Results of header and series checks, and the SHA-256 of each file, hex, sorted.

        The first result is of the reading itself: what it took, and what was repaired.

        Raises:
            OSError: a file cannot be opened.
        """
        with quietly():
            start = time.perf_counter()
            headers = [read_header(file) for file in source.files]
            read = _read(headers, (time.perf_counter() - start) * 1000)
            nifti = source.format is Format.NIFTI
            checks = self.nifti_checks if nifti else self.header_checks
            results = _run([(check.name, partial(_each, check, headers)) for check in checks])
            if results[-1].passed:
                told = [
                    replace(check, said=source.contrast)
                    if isinstance(check, ContrastKnown)
                    else check
                    for check in self.series_checks
                ]
                # A NIfTI file has no header of DICOM attributes; only what the caller says counts.
                applying = [
                    check for check in told if isinstance(check, ContrastKnown) or not nifti
                ]
                seen = [] if nifti else headers
                results += _run([(check.name, partial(check, seen)) for check in applying])
        return (read, *results), tuple(sorted(header.sha256 for header in headers))

    def check_voxels(self, scan: Scan) -> tuple[CheckResult, ...]:
        """Results of the voxel checks, up to the first that failed."""
        return _run([(check.name, partial(check, scan)) for check in self.voxel_checks])


def _read(headers: Sequence[InstanceHeader], milliseconds: float) -> CheckResult:
    """What reading took, and the repairs that it needed."""
    repairs = Counter(header.repair for header in headers if header.repair)
    told = (f"{name} derived for {count} of {len(headers)}" for name, count in repairs.items())
    return CheckResult(name=READ, passed=True, detail=", ".join(told), milliseconds=milliseconds)


def _each(check: HeaderCheck, headers: Sequence[InstanceHeader]) -> Rejection | None:
    """The first rejection among the instances, with how many share its reason."""
    rejections = [found for header in headers if (found := check(header)) is not None]
    if not rejections:
        return None
    first = rejections[0]
    if len(headers) == 1:
        return first
    return Rejection(first.reason, f"{len(rejections)} of {len(headers)} instances: {first.detail}")


def _run(checks: Sequence[tuple[str, Callable[[], Rejection | None]]]) -> tuple[CheckResult, ...]:
    """One result a check, up to the first failure; a check that raises has failed."""
    results = []
    for name, check in checks:
        start = time.perf_counter()
        try:
            rejection = check()
        except Exception as error:  # noqa: BLE001 - a check that raises has not vouched for anything
            logger.error("check %s failed: %s", name, type(error).__name__)
            rejection = Rejection("check-failed", f"{type(error).__name__} in {name}")
        elapsed = (time.perf_counter() - start) * 1000
        results.append(
            CheckResult(
                name=name,
                passed=rejection is None,
                reason=rejection.reason if rejection else "",
                detail=rejection.detail if rejection else "",
                milliseconds=elapsed,
            )
        )
        if rejection is not None:
            break
    return tuple(results)
