"""Several scorers as one."""

from dataclasses import dataclass

import numpy as np

from mri_guard.ports import Scorer
from mri_guard.records import Anomaly, Preprocessed


@dataclass(frozen=True, slots=True)
class Ensemble:
    """The median of several scorers: fewer than half of them, moved however far, do not take the
    score beyond what another one says. Satisfies `ports.Scorer`.

    Map, restoration, slice scores and score are medians each by itself, voxel by voxel and slice by
    slice: with an even number the mean of the middle two.

    Attributes:
        scorers: one or more, whose scores mean the same.
    """

    scorers: tuple[Scorer, ...]

    def __post_init__(self) -> None:
        """Refuses an empty ensemble."""
        if not self.scorers:
            raise ValueError("an ensemble of no scorer")

    def __call__(self, preprocessed: Preprocessed) -> Anomaly:
        """Medians; NaN for a slice that any of them gives no score."""
        every = [scorer(preprocessed) for scorer in self.scorers]
        signed = np.median([one.signed for one in every], axis=0)
        return Anomaly(
            map=np.abs(signed).astype(np.float32),
            signed=signed.astype(np.float32),
            reconstruction=np.median([one.reconstruction for one in every], axis=0).astype(
                np.float32
            ),
            slice_scores=np.median([one.slice_scores for one in every], axis=0),
            score=float(np.median([one.score for one in every])),
        )
