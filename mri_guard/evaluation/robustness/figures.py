"""From scores before and under attack to figures with intervals.

The two harms are told apart and together: `evade` pushes down what shows a lesion, `alarm` pushes
up what does not, `both` does both at once. Thresholds are those of clean scans and stay where they
are: whoever attacks does not wait for a new calibration.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mri_guard.evaluation.evidence import Metric, resampled, share_of
from mri_guard.fairness import SHARES, Cohort, Groups, Rate, rate_gaps, strata_of
from mri_guard.metrics.by_patient import Counts, Slices, Values

Side = Literal["evade", "alarm", "both"]
SIDES: tuple[Side, ...] = ("evade", "alarm", "both")
ATTACKED: dict[Side, str] = {
    "evade": "lesion {unit} attacked, all others clean",
    "alarm": "lesion-free {unit} attacked, all others clean",
    "both": "all {unit} attacked, each in its direction",
}
RATES: tuple[tuple[Side, str, str], ...] = (
    ("evade", "sensitivity", "with"),
    ("alarm", "false_positive_rate", "without"),
)
"""What a threshold makes of each side alone."""

ARRAYS = ("clean", "worst", "truth", "position", "patient", "tried", "first")
"""Of `Attacked`, one value for each slice or scan."""

Figure = Callable[[Counts], Values]
"""A figure as a function of how often each patient counts."""
Hits = tuple[NDArray[np.bool_], NDArray[np.bool_]]
"""What is hit, and of what, bool, (n,) each."""


@dataclass(frozen=True, slots=True, eq=False)
class Attacked:
    """What counts, slices or scans, before and under attack.

    Attributes:
        clean: float64, (n,), scores; -inf where a lesion was not looked at.
        worst: float64, (n,), the lowest of those with a lesion, the highest of the others.
        truth: bool, (n,), whether there is a lesion.
        position: float64, (n,), 0..1 along the brain; all alike for scans.
        patient: int64, (n,), index of the patient.
        patients: how many there are.
        tried: bool, (n,), whether it was attacked.
        first: int64, (n,), looks until the victim's threshold was passed; 0 where it never was.
    """

    clean: Values
    worst: Values
    truth: NDArray[np.bool_]
    position: Values
    patient: NDArray[np.int64]
    patients: int
    tried: NDArray[np.bool_]
    first: NDArray[np.int64]

    def of(self, members: NDArray[np.bool_]) -> "Attacked":
        """Those of some patients alone, bool, (patients,); patients keep their index."""
        own = members[self.patient]
        kept = {name: getattr(self, name)[own] for name in ARRAYS}
        return Attacked(**kept, patients=self.patients)

    def scores(self, side: Side) -> Values:
        """Scores when that side is attacked, (n,)."""
        moved = {"evade": self.truth, "alarm": ~self.truth, "both": np.ones_like(self.truth)}[side]
        return np.where(moved, self.worst, self.clean)

    def slices(self, side: Side) -> Slices:
        """The same for ranking."""
        return Slices(self.scores(side), self.truth, self.position, self.patient, self.patients)

    def rate(self, side: Side, threshold: float) -> Hits:
        """What is above the threshold: of what shows a lesion for `evade`, of the rest for `alarm`.

        Args:
            side: not `both`.
            threshold: of scores.
        """
        counted = self.truth if side == "evade" else ~self.truth
        return self.scores(side) > threshold, counted

    def success(self, side: Side, threshold: float) -> Hits:
        """Decisions that are turned over; of those that were right and attacked."""
        over = (self.worst > threshold) != (self.clean > threshold)
        return over, self._right(side, threshold)

    def succeeded(self, side: Side, threshold: float) -> NDArray[np.bool_]:
        """What was right, and passed the victim's threshold, which is this one, at a known look."""
        return np.asarray(self._right(side, threshold) & (self.first > 0))

    def queries(self, side: Side, threshold: float) -> Figure:
        """Median number of looks to the first success, over what succeeded."""
        some = self.succeeded(side, threshold)
        order = np.argsort(self.first[some], kind="stable")
        looks, patient = self.first[some][order], self.patient[some][order]

        def median(counts: Counts) -> Values:
            if not len(looks):
                return np.full(len(counts), np.nan)
            gathered = np.cumsum(counts[:, patient], axis=1)
            all_ = gathered[:, -1:]
            low, high = (
                looks[(gathered >= wanted).argmax(1)].astype(np.float64)
                for wanted in ((all_ + 1) // 2, all_ // 2 + 1)
            )
            return np.asarray(np.where(all_[:, 0] > 0, (low + high) / 2, np.nan))

        return median

    def _right(self, side: Side, threshold: float) -> NDArray[np.bool_]:
        above = self.clean > threshold
        return np.asarray(
            self.tried & (self.truth & above if side == "evade" else ~self.truth & ~above)
        )


def ratio(part: Values, whole: Values, patient: NDArray[np.int64], patients: int) -> Figure:
    """Sum over sum as a function of how often each patient counts; NaN where the lower is not
    above 0.

    Args:
        part: (n,).
        whole: (n,).
        patient: (n,).
        patients: how many there are.
    """
    upper, lower = (
        np.bincount(patient, weights=each, minlength=patients) for each in (part, whole)
    )

    def figure(counts: Counts) -> Values:
        return _over(counts.astype(np.float64) @ upper, counts.astype(np.float64) @ lower)

    return figure


def clean_threshold(rows: Attacked, specificity: float = 0.9) -> float | None:
    """The lowest score that keeps this specificity of the clean lesion-free ones; None without any.

    What is above it is found. It is of this sample, and stays as it is in every resample.
    """
    negative = np.sort(rows.clean[~rows.truth])
    if not len(negative):
        return None
    return float(negative[int(np.ceil(specificity * len(negative))) - 1])


def figures(
    rows: Attacked, thresholds: Mapping[str, float], counts: Counts, *, unit: str, own: str
) -> dict[str, Metric]:
    """Every figure that exists, by name: `robust_auroc_both`, `sensitivity_evade_at_...`, ...

    Args:
        rows: of one budget.
        thresholds: of clean scores, by how they are called.
        counts: as `patient_counts` gives it.
        unit: `slices` or `scans`.
        own: name of the victims' own threshold: the one that looks were counted to.
    """
    present = len(np.unique(rows.patient))
    found: dict[str, Metric | None] = {}
    clean = Slices(rows.clean, rows.truth, rows.position, rows.patient, rows.patients)
    for side in SIDES:
        who = ATTACKED[side].format(unit=unit)
        slices = rows.slices(side)
        if unit == "slices":
            found[f"robust_auroc_{side}"] = resampled(
                slices.matched_auroc,
                counts,
                present,
                "patients",
                "AUROC of the slice score over pairs within 0.05 of the brain's extent, each "
                f"lesion slice counting alike; {who}",
            )
            found[f"robust_auroc_{side}_over_clean"] = resampled(
                _quotient(slices.matched_auroc, clean.matched_auroc),
                counts,
                present,
                "patients",
                f"the same over its clean value, paired by patient; {who}",
                within=None,
            )
        name = "plain_robust_auroc" if unit == "slices" else "robust_auroc"
        found[f"{name}_{side}"] = resampled(
            slices.auroc,
            counts,
            present,
            "patients",
            f"AUROC of the score over all pairs of {unit}; {who}",
        )
    for called, threshold in thresholds.items():
        at = f"above the fixed threshold {threshold:.4f} ({called.replace('_', ' ')})"
        for side, rate, kind in RATES:
            what = f"{unit} {kind} lesion"
            found[f"{rate}_{side}_{called}"] = share_of(
                *rows.rate(side, threshold),
                rows.patient,
                counts,
                unit=unit,
                definition=f"share of {what} {at}, under the {side} attack; of {present} patients",
            )
            found[f"success_{side}_{called}"] = share_of(
                *rows.success(side, threshold),
                rows.patient,
                counts,
                unit=unit,
                definition=f"share of attacked {what} that were rightly "
                f"{'' if side == 'evade' else 'not '}"
                f"{at} and are turned over",
            )
            if called == own:
                found[f"queries_to_success_{side}"] = resampled(
                    rows.queries(side, threshold),
                    counts,
                    int(rows.succeeded(side, threshold).sum()),
                    unit,
                    f"median looks, with or without gradient, at the image before one of the "
                    f"{what} is turned over at {called.replace('_', ' ')}; over those that are",
                    within=None,
                )
    return {name: one for name, one in found.items() if one is not None}


def clean_figures(
    rows: Attacked, thresholds: Mapping[str, float], counts: Counts, *, unit: str
) -> dict[str, Metric]:
    """The same without an attack: `auroc`, `sensitivity_at_...`, `false_positive_rate_at_...`."""
    clean = replace(
        rows, worst=rows.clean, tried=np.zeros_like(rows.tried), first=np.zeros_like(rows.first)
    )
    found = figures(clean, thresholds, counts, unit=unit, own="")
    names = {"robust_auroc_both": "auroc", "plain_robust_auroc_both": "plain_auroc"}
    for called in thresholds:
        names[f"sensitivity_evade_{called}"] = f"sensitivity_{called}"
        names[f"false_positive_rate_alarm_{called}"] = f"false_positive_rate_{called}"
    untouched = {
        "; all slices attacked, each in its direction": "",
        "; all scans attacked, each in its direction": "",
        ", under the evade attack": "",
        ", under the alarm attack": "",
    }
    cleaned = {}
    for name, shown in names.items():
        if name not in found:
            continue
        definition = found[name].definition
        for words, nothing in untouched.items():
            definition = definition.replace(words, nothing)
        cleaned[shown] = found[name].model_copy(update={"definition": definition + "; no attack"})
    return cleaned


def by_group(
    rows: Attacked,
    groups: Groups,
    thresholds: Mapping[str, float],
    counts: Counts,
    rng: np.random.Generator,
    *,
    unit: str,
    own: str,
) -> list[dict[str, Any]]:
    """Each group's figures, and for each rate how far the worst group is from the rest.

    The gap stands beside the one to expect with no disparity, with the 95 % interval of that, the
    p-value of there being none and what is to be said of each group, see `fairness.rate_gaps`.

    Args:
        rows: of one budget.
        groups: of the patients.
        thresholds: see `figures`.
        counts: see `figures`.
        rng: of the permutation test.
        unit: see `figures`.
        own: see `figures`.
    """
    shown: list[dict[str, Any]] = []
    for name, members in zip(groups.names, groups.members, strict=True):
        part = rows.of(members)
        some = figures(part, thresholds, counts, unit=unit, own=own)
        shown += [
            {"group": name, "figure": figure, "patients": len(np.unique(part.patient))}
            | one.model_dump(include={"value", "low", "high", "n", "unit"})
            for figure, one in some.items()
        ]
    for called, threshold in thresholds.items():
        for side, rate, _ in RATES:
            scores = rows.scores(side)
            cohort = Cohort(scores, rows.truth, scores > threshold, rows.patient, rows.patients)
            tested = Rate.of_cohort(cohort, rate, SHARES[rate])
            (found,) = rate_gaps([tested], groups, strata_of(cohort), rng)
            shown.append(
                {"group": "gap", "figure": f"{rate}_{side}_{called}"}
                | found.model_dump(exclude={"rate", "gaps"})
                | {"verdicts": {one.group: one.words for one in found.gaps}}
            )
    return shown


def _quotient(upper: Figure, lower: Figure) -> Figure:
    def figure(counts: Counts) -> Values:
        return _over(upper(counts), lower(counts))

    return figure


def _over(part: Values, whole: Values) -> Values:
    """part / whole; NaN where the whole is not above 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(whole > 0, part / whole, np.nan)


def joined(parts: Sequence[Attacked], patients: int) -> Attacked:
    """All of several scans."""
    arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in ARRAYS}
    return Attacked(**arrays, patients=patients)
