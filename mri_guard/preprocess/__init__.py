"""The model's grid, the brain, the model's intensity."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mri_guard.errors import SeriesError
from mri_guard.preprocess.brain_mask import BrainMask
from mri_guard.preprocess.grid import PIXEL_MM, centre, resample, to_scan_grid
from mri_guard.preprocess.head_mask import head_mask
from mri_guard.preprocess.intensity import brain_range, normalise
from mri_guard.preprocess.orientation import spacing_mm, to_ras
from mri_guard.records import Preprocessed, Scan

__all__ = ["BrainMask", "Preprocess", "normalised", "to_scan_grid"]

SMALLEST_SECTION_CM2 = 30.0
SMALLEST_BRAIN_ML, LARGEST_BRAIN_ML = 500.0, 3500.0  # wide: spacings are sometimes nominal


@dataclass(frozen=True, slots=True, eq=False)
class Preprocess:
    """Brings a scan to the model's grid and intensity; satisfies `ports.Preprocessor`.

    Attributes:
        brain_mask: finds the brain, given image, head and slice spacing (mm) on the model's grid.
    """

    brain_mask: Callable[[NDArray[np.float32], NDArray[np.bool_], float], NDArray[np.bool_]]

    def __call__(self, scan: Scan) -> Preprocessed:
        """The scan on the model's grid.

        Raises:
            SeriesError: `no-head-found`, `no-brain-found`, `brain-implausible`,
                `brain-without-contrast`, `in-plane-too-coarse` or `slices-too-far-apart`.
        """
        image, affine = resample(*to_ras(scan.voxels, scan.affine))
        head = head_mask(image)
        if not head.any():
            raise SeriesError("no-head-found", "nothing stands out from the background")
        image, head, affine = centre(image, head, affine)

        gap_mm = spacing_mm(affine)[2]
        brain = self.brain_mask(image, head, gap_mm)
        check_plausible(brain, gap_mm)
        return normalised(image, head, brain, affine)


def normalised(
    image: NDArray[np.float32],
    head: NDArray[np.bool_],
    brain: NDArray[np.bool_],
    affine: NDArray[np.float64],
) -> Preprocessed:
    """An image of the model's grid on the model's intensity, its head with all of the brain.

    Args:
        image: float32, (128, 128, z), scanner units.
        head: bool, like image.
        brain: bool, like image.
        affine: (4, 4), voxels to RAS+ mm.

    Raises:
        SeriesError: `brain-without-contrast`.
    """
    head = head | brain
    low, high = brain_range(image, brain)
    return Preprocessed(
        image=normalise(image, head, low, high),
        brain=brain,
        head=head,
        affine=affine,
        intensity_low=low,
        intensity_high=high,
    )


def check_plausible(brain: NDArray[np.bool_], gap_mm: float) -> None:
    """Refuses what cannot be a human brain, whole or cut by the ends of the stack.

    Args:
        brain: bool, (128, 128, z).
        gap_mm: from one slice to the next.

    Raises:
        SeriesError: `no-brain-found` or `brain-implausible`.
    """
    section_cm2 = brain.sum(axis=(0, 1)).max(initial=0) * PIXEL_MM**2 / 100
    if section_cm2 < SMALLEST_SECTION_CM2:
        raise SeriesError(
            "no-brain-found",
            f"largest axial section of brain {section_cm2:.0f} cm2, "
            f"at least {SMALLEST_SECTION_CM2:.0f} cm2 wanted",
        )
    volume_ml = brain.sum() * PIXEL_MM**2 * gap_mm / 1000
    whole = not (brain[..., 0].any() or brain[..., -1].any())
    smallest = SMALLEST_BRAIN_ML if whole else 0.0
    if not smallest <= volume_ml <= LARGEST_BRAIN_ML:
        raise SeriesError(
            "brain-implausible",
            f"brain of {volume_ml:.0f} ml, {smallest:.0f} to {LARGEST_BRAIN_ML:.0f} ml wanted",
        )
