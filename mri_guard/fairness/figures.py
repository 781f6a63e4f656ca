"""How well a score does on each group, all groups at once and without a loop over resamples.

Three AUROCs tell three faults apart (Borkan et al. 2019, arXiv:1903.04561, section 3.1):

- `auroc`: the group's positives against its own negatives; the group alone.
- `sauroc`: the group's positives against everybody's negatives; low where its lesions are missed at
  a threshold that all share.
- `bpsn_auroc` (background positive, subgroup negative): everybody else's positives against the
  group's negatives; low where its healthy are flagged before others' lesions.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mri_guard.fairness.slices import Groups
from mri_guard.metrics.bootstrap import FEWEST, summary
from mri_guard.metrics.by_patient import Counts, Values
from mri_guard.metrics.proportion import clopper_pearson
from mri_guard.records import Finite, Record

BLOCK = 4_000_000
"""Resampled weights that are held in memory at a time."""

RANKINGS = ("auroc", "sauroc", "bpsn_auroc")
RATES = ("sensitivity", "false_positive_rate")
IN_THE_LARGE = "calibration_in_the_large"

EXACT, RESAMPLED = "Clopper-Pearson", "bootstrap over patients"
NONE = f"none: fewer than {FEWEST} patients"


class Estimate(Record):
    """One figure of one group.

    Attributes:
        group: as `Groups` names it.
        figure: which.
        value: on the sample.
        low: lower end of its 95 % interval.
        high: upper end.
        n: scans, or slices of images, that it is taken of.
        patients: whose they are.
        interval: how it was made.
    """

    group: str
    figure: str
    value: Finite
    low: Finite
    high: Finite
    n: int
    patients: int
    interval: str


@dataclass(frozen=True, slots=True, eq=False)
class Cohort:
    """Scans, or slices of images, with their truth.

    Attributes:
        scores: float64, (n,), rise with abnormality; -inf where the model was not reached.
        truth: bool, (n,), whether there is something to be found.
        above: bool, (n,), whether it was, at the operating threshold.
        patient: int64, (n,), index of the patient.
        patients: how many there are.
        probability: float64, (n,), of abnormality, NaN where none is given; None: of nobody.
    """

    scores: Values
    truth: NDArray[np.bool_]
    above: NDArray[np.bool_]
    patient: NDArray[np.int64]
    patients: int
    probability: Values | None = None

    def __post_init__(self) -> None:
        """Refuses scores that cannot be ranked."""
        if np.isnan(self.scores).any():
            raise ValueError("a score is NaN")

    def counted(self, rate: str) -> NDArray[np.bool_]:
        """What a rate is taken of: positives of the sensitivity, negatives of the other."""
        return self.truth if rate == "sensitivity" else ~self.truth

    def by_patient(self, some: NDArray[np.bool_] | Values) -> Values:
        """Sum over each patient's own, float64, (patients,)."""
        own = np.bincount(self.patient, some.astype(np.float64), minlength=self.patients)
        return own.astype(np.float64)


def group_figures(cohort: Cohort, groups: Groups, counts: Counts) -> list[Estimate]:
    """Every figure that exists, group by group.

    Rates have Clopper-Pearson intervals where nobody is counted twice. All else has percentile
    intervals over patients; where no resample can differ (all or none of a group's are found, all
    or none of its pairs won) Clopper-Pearson's stand in, over as many patients, or pairs of
    different patients, as there are. What fewer than `FEWEST` have, be it in many slices, could be
    anything in others.

    Args:
        cohort: to look at.
        groups: of its patients.
        counts: as `patient_counts` gives it.
    """
    once = np.ones((1, cohort.patients), dtype=np.int64)
    found = []
    for name, (value,), drawn in zip(
        RANKINGS, rankings(cohort, groups, once), rankings(cohort, groups, counts), strict=True
    ):
        for index, group in enumerate(groups.names):
            counted = _ranked(cohort, groups.members[index, cohort.patient], name)
            n, patients = int(counted.sum()), len(np.unique(cohort.patient[counted]))
            about = n, patients, _pairs(cohort, counted)
            found.append(_estimate(group, name, value[index], drawn[:, index], about))
    for name in RATES:
        of = cohort.counted(name)
        hits = cohort.by_patient(of & cohort.above)
        found += rate_figures(name, hits, cohort.by_patient(of), groups, counts)
    if cohort.probability is not None:
        ((value,), drawn) = (
            calibration_in_the_large(cohort, groups, some) for some in (once, counts)
        )
        known = np.isfinite(cohort.probability)
        for index, group in enumerate(groups.names):
            own = known & groups.members[index, cohort.patient]
            patients = len(np.unique(cohort.patient[own]))
            about = int(own.sum()), patients, patients
            found.append(_estimate(group, IN_THE_LARGE, value[index], drawn[:, index], about))
    order = {group: index for index, group in enumerate(groups.names)}
    return sorted((one for one in found if one is not None), key=lambda one: order[one.group])


def rate_figures(
    name: str, hits: Values, of: Values, groups: Groups, counts: Counts
) -> list[Estimate | None]:
    """One rate of each group, None where there is nothing to count; intervals as above.

    Args:
        name: of the rate.
        hits: float64, (patients,), how many of each patient's are hit ...
        of: float64, (patients,), ... of how many.
        groups: of the patients.
        counts: as `patient_counts` gives it.
    """
    once = np.ones((1, len(of)), dtype=np.int64)
    (value,), drawn = (shares(hits, of, groups, some) for some in (once, counts))
    found = []
    for index, group in enumerate(groups.names):
        own = of[groups.members[index]]
        patients = int((own > 0).sum())
        about = int(own.sum()), patients, patients
        found.append(_estimate(group, name, value[index], drawn[:, index], about))
    return found


