"""What embarrasses anomaly detectors: simple statistics with the same mask and smoothing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mri_guard.anomaly import HealthyStatistics, VaeConfig, slice_gap_mm, tensors
from mri_guard.anomaly.frame import Frame
from mri_guard.anomaly.residual import smooth
from mri_guard.anomaly.scorer import scan_score, slice_scores, volume
from mri_guard.ports import Scorer
from mri_guard.records import Anomaly, Preprocessed


class Baseline(Scorer, Protocol):
    """A scorer with a name: the prefix of its metrics."""

    @property
    def name(self) -> str:
        """The baseline's name."""


@dataclass(frozen=True, slots=True)
class Intensity:
    """The brighter, the more anomalous: the threshold that VAEs lose to (Meissen et al. 2021,
    arXiv:2109.06540).

    Attributes:
        config: smoothing and scores as of the model beside it.
    """

    config: VaeConfig
    name: str = "intensity"

    def __call__(self, preprocessed: Preprocessed) -> Anomaly:
        """Smoothed normalised intensity as the map."""
        image, brain = tensors(preprocessed, "cpu")
        return _anomaly(image, brain, preprocessed, self.config)


@dataclass(frozen=True, slots=True, eq=False)
class Atlas:
    """The intensity's distance from the mean of training scans at that place, in their spreads.

    Attributes:
        statistics: of the intensity of lesion-free training slices.
        config: smoothing and scores as of the model beside it.
    """

    statistics: HealthyStatistics
    config: VaeConfig
    name: str = "atlas"

    @classmethod
    def fit(
        cls, scans: Iterable[tuple[Preprocessed, NDArray[np.bool_]]], config: VaeConfig
    ) -> "Atlas":
        """Atlas of the slices two or more away from a lesion.

        Args:
            scans: of the training split, with lesion masks, bool, (x, y, z).
            config: see the class.
        """
        return cls(HealthyStatistics.fit(_lesion_free(*scan) for scan in scans), config)

    def __call__(self, preprocessed: Preprocessed) -> Anomaly:
        """Smoothed |z| of the intensity as the map."""
        image, brain = tensors(preprocessed, "cpu")
        frame = Frame.of(brain[:, 0], 1)
        unusual = self.statistics.standardise(frame.cut(image[:, 0]), frame.positions(image.device))
        whole = frame.put(unusual, brain[:, 0].shape)[:, None]
        return _anomaly(whole, brain, preprocessed, self.config, both_signs=True)


@dataclass(frozen=True, slots=True)
class Position:
    """Where lesions were in the training scans, without a look at the image.

    Attributes:
        prevalence: of lesions, by relative position along the brain, evenly spaced over 0..1.
        config: for the slices that get a score.
    """

    prevalence: tuple[float, ...]
    config: VaeConfig
    name: str = "position"

    @classmethod
    def fit(
        cls,
        scans: Sequence[tuple[Preprocessed, NDArray[np.bool_]]],
        config: VaeConfig,
        bandwidth: float = 0.05,
    ) -> "Position":
        """Kernel estimate over the training slices, each scan counting alike.

        Args:
            scans: of the training split, with lesion masks, bool, (x, y, z).
            config: see the class.
            bandwidth: of the Gaussian kernel, share of the brain's extent.
        """
        grid = np.linspace(0, 1, 101)
        hits, all_ = np.zeros_like(grid), np.zeros_like(grid)
        for preprocessed, lesion in scans:
            position = relative_position(preprocessed.brain)
            inside = np.isfinite(position)
            kernel = np.exp(-0.5 * ((grid[:, None] - position[inside]) / bandwidth) ** 2)
            touched = np.asarray(lesion.any(axis=(0, 1)))
            hits += kernel @ touched[inside] / inside.sum()
            all_ += kernel.sum(1) / inside.sum()
        return cls(tuple((hits / all_).tolist()), config)

    def __call__(self, preprocessed: Preprocessed) -> Anomaly:
        """The slice's prevalence in each of its voxels as the map."""
        position = relative_position(preprocessed.brain)
        grid = np.linspace(0, 1, len(self.prevalence))
        by_slice = np.interp(position, grid, self.prevalence)
        _, brain = tensors(preprocessed, "cpu")
        values = torch.from_numpy(np.nan_to_num(by_slice)).float()[:, None, None, None]
        spread = values * brain
        return Anomaly(
            map=volume(spread),
            reconstruction=preprocessed.image.copy(),
            slice_scores=slice_scores(spread, brain, self.config).double().numpy(),
            score=float(scan_score(spread, brain, self.config)),
        )


def relative_position(brain: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Place of each slice between the brain's first (0) and last (1), (z,); NaN beyond them.

    Args:
        brain: bool, (x, y, z), with at least one voxel.
    """
    found = np.flatnonzero(brain.any(axis=(0, 1)))
    index = np.arange(brain.shape[2], dtype=np.float64)
    position = (index - found[0]) / max(1, found[-1] - found[0])
    return np.where((index < found[0]) | (index > found[-1]), np.nan, position)


def _anomaly(
    values: Tensor,
    brain: Tensor,
    preprocessed: Preprocessed,
    config: VaeConfig,
    both_signs: bool = False,
) -> Anomaly:
    """Smoothed and scored as the model's own map is."""
    gap_mm = slice_gap_mm(preprocessed)
    smoothed = smooth(values[:, 0], brain[:, 0], config.smoothing_px, config.smoothing_mm / gap_mm)[
        :, None
    ]
    found = smoothed.abs() if both_signs else smoothed
    return Anomaly(
        map=volume(found),
        reconstruction=preprocessed.image.copy(),
        slice_scores=slice_scores(found, brain, config).double().numpy(),
        score=float(scan_score(found, brain, config)),
    )


def _lesion_free(
    preprocessed: Preprocessed, lesion: NDArray[np.bool_]
) -> tuple[Tensor, Tensor, Tensor]:
    image, brain = tensors(preprocessed, "cpu")
    frame = Frame.of(brain[:, 0], 1)
    touched = torch.from_numpy(lesion.any(axis=(0, 1)))
    near = touched.clone()
    near[1:] |= touched[:-1]
    near[:-1] |= touched[1:]
    counts = brain[:, 0] & ~near[:, None, None]
    inside = frame.cut(counts.float()) > 0
    return frame.cut(image[:, 0]), inside, frame.positions(image.device)
