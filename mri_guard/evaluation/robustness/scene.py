"""One level's scans, slices or scans as a whole, and all that attacks made of them, as figures."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mri_guard.attacks import Threat
from mri_guard.calibration import ScoreCalibrator
from mri_guard.determinism import generator
from mri_guard.evaluation.detection import counted, in_slices, slice_positions
from mri_guard.evaluation.evidence import Metric, resampled, share_of, suffix
from mri_guard.evaluation.robustness.attacked import Bench, Level, Target
from mri_guard.evaluation.robustness.figures import (
    RATES,
    Attacked,
    by_group,
    clean_figures,
    clean_threshold,
    figures,
    joined,
    ratio,
)
from mri_guard.evaluation.robustness.plan import (
    DIRECTIONS,
    WORST,
    Plan,
    Result,
)
from mri_guard.fairness import Groups, banded
from mri_guard.metrics.by_patient import Counts
from mri_guard.records import Anomaly

PREFIX: dict[Level, str] = {"slices": "", "scan": "scan_"}
UNIT: dict[Level, str] = {"slices": "slices", "scan": "scans"}
OWN: dict[Level, str] = {"slices": "at_slice_threshold", "scan": "at_scan_threshold"}
AT_90 = "at_90_specificity"

FLAT = 1e-3
"""Of scores: an attack that moved them by less has no effect that could survive."""


@dataclass(frozen=True, eq=False)
class Scene:
    """All results of one level.

    Attributes:
        level: which.
        targets: the scans.
        clean: what the model says of each without an attack.
        patients: index of each scan's patient.
        count: how many patients there are.
        results: of all levels.
        bench: they come from.
        counts: as `patient_counts` gives it.
    """

    level: Level
    targets: Sequence[Target]
    clean: Sequence[Anomaly]
    patients: Sequence[int]
    count: int
    results: Sequence[Result]
    bench: Bench
    counts: Counts

    @cached_property
    def thresholds(self) -> dict[str, float]:
        """Fixed thresholds by name: the bundle's, and that of 90 % specificity of these."""
        found = {OWN[self.level]: self.bench.thresholds[self.level]}
        at_90 = clean_threshold(self.rows(WORST, 0.0))
        return found if at_90 is None else found | {AT_90: at_90}

    def some(self, attack: str, epsilon: float) -> list[Result]:
        """Results of one attack at one budget."""
        return [
            one
            for one in self.results
            if one.level == self.level and one.attack == attack and one.epsilon == epsilon
        ]

    def rows(self, attack: str, epsilon: float) -> Attacked:
        """All that counts, before and under an attack."""
        by_target: dict[int, list[Result]] = {number: [] for number in range(len(self.targets))}
        for one in self.some(attack, epsilon):
            by_target[one.target].append(one)
        parts = [self._part(number, own) for number, own in by_target.items()]
        return joined(parts, self.count)

    def metrics(self, plan: Plan) -> dict[str, Metric]:
        """Every figure without an attack and under the worst of those on every voxel, by name."""
        prefix, unit = PREFIX[self.level], UNIT[self.level]
        untouched = self.rows(WORST, 0.0)
        clean = clean_figures(untouched, self.thresholds, self.counts, unit=unit)
        found = {f"{prefix}clean_{name}": one for name, one in clean.items()}
        for of_255 in (0.0, *plan.of_255):
            epsilon = of_255 / 255
            if not self.some(WORST, epsilon):
                continue
            every = self._figures(WORST, epsilon) | self._carried(epsilon) | self._standing(epsilon)
            found |= {f"{prefix}{_named(name, suffix(of_255))}": one for name, one in every.items()}
        return found

    def by_attack(self, plan: Plan) -> list[dict[str, Any]]:
        """A row for each figure of each attack at each of its budgets."""
        every: list[tuple[str, Threat, float]] = [
            (attack.name, attack.threat, epsilon)
            for attack in plan.attacks
            for epsilon in plan.budgets(attack)
        ]
        every += [(WORST, Threat.LINF, of_255 / 255) for of_255 in plan.of_255]
        rows = []
        for attack, threat, epsilon in every:
            if not self.some(attack, epsilon):
                continue
            own = threat in (Threat.PATCH, Threat.PHYSICAL)
            budget = f"{epsilon:g}".replace(".", "_") if own else suffix(epsilon * 255)
            looks = [one.answer.queries for one in self.some(attack, epsilon)]
            for name, found in self._figures(attack, epsilon).items():
                rows.append(
                    {
                        "name": f"{PREFIX[self.level]}{attack}_{_named(name, budget)}",
                        "goal": self.level,
                        "attack": attack,
                        "threat": threat,
                        "epsilon": epsilon,
                        "figure": name,
                        "median_queries": float(np.median(looks)),
                    }
                    | found.model_dump(include={"value", "low", "high", "n", "unit"})
                )
        return rows

    def by_attribute(self, plan: Plan) -> list[dict[str, Any]]:
        """Figures under the worst for each value of each column that was asked for, and gaps."""
        rows = []
        for name in plan.by:
            groups = self._groups(name)
            for of_255 in (0.0, *plan.of_255):
                if not self.some(WORST, of_255 / 255):
                    continue
                found = by_group(
                    self.rows(WORST, of_255 / 255),
                    groups,
                    self.thresholds,
                    self.counts,
                    generator(self.bench.seed, "robustness gaps", name),
                    unit=UNIT[self.level],
                    own=OWN[self.level],
                )
                about = {"goal": self.level, "attribute": name, "of_255": of_255}
                rows += [about | row for row in found]
        return rows

    def _part(self, number: int, results: Sequence[Result]) -> Attacked:
        """What counts of one scan."""
        target, anomaly, patient = self.targets[number], self.clean[number], self.patients[number]
        if self.level == "scan":
            places, truth = np.array([-1]), np.array([target.row.label == "abnormal"])
            clean, position = np.array([anomaly.score]), np.zeros(1)
        else:
            drawn = target.lesion
            lesion = np.zeros(0, np.bool_) if drawn is None else in_slices(drawn)
            scores = anomaly.slice_scores[: len(lesion)]
            places = np.flatnonzero(counted(lesion, scores)) if len(lesion) else np.zeros(0, int)
            truth = lesion[places]
            clean = np.where(truth & np.isnan(scores[places]), -np.inf, scores[places])
            position = slice_positions(target.preprocessed.brain)[places]
        worst, first = clean.copy(), np.zeros(len(places), np.int64)
        tried = np.zeros(len(places), np.bool_)
        for one in results:
            sign = -1 if one.direction == "evade" else 1
            at = np.searchsorted(places, one.answer.goals)
            # Never less far than the clean score as the whole scan's pass gave it.
            worst[at] = sign * np.maximum(sign * one.answer.worst, sign * clean[at])
            first[at], tried[at] = one.answer.first, True
        return Attacked(
            clean=clean.astype(np.float64),
            worst=worst.astype(np.float64),
            truth=truth.astype(np.bool_),
            position=position.astype(np.float64),
            patient=np.full(len(places), patient, np.int64),
            patients=self.count,
            tried=tried,
            first=first,
        )

    def _figures(self, attack: str, epsilon: float) -> dict[str, Metric]:
        rows = self.rows(attack, epsilon)
        found = figures(
            rows, self.thresholds, self.counts, unit=UNIT[self.level], own=OWN[self.level]
        )
        return found | self._caught(self.some(attack, epsilon))

    def _caught(self, results: Sequence[Result]) -> dict[str, Metric]:
        """How often detectors noticed the image that moved most, in all and where it succeeded."""
        if not any(one.tensor.p_values for one in results):
            return {}
        found = {}
        for direction in DIRECTIONS:
            for name, what, only in (
                ("detector_catch_rate", "images", False),
                ("detector_catch_rate_of_successful", "images that turned a decision over", True),
            ):
                own = [one for one in results if one.direction == direction]
                own = [one for one in own if not only or self._turned(one).any()]
                one_metric = self._over(
                    np.array([one.tensor.noticed for one in own], dtype=np.bool_),
                    np.ones(len(own), np.bool_),
                    [one.target for one in own],
                    "images",
                    f"share of {what} under the {direction} attack, float tensors, that the "
                    "bundle's perturbation detectors hold at the rate that its policy grants them",
                )
                if one_metric is not None:
                    found[f"{name}_{direction}"] = one_metric
        return found

    def _standing(self, epsilon: float) -> dict[str, Metric]:
        """What the costlier path leaves of unusual scans, be there lesions or alarms."""
        found = {}
        for direction, rate, kind in RATES if self.level == "scan" else ():
            own = [one for one in self.some(WORST, epsilon) if one.direction == direction]
            figure = self._over(
                np.array([one.tensor.stands for one in own], dtype=np.bool_),
                np.ones(len(own), np.bool_),
                [one.target for one in own],
                "scans",
                f"share of scans {kind} lesion that are unusual and keep their priority, under the "
                f"{direction} attack, float tensors: above what an alarm attack makes of healthy "
                "scans, or confirmed by the second look; detectors not asked",
            )
            if figure is not None:
                found[f"{rate}_{direction}_after_second_look"] = figure
        return found

    def _carried(self, epsilon: float) -> dict[str, Metric]:
        """What is left of the strongest image's effect once it has been a DICOM series."""
        untouched = {(one.target, one.direction): one for one in self.some(WORST, 0.0)}
        found = {}
        for direction in DIRECTIONS:
            results = [
                one
                for one in self.some(WORST, epsilon)
                if one.direction == direction and one.carried is not None and epsilon > 0
            ]
            effects = [self._effects(one, untouched[one.target, direction]) for one in results]
            whole, left, over, still = (
                np.concatenate([each[part] for each in effects] or [np.zeros(0)])
                for part in range(4)
            )
            goals = [one.target for one in results for _ in one.answer.goals]
            patient = np.array([self.patients[number] for number in goals], dtype=np.int64)
            unit = UNIT[self.level]
            moved = resampled(
                ratio(left, whole, patient, self.count),
                self.counts,
                len(goals),
                unit,
                f"what the {direction} attack moves scores by once its strongest image has been "
                "written as 12-bit DICOM on the scanner's grid, read and preprocessed, over what "
                "it moves them by as a float tensor; sums over goals, 0 where the series was held "
                "before the model",
                within=None,
            )
            if moved is not None and float(whole.sum()) > FLAT:
                found[f"through_scanner_effect_{direction}"] = moved
            for name, hits, how in (
                ("tensor_success", over, "as a float tensor"),
                ("through_scanner_success", still, "once it has been 12-bit DICOM, and passes"),
            ):
                right = ~np.isnan(over)
                one_metric = self._over(
                    np.nan_to_num(hits) > 0,
                    right,
                    goals,
                    unit,
                    f"share of rightly decided {unit} that the strongest image of the {direction} "
                    f"attack turns over {how}; one image for all goals of a scan",
                )
                if one_metric is not None:
                    found[f"{name}_{direction}"] = one_metric
        return found

    def _effects(self, one: Result, clean: Result) -> tuple[NDArray[np.float64], ...]:
        """Of each goal: how far it moved as a tensor and through DICOM, and whether it was turned
        over so; NaN where the clean decision was wrong.
        """
        assert one.carried is not None  # noqa: S101 - chosen so
        assert clean.carried is not None  # noqa: S101 - clean images always are
        goals, threshold = one.answer.goals, self.bench.thresholds[self.level]
        sign = -1 if one.direction == "evade" else 1
        before, after = clean.tensor.scores(goals), one.tensor.scores(goals)
        carried_before, carried_after = clean.carried.scores(goals), one.carried.scores(goals)
        whole = sign * (after - before)
        left = np.nan_to_num(sign * (carried_after - carried_before))
        right = sign * (before - threshold) <= 0
        over = np.where(right, sign * (after - threshold) > 0, np.nan)
        still = np.where(right, sign * (carried_after - threshold) > 0, np.nan)
        return np.nan_to_num(whole), left, over, still

    def _turned(self, one: Result) -> NDArray[np.bool_]:
        """Goals that were right before and are not with the image that moved most."""
        goals, threshold = one.answer.goals, self.bench.thresholds[self.level]
        before, after = one.answer.clean, one.tensor.scores(goals)
        right = (before > threshold) == (one.direction == "evade")
        return np.asarray(right & ((before > threshold) != (after > threshold)))

    def _over(
        self,
        hits: NDArray[np.bool_],
        of: NDArray[np.bool_],
        targets: Sequence[int],
        unit: str,
        definition: str,
    ) -> Metric | None:
        """A share with its interval, or None."""
        patient = np.array([self.patients[number] for number in targets], dtype=np.int64)
        return share_of(hits, of, patient, self.counts, unit=unit, definition=definition)

    def _groups(self, name: str) -> Groups:
        """Patients by the value of a column; of a patient with several scans the first counts."""
        value: dict[int, str] = {}
        for target, patient in zip(self.targets, self.patients, strict=True):
            value.setdefault(patient, target.row.attributes.get(name, ""))
        return Groups.of({name: banded(name, [value[one] for one in range(self.count)])})


def slice_threshold(
    calibrate: ScoreCalibrator, targets: Sequence[Target], clean: Sequence[Anomaly]
) -> float:
    """The bundle's threshold of slices; where it has none, that of 90 % specificity of these."""
    if calibrate.slice_threshold is not None:
        return calibrate.slice_threshold
    free = []
    for target, anomaly in zip(targets, clean, strict=True):
        if target.lesion is not None:
            lesion = in_slices(target.lesion)
            free.append(anomaly.slice_scores[counted(lesion, anomaly.slice_scores) & ~lesion])
    scores = np.sort(np.concatenate(free or [np.zeros(0)]))
    return (
        float(scores[int(np.ceil(0.9 * len(scores))) - 1]) if len(scores) else calibrate.threshold
    )


def _named(figure: str, budget: str) -> str:
    """The figure's name with the budget after the side: `sensitivity_evade_4_255_at_...`."""
    found = re.fullmatch(r"(.*_(?:both|evade|alarm))(_.*)?", figure)
    assert found is not None  # noqa: S101 - every figure names its side
    return f"{found[1]}_{budget}{found[2] or ''}"
