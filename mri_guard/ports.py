"""What each step of the journey must be able to do; `bundle.py` chooses who does it."""

from collections.abc import Sequence
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from mri_guard.records import (
    Anomaly,
    CalibratedScore,
    CheckResult,
    Decision,
    DetectorResult,
    InstanceHeader,
    Perturbation,
    Preprocessed,
    Rejection,
    Scan,
    SecondLook,
    Source,
)


class HeaderCheck(Protocol):
    """Looks at one instance before any pixel is decoded."""

    @property
    def name(self) -> str:
        """The check's name, equal to its file's."""

    def __call__(self, instance: InstanceHeader, /) -> Rejection | None:
        """Why the instance is refused, or None."""


class SeriesCheck(Protocol):
    """Looks at all headers of a series together."""

    @property
    def name(self) -> str:
        """The check's name, equal to its file's."""

    def __call__(self, instances: Sequence[InstanceHeader], /) -> Rejection | None:
        """Why the series is refused, or None."""


class VoxelCheck(Protocol):
    """Looks at the decoded volume before the model sees it."""

    @property
    def name(self) -> str:
        """The check's name, equal to its file's."""

    def __call__(self, scan: Scan, /) -> Rejection | None:
        """Why the volume is refused, or None."""


class Sanitizer(Protocol):
    """All checks, in running order; each family stops at its first failure."""

    def check_headers(self, source: Source) -> tuple[tuple[CheckResult, ...], tuple[str, ...]]:
        """Results of header and series checks, and the SHA-256 of each file, hex, sorted."""

    def check_voxels(self, scan: Scan) -> tuple[CheckResult, ...]:
        """Results of the voxel checks."""


class Decoder(Protocol):
    """Turns a source into a volume, away from this process."""

    def __call__(self, source: Source, /) -> Scan:
        """The volume.

        Raises:
            InputError: what arrived cannot be decoded within the limits.
        """

    def close(self) -> None:
        """Lets that other process go."""


class Preprocessor(Protocol):
    """Brings a scan to the model's grid and intensity."""

    def __call__(self, scan: Scan, /) -> Preprocessed:
        """The scan on the model's grid.

        Raises:
            InputError: no brain was found, or the scan does not fit the grid.
        """


class Scorer(Protocol):
    """Finds what is unusual."""

    def __call__(self, preprocessed: Preprocessed, /) -> Anomaly:
        """Anomaly map and scores."""


class Detector(Protocol):
    """Notices that an image was perturbed on purpose."""

    @property
    def name(self) -> str:
        """The detector's name, equal to its file's."""

    def __call__(
        self, scan: Scan, preprocessed: Preprocessed, anomaly: Anomaly, scorer: Scorer, /
    ) -> DetectorResult:
        """Statistic and conformal p-value."""


class Combine(Protocol):
    """Brings the detectors' results together."""

    def __call__(self, results: Sequence[DetectorResult], /) -> Perturbation:
        """One p-value for all of them.

        Raises:
            ValueError: not one result of each detector that it was made for.
        """


class Artifact(Protocol):
    """What a scanner does to an image; its fields are all that it takes to do so again."""

    @property
    def name(self) -> str:
        """The artifact's name, equal to its file's."""

    @classmethod
    def draw(cls, rng: np.random.Generator, strength: float) -> Self:
        """One of that strength, from 0 (changes nothing) to 1 (the worst that is drawn)."""

    def __call__(self, image: NDArray[np.float32], /) -> NDArray[np.float32]:
        """The image with it, float32, a slice (x, y) or a stack of slices (x, y, z)."""


class Calibrator(Protocol):
    """Says what a score means among healthy scans."""

    def __call__(self, score: float, /) -> CalibratedScore:
        """p-value and threshold."""


class SecondLooker(Protocol):
    """Looks again, at more cost, at a scan whose score an alarm attack could have made."""

    def __call__(self, preprocessed: Preprocessed, /) -> SecondLook:
        """A score that such an attack moves less, with its bounds."""


class Policy(Protocol):
    """Decides where a scan goes."""

    def __call__(
        self,
        checks: Sequence[CheckResult],
        perturbation: Perturbation | None,
        calibrated: CalibratedScore | None,
        second_look: SecondLook | None = None,
    ) -> Decision:
        """Release, review or quarantine; quarantine for whatever is missing."""