def rankings(cohort: Cohort, groups: Groups, counts: Counts) -> Values:
    """The three AUROCs of each group, (3, draws, groups); NaN where there are no pairs."""
    step = max(1, BLOCK // max(1, len(cohort.scores)))
    blocks = [
        _rankings(cohort, groups, counts[start : start + step])
        for start in range(0, len(counts), step)
    ]
    return np.concatenate(blocks, axis=1)


def shares(hits: Values, of: Values, groups: Groups, counts: Counts) -> Values:
    """A rate of each group, (draws, groups), see `rate_figures`; NaN where nothing is counted."""
    draws, members = counts.astype(np.float64), groups.members
    return _over(draws @ (members * hits).T, draws @ (members * of).T)


def calibration_in_the_large(cohort: Cohort, groups: Groups, counts: Counts) -> Values:
    """Mean probability less the share that is abnormal, (draws, groups); 0 is right (Steyerberg,
    Clinical Prediction Models, 2009, section 15.1).
    """
    if cohort.probability is None:
        return np.full((len(counts), len(groups.names)), np.nan)
    known = np.isfinite(cohort.probability)
    excess = np.where(known, cohort.probability - cohort.truth, 0.0)
    draws, members = counts.astype(np.float64), groups.members
    return _over(*(draws @ (members * cohort.by_patient(some)).T for some in (excess, known)))


def _rankings(cohort: Cohort, groups: Groups, counts: Counts) -> Values:
    """`rankings` of some draws; weights have the draws last, so that rows are gathered whole."""
    order = np.argsort(cohort.scores, kind="stable")
    positive, negative = order[cohort.truth[order]], order[~cohort.truth[order]]
    weights = np.ascontiguousarray(counts.T.astype(np.float64))
    up, down = (weights[cohort.patient[some]] for some in (positive, negative))
    in_up, in_down = (groups.members[:, cohort.patient[some]] for some in (positive, negative))
    above, below = cohort.scores[positive], cohort.scores[negative]

    won_by = up * _between(
        down, *(np.searchsorted(below, above, side) for side in ("left", "right"))
    )
    won_from = down * (
        up.sum(0)
        - _between(up, *(np.searchsorted(above, below, side) for side in ("left", "right")))
    )
    own = np.empty((len(groups.names), len(counts)))
    for index, (ups, downs) in enumerate(zip(in_up, in_down, strict=True)):
        ends = (np.searchsorted(below[downs], above[ups], side) for side in ("left", "right"))
        own[index] = np.einsum("pd,pd->d", up[ups], _between(down[downs], *ends))
    ups, downs = in_up.astype(np.float64), in_down.astype(np.float64)
    ours, theirs = ups @ up, downs @ down
    return np.stack(
        [
            _over(own, ours * theirs),
            _over(ups @ won_by, ours * down.sum(0)),
            _over(downs @ won_from - own, (up.sum(0) - ours) * theirs),
        ]
    ).transpose(0, 2, 1)


def _between(weights: Values, left: NDArray[np.int64], right: NDArray[np.int64]) -> Values:
    """Weight before each place, ties half: of sorted weights, (m, draws), to (places, draws)."""
    before = np.zeros((len(weights) + 1, weights.shape[1]))
    np.cumsum(weights, axis=0, out=before[1:])
    if np.array_equal(left, right):
        return np.asarray(before[left])
    return np.asarray(0.5 * (before[left] + before[right]))


def _estimate(
    group: str, figure: str, value: float, drawn: Values, counted: tuple[int, int, int]
) -> Estimate | None:
    """A figure with its interval; None where it does not exist.

    Args:
        group: see `Estimate`.
        figure: see `Estimate`.
        value: see `Estimate`; NaN where it does not exist.
        drawn: (draws,), of its resamples.
        counted: n and patients, see `Estimate`, and the independent trials it came of: patients, or
            pairs of different patients.
    """
    n, patients, trials = counted
    if not np.isfinite(value) or not np.isfinite(drawn).any():
        return None
    interval = EXACT
    if figure not in (*RANKINGS, IN_THE_LARGE) and n == patients:
        low, high = clopper_pearson(round(value * n), n)
    elif figure != IN_THE_LARGE and value in (0.0, 1.0):
        low, high = clopper_pearson(round(value * trials), trials)
    elif trials < FEWEST:
        low, high, interval = -1.0 if figure == IN_THE_LARGE else 0.0, 1.0, NONE
    else:
        found, interval = summary(value, drawn), RESAMPLED
        low, high = found.low, found.high
    return Estimate(
        group=group,
        figure=figure,
        value=value,
        low=low,
        high=high,
        n=n,
        patients=patients,
        interval=interval,
    )


def _ranked(cohort: Cohort, own: NDArray[np.bool_], figure: str) -> NDArray[np.bool_]:
    """What an AUROC of a group is taken of."""
    if figure == "sauroc":
        return (own & cohort.truth) | ~cohort.truth
    if figure == "bpsn_auroc":
        return (~own & cohort.truth) | (own & ~cohort.truth)
    return own


def _pairs(cohort: Cohort, counted: NDArray[np.bool_]) -> int:
    """Pairs of a positive and a negative that can be made, at least 1, no patient in two of them:
    independent trials of which all were won, or none.
    """
    ill, well = (
        np.unique(cohort.patient[counted & kind]) for kind in (cohort.truth, ~cohort.truth)
    )
    return max(1, min(len(ill), len(well), len(np.union1d(ill, well)) // 2))


def _over(part: Values, whole: Values) -> Values:
    """part / whole; NaN where the whole is not above 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(whole > 0, part / whole, np.nan)
