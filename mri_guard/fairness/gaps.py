"""How far a rate of one group is from everybody else's, and whether chance alone explains it.

Among many groups one is always worst. So each rate's gaps are tested together (Westfall and Young
1993, Resampling-Based Multiple Testing, section 2.6, single-step maxT): patients' attributes are
shuffled among patients of the same truth, and the largest of all groups' standardised gaps is
compared with what shuffling makes of it. Groups may overlap, as pairs of columns do. The largest
gap that shuffling leaves stands beside the largest that was seen.

A gap counts in the direction that harms: a sensitivity below, a rate of false positives above that
of the rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from mri_guard.fairness.figures import Cohort
from mri_guard.fairness.slices import Groups
from mri_guard.metrics.by_patient import Values
from mri_guard.records import Finite, Record

PERMUTATIONS = 2000
POWER = 0.95
"""Probability of finding a gap that a verdict says would have been seen."""
CLAIM = 0.10
"""Gap that matters, as a share."""
SMALLEST = 5
"""Patients that a group, and the rest, must have for its gap to be tested."""
SHARES = {"sensitivity": 0.04, "false_positive_rate": 0.01}
"""How the 5 % of false alarms over all groups and both rates are shared out (Bonferroni): lesions
that are missed harm more, and a rate near nought needs less to show a gap of the same size.
"""
BLOCK = 4_000_000
"""Shuffled values that are held in memory at a time."""

Verdict = Literal["gap", "no gap seen", "cannot tell"]


@dataclass(frozen=True, slots=True, eq=False)
class Rate:
    """A share whose gaps are tested.

    Attributes:
        name: of the rate.
        hits: float64, (patients,), how many of each patient's are hit ...
        of: float64, (patients,), ... of how many.
        harm: which way a group is worse off: `low` or `high`.
        alpha: probability that a gap is found in any group where none is.
    """

    name: str
    hits: Values
    of: Values
    harm: Literal["low", "high"]
    alpha: float

    @classmethod
    def of_cohort(cls, cohort: Cohort, name: str, alpha: float) -> "Rate":
        """`sensitivity` or `false_positive_rate`."""
        counted = cohort.counted(name)
        return cls(
            name=name,
            hits=cohort.by_patient(counted & cohort.above),
            of=cohort.by_patient(counted),
            harm="low" if name == "sensitivity" else "high",
            alpha=alpha,
        )

    @property
    def sign(self) -> int:
        """1 where a higher rate harms, -1 where a lower one does."""
        return 1 if self.harm == "high" else -1


class Gap(Record):
    """One group's gap.

    Attributes:
        group: as `Groups` names it.
        gap: how much worse off it is than everybody else, as a share; below 0 where it is better
            off; None where one of the two has nothing to count.
        low: of an interval that takes account of all groups: the test's limit times the spread that
            shuffling leaves, either way; None where it was not tested.
        high: its other end.
        p_value: adjusted for all groups; None where it was not tested.
        n: patients of the group that the rate is taken of.
        verdict: of the test.
        sees: smallest gap that so many patients would show with probability `POWER`; None where
            none would.
        needed: patients of the group that would show a gap of the size that matters, if the rest
            grew with it; None where the rate leaves no room for such a gap.
    """

    group: str
    gap: Finite | None
    low: Finite | None = None
    high: Finite | None = None
    p_value: Finite | None
    n: int
    verdict: Verdict
    sees: Finite | None
    needed: int | None

    @property
    def words(self) -> str:
        """The verdict for people."""
        if self.verdict == "gap":
            return "gap"
        if self.verdict == "no gap seen" and self.sees is not None:
            return f"no gap seen (would have seen {100 * self.sees:.0f} points)"
        wanted = "no n would do" if self.needed is None else f"would need {self.needed}"
        return f"cannot tell (n = {self.n}, {wanted})"


class RateGaps(Record):
    """All gaps of one rate.

    Attributes:
        rate: its name.
        gaps: of each group.
        worst: the group with the largest gap of those tested; None where none could be.
        observed: that gap.
        expected: mean of the largest gap where there is no disparity.
        expected_low: its 2.5th percentile.
        expected_high: its 97.5th.
        p_value: of there being no disparity.
        alpha: the test's.
    """

    rate: str
    gaps: tuple[Gap, ...]
    worst: str | None = None
    observed: Finite | None = None
    expected: Finite | None = None
    expected_low: Finite | None = None
    expected_high: Finite | None = None
    p_value: Finite | None = None
    alpha: Finite


def strata_of(cohort: Cohort) -> NDArray[np.int64]:
    """Patients alike in truth, int64, (patients,): 1 with negatives alone, 2 with positives alone,
    3 with both; 0 with nothing.
    """
    return np.asarray(
        (cohort.by_patient(~cohort.truth) > 0) + 2 * (cohort.by_patient(cohort.truth) > 0),
        dtype=np.int64,
    )


def rate_gaps(
    rates: Sequence[Rate],
    groups: Groups,
    strata: NDArray[np.int64],
    rng: np.random.Generator,
    *,
    permutations: int = PERMUTATIONS,
    claim: float = CLAIM,
) -> list[RateGaps]:
    """Each rate's gaps, all groups tested together.

    Args:
        rates: to test, each at its own alpha.
        groups: of the patients.
        strata: int64, (patients,); attributes are shuffled within each, as `strata_of` gives it.
        rng: of the shuffles.
        permutations: how many.
        claim: gap that matters, as a share.
    """
    return [
        _tested(rate, groups, shuffled(rate, groups.members, strata, rng, permutations), claim)
        for rate in rates
    ]


def shuffled(
    rate: Rate,
    members: NDArray[np.bool_],
    strata: NDArray[np.int64],
    rng: np.random.Generator,
    permutations: int,
) -> tuple[Values, Values]:
    """What is hit in each group and of how many, (1 + permutations, groups) each; first as it is,
    then with the attributes shuffled within strata.

    Where each patient counts once, or does not, by stratum, nobody needs to be shuffled: how many
    of those hit fall on patients alike in all attributes is multivariate hypergeometric.
    """
    inside = members.T.astype(np.float64)
    hits, of = (np.empty((permutations + 1, len(members))) for _ in range(2))
    hits[0], of[0] = rate.hits @ inside, rate.of @ inside
    if _counts_once(rate, strata):
        of[1:], hits[1:] = of[0], 0.0
        for stratum in np.unique(strata[rate.of > 0]):
            own = strata == stratum
            packed = np.packbits(members[:, own], axis=0)
            _, first, sizes = np.unique(packed, axis=1, return_index=True, return_counts=True)
            drawn = rng.multivariate_hypergeometric(
                sizes, int(rate.hits[own].sum()), permutations, method="marginals"
            )
            hits[1:] += drawn @ members[:, own][:, first].T
        return hits, of
    step = max(1, BLOCK // max(1, len(strata)))
    for start in range(1, permutations + 1, step):
        stop = min(start + step, permutations + 1)
        whose = np.empty((stop - start, len(strata)), dtype=np.int64)
        for stratum in np.unique(strata):
            own = np.flatnonzero(strata == stratum)
            whose[:, own] = rng.permuted(np.tile(own, (stop - start, 1)), axis=1)
        hits[start:stop], of[start:stop] = rate.hits[whose] @ inside, rate.of[whose] @ inside
    return hits, of


def _counts_once(rate: Rate, strata: NDArray[np.int64]) -> bool:
    """Whether every patient of a stratum counts once, or none does."""
    if not np.isin(rate.of, (0, 1)).all():
        return False
    return all(len(np.unique(rate.of[strata == stratum])) == 1 for stratum in np.unique(strata))


def _tested(rate: Rate, groups: Groups, counts: tuple[Values, Values], claim: float) -> RateGaps:
    counted = rate.of > 0
    n = (groups.members & counted).sum(1)
    rest = counted.sum() - n
    gaps = _gaps(rate, *counts)
    fit = np.flatnonzero((n >= SMALLEST) & (rest >= SMALLEST))
    spread = gaps.std(axis=0)
    limit, adjusted = _default_limit(rate.alpha, groups), np.full(len(n), np.nan)
    about: dict[str, str | float] = {}
    if fit.size:
        standard = np.divide(
            gaps[:, fit], spread[fit], out=np.zeros_like(gaps[:, fit]), where=spread[fit] > 0
        )
        largest = standard.max(axis=1)
        # As good as equal counts as equal: the same patients summed in another order.
        adjusted[fit] = (largest[:, None] >= standard[0] - 1e-9).mean(axis=0)
        if spread[fit].any():
            limit = float(np.quantile(largest, 1 - rate.alpha, method="higher"))
        worst = gaps[:, fit].max(axis=1)
        low, high = np.quantile(worst[1:], [0.025, 0.975])
        about = {
            "worst": groups.names[fit[gaps[0, fit].argmax()]],
            "observed": float(worst[0]),
            "expected": float(worst[1:].mean()),
            "expected_low": float(low),
            "expected_high": float(high),
            "p_value": float(adjusted[fit].min()),
        }
    found = []
    for index, name in enumerate(groups.names):
        exists = n[index] > 0 and rest[index] > 0
        people = max(int(n[index]), 1), max(int(rest[index]), 1)
        # Where all were hit, or none, nothing spreads; among more people it would.
        wide = float(spread[index]) or _binomial(rate, *people)
        sees, needed = _reach(rate, people, wide, limit=limit, claim=claim)
        p_value = None if np.isnan(adjusted[index]) else float(adjusted[index])
        ends = np.clip(gaps[0, index] + limit * wide * np.array([-1, 1]), -1, 1)
        verdict: Verdict = "cannot tell"
        if p_value is not None and p_value <= rate.alpha:
            verdict = "gap"
        elif p_value is not None and sees is not None and sees <= claim:
            verdict = "no gap seen"
        found.append(
            Gap(
                group=name,
                gap=float(gaps[0, index]) if exists else None,
                low=None if p_value is None else float(ends[0]),
                high=None if p_value is None else float(ends[1]),
                p_value=p_value,
                n=int(n[index]),
                verdict=verdict,
                sees=sees,
                needed=needed,
            )
        )
    return RateGaps(rate=rate.name, gaps=tuple(found), alpha=rate.alpha, **about)


def _gaps(rate: Rate, hits: Values, of: Values) -> Values:
    """How much worse off each group is than the rest, like `hits`; 0 where one of the two has
    nothing to count.
    """
    others = rate.of.sum() - of
    known = (of > 0) & (others > 0)
    ours = np.divide(hits, of, out=np.zeros_like(of), where=known)
    theirs = np.divide(rate.hits.sum() - hits, others, out=np.zeros_like(of), where=known)
    return np.asarray(rate.sign * (ours - theirs), dtype=np.float64)


def _default_limit(alpha: float, groups: Groups) -> float:
    """Limit of the standardised gap where shuffling makes none (Bonferroni)."""
    return float(-ndtri(alpha / max(1, len(groups.names))))


def _base(rate: Rate) -> float:
    """The rate of all, four added and half of them hit (Agresti and Coull 1998, The American
    Statistician 52, 119): where all were hit some will be missed.
    """
    return float((rate.hits.sum() + 2) / (rate.of.sum() + 4))


def _binomial(rate: Rate, ours: int, theirs: int) -> float:
    """Standard deviation of the gap between so many patients, each counted once, with none."""
    base = _base(rate)
    return float(np.sqrt(base * (1 - base) * (1 / ours + 1 / theirs)))


def _reach(
    rate: Rate, people: tuple[int, int], spread: float, *, limit: float, claim: float
) -> tuple[float | None, int | None]:
    """Smallest gap that would be found with probability `POWER`, and the patients that it takes to
    find one of the size that matters, by the normal approximation for two proportions (Fleiss,
    Levin and Paik 2003, Statistical Methods for Rates and Proportions, section 4.2), the shuffles'
    spread standing for the binomial one where patients count more than once.

    A gap g is found where limit * spread under no gap + z * spread under g <= g.
    """
    ours, theirs = people
    base, design = _base(rate), spread / _binomial(rate, ours, theirs)
    gap = np.append(np.arange(1, 1001) / 1000, claim)
    other = base + rate.sign * gap
    room = (other >= 0) & (other <= 1)
    other = np.clip(other, 0, 1)
    mixed = (ours * other + theirs * base) / (ours + theirs)
    under_none = np.sqrt(mixed * (1 - mixed) * (1 / ours + 1 / theirs))
    under_gap = np.sqrt(other * (1 - other) / ours + base * (1 - base) / theirs)
    wanted = design * (limit * under_none + ndtri(POWER) * under_gap)
    enough = np.flatnonzero((wanted <= gap) & room)
    sees = float(gap[enough].min()) if enough.size else None
    needed = int(np.ceil(ours * (wanted[-1] / claim) ** 2)) if room[-1] else None
    return sees, needed
