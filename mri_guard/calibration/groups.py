"""Thresholds and p-values of groups: a group's own where it is large enough, else the pooled ones.

Mondrian conformal prediction (Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World,
2005, section 4.5): scans are held against the healthy ones of their own group. Each group's
threshold keeps its promise with probability 1 - delta by itself, not all groups at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mri_guard.calibration.budget import Budget
from mri_guard.calibration.threshold import largest
from mri_guard.errors import NotCalibratedError
from mri_guard.metrics.conformal import p_value


@dataclass(frozen=True, slots=True)
class GroupLimit:
    """What a group's scans are held against.

    Attributes:
        group: its name.
        n: healthy scores of the group.
        threshold: scores above it are unusual.
        own: whether it is the group's own; else it is the pooled one.
        claim: what it promises the group, in words.
    """

    group: str
    n: int
    threshold: float
    own: bool
    claim: str


@dataclass(frozen=True, slots=True)
class Groups:
    """Healthy scores by group.

    Attributes:
        scores: of the healthy calibration scans; a group that is not among them has none.
        budget: of false flags, in each group.
        delta: probability, for each group, of not holding it.
    """

    scores: Mapping[str, Sequence[float]]
    budget: Budget
    delta: float

    def limit(self, group: str) -> GroupLimit:
        """The threshold for a group's scans.

        Raises:
            NotCalibratedError: too few healthy scores in all, or one that is not a number.
        """
        own = self._large_enough(group)
        scores = self._compared(group)
        n = len(self.scores.get(group, ()))
        return GroupLimit(
            group=group,
            n=n,
            threshold=largest(scores, self.budget.rank(len(scores), self.delta)),
            own=own,
            claim=f"{self.budget} with probability {1 - self.delta:g} (n = {n})"
            if own
            else f"no group guarantee (n = {n})",
        )

    def p_value(self, score: float, group: str) -> float:
        """Conformal p-value among the group's healthy scans; among all where they are too few.

        Raises:
            NotCalibratedError: there are no healthy scores.
            ValueError: the score is not finite.
        """
        return p_value(score, self._compared(group))

    def _large_enough(self, group: str) -> bool:
        return len(self.scores.get(group, ())) >= self.budget.smallest_count(self.delta)

    def _compared(self, group: str) -> Sequence[float]:
        if self._large_enough(group):
            return self.scores[group]
        pooled = [score for scores in self.scores.values() for score in scores]
        if not pooled:
            raise NotCalibratedError("no calibration scores")
        return pooled
