"""The one rule from a baseline's values to its anomaly: the model's mask, smoothing and scores."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mri_guard.anomaly import HealthyStatistics, VaeConfig, slice_gap_mm, tensors
from mri_guard.anomaly.frame import Frame
from mri_guard.anomaly.residual import in_own_spreads, smooth
from mri_guard.anomaly.scorer import scan_score, slice_scores, volume
from mri_guard.records import Anomaly, Preprocessed
from mri_guard.training.data import Subject, subject_of

SMALLEST_SPREAD = 1e-6
"""In a baseline's own units, whatever they are: only against division by nought."""


def as_seen(preprocessed: Preprocessed, config: VaeConfig) -> Subject:
    """The scan as the model sees it: its brain cut out, at the model's scale."""
    return subject_of(preprocessed, None, config)


def standardised(values: Tensor, statistics: HealthyStatistics, subject: Subject) -> Tensor:
    """Values less the healthy mean at their place, over the spread, (z, x, y) of the box.

    0 where the values are NaN: what was not measured is not unusual.
    """
    return statistics.standardise(values, torch.from_numpy(subject.positions)).nan_to_num(0.0)


def scored_box(
    values: Tensor, preprocessed: Preprocessed, config: VaeConfig, *, both_signs: bool
) -> Anomaly:
    """As `scored`, of values (z, x, y) in the box of `as_seen`."""
    _, brain = tensors(preprocessed, "cpu")
    frame = Frame.of(brain[:, 0], config.model.multiple)
    whole = frame.put(values, brain[:, 0].shape)
    return scored(whole, preprocessed, config, both_signs=both_signs)


def scored(
    values: Tensor, preprocessed: Preprocessed, config: VaeConfig, *, both_signs: bool
) -> Anomaly:
    """Smoothed inside the brain and scored as the model's own map is.

    Args:
        values: float32, (z, x, y) of the whole stack; rising with abnormality, unless both signs
            count.
        preprocessed: what they are of.
        config: smoothing and scores.
        both_signs: too dark counts too, at the model's share, and the scan's own spread is the
            unit; the smoothing comes first, so that noise of both signs cancels.
    """
    _, brain = tensors(preprocessed, "cpu")
    across = config.fusion.smoothing_mm / slice_gap_mm(preprocessed)
    smoothed = smooth(values, brain[:, 0], config.fusion.smoothing_px, across)
    if both_signs:
        smoothed = in_own_spreads(smoothed, brain[:, 0], config.fusion.dark, SMALLEST_SPREAD)
    found = smoothed.abs() if both_signs else smoothed
    return _anomaly(found[:, None], smoothed[:, None], brain, preprocessed, config)


def spread_over_slices(
    by_slice: NDArray[np.float64], preprocessed: Preprocessed, config: VaeConfig
) -> Anomaly:
    """Scores that know no place in the slice: each slice's own in all of its brain.

    Args:
        by_slice: (z,); NaN where there is none, taken for 0.
        preprocessed: what they are of.
        config: for the slices that get a score.
    """
    _, brain = tensors(preprocessed, "cpu")
    values = torch.from_numpy(np.nan_to_num(by_slice)).float()[:, None, None, None]
    found = values * brain
    return _anomaly(found, found, brain, preprocessed, config)


def _anomaly(
    found: Tensor, signed: Tensor, brain: Tensor, preprocessed: Preprocessed, config: VaeConfig
) -> Anomaly:
    return Anomaly(
        map=volume(found),
        signed=volume(signed),
        reconstruction=preprocessed.image.copy(),
        slice_scores=slice_scores(found, brain, config).double().numpy(),
        score=float(scan_score(found, brain, config)),
    )
