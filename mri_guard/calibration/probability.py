"""From score to probability of abnormality, where labelled scans say what scores mean.

A p-value needs healthy scans alone and is no probability of anything about the patient. A
probability needs abnormal ones too, and holds where they are as frequent as they were among the
labelled scans.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from sklearn.isotonic import IsotonicRegression

from mri_guard.errors import NotCalibratedError
from mri_guard.records import Finite, Probability, Record


class LabelledScores(Record):
    """Scores of scans of which it is known what they are; stands in `calibration.json`.

    Attributes:
        healthy: of healthy scans.
        abnormal: of abnormal ones. Neither group may have fitted the model.
    """

    healthy: tuple[Finite, ...] = Field(min_length=1)
    abnormal: tuple[Finite, ...] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class VennAbers:
    """Inductive Venn-Abers predictor (Vovk, Petej and Fedorova 2015, arXiv:1511.00213, section 2).

    Isotonic regression on the labelled scores and the new one, once taken for healthy and once for
    abnormal, gives the new one two probabilities. One of them is calibrated whatever the scores'
    distribution, if the scan is exchangeable with the labelled ones; nobody knows which, and the
    fewer labelled scans there are the further they lie apart.

    Attributes:
        labelled: scores.
    """

    labelled: LabelledScores

    @classmethod
    def fit(cls, healthy: Sequence[float], abnormal: Sequence[float]) -> Self:
        """From scores of both kinds.

        Raises:
            NotCalibratedError: one kind has none; there is no probability without labels.
        """
        if not len(healthy) or not len(abnormal):
            raise NotCalibratedError(
                f"{len(healthy)} healthy and {len(abnormal)} abnormal scores; a probability of "
                "abnormality wants labelled scans of both kinds"
            )
        return cls(LabelledScores(healthy=tuple(healthy), abnormal=tuple(abnormal)))

    def __call__(self, score: float) -> Probability:
        """Both probabilities of a score, and the one between them of least regret (section 3).

        Raises:
            ValueError: the score is not finite.
        """
        if not np.isfinite(score):
            raise ValueError("score is not finite")
        scores, truth = _labelled(self.labelled)
        low, high = (
            float(_isotonic([*scores, score], [*truth, taken]).predict([score])[0])
            for taken in (0.0, 1.0)
        )
        return Probability(
            value=high / (1 - low + high),
            low=low,
            high=high,
            healthy=len(self.labelled.healthy),
            abnormal=len(self.labelled.abnormal),
        )


@dataclass(frozen=True, slots=True)
class Isotonic:
    """The rising step function of least squared error (Zadrozny and Elkan 2002, KDD, section 3).

    One number without an interval, and overconfident where labelled scans are few: it says 0 below
    the lowest abnormal score and 1 above the highest healthy one.

    Attributes:
        labelled: scores.
    """

    labelled: LabelledScores

    def __call__(self, scores: Sequence[float]) -> NDArray[np.float64]:
        """Probability of each score, float64, (n,), in [0, 1].

        Raises:
            ValueError: a score is not finite.
        """
        return np.asarray(_isotonic(*_labelled(self.labelled)).predict(scores), np.float64)


def _labelled(scores: LabelledScores) -> tuple[list[float], list[float]]:
    """All scores, and 1 for each abnormal one."""
    truth = [0.0] * len(scores.healthy) + [1.0] * len(scores.abnormal)
    return [*scores.healthy, *scores.abnormal], truth


def _isotonic(scores: Sequence[float], truth: Sequence[float]) -> IsotonicRegression:
    return IsotonicRegression(out_of_bounds="clip").fit(
        np.asarray(scores, np.float64), np.asarray(truth, np.float64)
    )
