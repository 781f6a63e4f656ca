"""Whether budgets of false flags are kept when calibration and test are drawn again and again.

Real scores have ties, heavy tails and groups; the guarantees ask nothing of their distribution. So
the healthy scores at hand are taken for a whole population, from which calibration sets are drawn:
what a threshold then does to that population is known and no estimate.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mri_guard.calibration import Budget, Workload
from mri_guard.determinism import generator
from mri_guard.metrics.proportion import clopper_pearson
from mri_guard.records import Record, Share

RESAMPLES = 1000
OVERALL = "all"

Scores = NDArray[np.float64]


class Claim(Record):
    """How often one budget was not kept in one slice.

    Attributes:
        of: the slice, `all` for every scan.
        budget: of false flags, in words.
        threshold: `exact`, of the slice's own scans; `pooled`, of all scans, which promises a slice
            nothing; `quantile`, the plain one at the budget's share.
        people: healthy scans in the slice.
        calibrated: healthy scans of each calibration set.
        resamples: how many.
        broken: of them, with more false flags than the budget has; None where there is no
            threshold.
        low: lower end of the exact 95 % interval of that share.
        high: upper end.
        stated: share of broken resamples that the threshold allows itself; None: it promises none.
        verdict: in words.
    """

    of: str
    budget: str
    threshold: str
    people: int
    calibrated: int
    resamples: int
    broken: int | None
    low: Share | None
    high: Share | None
    stated: Share | None
    verdict: str


def claims(
    scores: Scores,
    slices: Mapping[str, NDArray[np.bool_]],
    budgets: Sequence[Budget],
    delta: float,
    *,
    seed: int,
    resamples: int = RESAMPLES,
) -> tuple[Claim, ...]:
    """Each budget's claims, of all scans and of each slice.

    For a rate, a calibration set of the slice's size is drawn with replacement, and the budget is
    broken where more than alpha of the slice is above the threshold. For a workload, calibration
    set and day are drawn together without replacement, nobody in both.

    Args:
        scores: float64, (n,), finite, of healthy scans, one of each person.
        slices: bool, (n,), by name: who belongs to it.
        budgets: of false flags.
        delta: probability of not holding one.
        seed: of the draws.
        resamples: of each claim.

    Raises:
        ValueError: a score is not finite.
    """
    if not np.isfinite(scores).all():
        raise ValueError("a score is not finite")
    everybody = np.ones(len(scores), dtype=np.bool_)
    found: list[Claim] = []
    for name, inside in {OVERALL: everybody, **slices}.items():
        for budget in budgets:
            for threshold in ("exact", "quantile" if name == OVERALL else "pooled"):
                rng = generator(seed, "claims", name, budget.name, threshold)
                source = everybody if threshold == "pooled" else inside
                drawn = _Draw(scores, inside, source, budget, delta, threshold == "quantile")
                found.append(_claim(name, threshold, drawn, rng, resamples))
    return tuple(found)


@dataclass(frozen=True, slots=True, eq=False)
class _Draw:
    """What one claim draws from.

    Attributes:
        scores: of everybody.
        members: bool, (n,): who is assessed.
        source: bool, (n,): who may calibrate; the members or everybody.
        budget: of false flags.
        delta: probability of not holding it.
        plain: whether the threshold is the plain quantile.
    """

    scores: Scores
    members: NDArray[np.bool_]
    source: NDArray[np.bool_]
    budget: Budget
    delta: float
    plain: bool

    @property
    def day(self) -> int:
        """People who are kept out of the calibration set, to be screened."""
        return self.budget.per_day if isinstance(self.budget, Workload) else 0

    @property
    def calibrated(self) -> int:
        """Size of each calibration set."""
        return int(self.source.sum()) - self.day

    @property
    def wanted(self) -> int:
        """People in the slice below whom it cannot be told."""
        return self.budget.smallest_count(self.delta) + self.day

    def limit(self, calibration: Scores) -> float:
        """The threshold from a calibration set."""
        if not self.plain:
            rank = self.budget.rank(self.calibrated, self.delta)
            return float(np.partition(calibration, -rank)[-rank])
        if isinstance(self.budget, Workload):
            return float(np.quantile(calibration, 1 - self.budget.at_most / self.budget.per_day))
        return float(np.quantile(calibration, 1 - self.budget.alpha))

    def breaks(self, rng: np.random.Generator) -> bool:
        """Whether one resample has more false flags than the budget."""
        members, source = np.flatnonzero(self.members), np.flatnonzero(self.source)
        if isinstance(self.budget, Workload):
            today = rng.choice(members, self.day, replace=False)
            limit = self.limit(self.scores[np.setdiff1d(source, today)])
            return bool((self.scores[today] > limit).sum() > self.budget.at_most)
        limit = self.limit(self.scores[rng.choice(source, self.calibrated)])
        return bool((self.scores[members] > limit).mean() > self.budget.alpha)


def _claim(
    name: str, threshold: str, draw: _Draw, rng: np.random.Generator, resamples: int
) -> Claim:
    people = int(draw.members.sum())
    stated = draw.delta if threshold == "exact" else None
    broken = low = high = None
    if people < draw.wanted:
        verdict = f"cannot tell (n = {people}, would need {draw.wanted})"
    else:
        broken = sum(draw.breaks(rng) for _ in range(resamples))
        low, high = clopper_pearson(broken, resamples)
        if stated is None:
            verdict = "no guarantee"
        else:
            verdict = "kept" if low <= stated else "BROKEN more often than stated"
    return Claim(
        of=name,
        budget=str(draw.budget),
        threshold=threshold,
        people=people,
        calibrated=max(draw.calibrated, 0),
        resamples=resamples,
        broken=broken,
        low=low,
        high=high,
        stated=stated,
        verdict=verdict,
    )
