"""A scan and what the model makes of it, found once for all checks."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mri_guard.anomaly import Fusion, Vae, VaeScorer, tensors
from mri_guard.anomaly.frame import View
from mri_guard.errors import SettingsError
from mri_guard.evaluation.detection import Case, slice_positions
from mri_guard.ports import Scorer
from mri_guard.records import Preprocessed
from mri_guard.training.data import Subject, subject_of


@dataclass(frozen=True, slots=True, eq=False)
class Examined:
    """One scan, cut to its brain's box; all of it in units of `View`.

    Attributes:
        preprocessed: the scan.
        patient: index.
        subject: image, brain, places and the slices that training would learn from.
        restored: float32, (z, x, y), 0 outside the brain.
        lesion: bool, (z, x, y), inside the brain.
        position: float64, (z,), of each slice along the brain, 0..1.
        scores: float64, (z,), of each slice; NaN where there is too little brain.
    """

    preprocessed: Preprocessed
    patient: int
    subject: Subject
    restored: NDArray[np.float32]
    lesion: NDArray[np.bool_]
    position: NDArray[np.float64]
    scores: NDArray[np.float64]


def examine(case: Case, scorer: VaeScorer) -> Examined:
    """The scan as the model sees, restores and scores it.

    Raises:
        SeriesError: `no-brain-found`.
    """
    anomaly, config = scorer(case.preprocessed), scorer.config
    image, brain = tensors(case.preprocessed, "cpu")
    low, high = config.intensity_low, config.intensity_high
    view = View.of(image[:, 0], brain[:, 0], config.model.multiple, low, high)

    def cut(array: NDArray[np.generic]) -> NDArray[np.float32]:
        stack = torch.from_numpy(np.moveaxis(array, 2, 0).astype(np.float32))
        return np.asarray(view.frame.cut(stack).numpy())

    within = slice(view.frame.low[0], view.frame.high[0])
    return Examined(
        preprocessed=case.preprocessed,
        patient=case.subject,
        subject=subject_of(case.preprocessed, case.lesion, config),
        restored=cut(anomaly.reconstruction) * float(view.gain),
        lesion=(cut(case.lesion) > 0) & view.inside.numpy(),
        position=slice_positions(case.preprocessed.brain)[within],
        scores=anomaly.slice_scores[within],
    )


def whole(scorer: Scorer) -> tuple[VaeScorer, Vae, Fusion]:
    """A scorer that has all that bundles have, its network and its fusion.

    Raises:
        SettingsError: the network is exported or another's, or a part of the fusion is taken away.
    """
    if (
        isinstance(scorer, VaeScorer)
        and isinstance(scorer.model, Vae)
        and isinstance(scorer.fusion, Fusion)
    ):
        return scorer, scorer.model, scorer.fusion
    raise SettingsError("these checks look into the network: wanted a bundle's own VAE, whole")


def numbered(scans: Sequence[Examined]) -> list[Examined]:
    """The same with their patients numbered from 0, none left out."""
    known = sorted({scan.patient for scan in scans})
    return [replace(scan, patient=known.index(scan.patient)) for scan in scans]


def stacked(windows: Sequence[NDArray[np.generic]], like: torch.nn.Module) -> Tensor:
    """Arrays of one shape as a float32 batch where the network's parameters lie."""
    batch = torch.from_numpy(np.stack(windows).astype(np.float32))
    return batch.to(next(like.parameters()).device)
