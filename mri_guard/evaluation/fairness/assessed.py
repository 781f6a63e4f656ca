"""What became of each scan, clean and attacked, without saying whose it is."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, TypeAdapter

from mri_guard.attacks import Attack
from mri_guard.decision import PERTURBED
from mri_guard.evaluation.detection import counted
from mri_guard.evaluation.robustness.attacked import Bench, strongest
from mri_guard.evaluation.robustness.plan import DIRECTIONS, LEVELS
from mri_guard.evaluation.robustness.targets import target_of
from mri_guard.evaluation.screened import JOURNEY, Screened, source_digests
from mri_guard.fairness import Cohort
from mri_guard.journey import Kit
from mri_guard.kept import code_digest, digest_of, once
from mri_guard.readers.manifest import ManifestRow
from mri_guard.records import Finite, Record

Unit = Literal["scans", "slices"]
UNITS: tuple[Unit, ...] = ("scans", "slices")

SCAN = -1
"""Stands for the scan's own score among the numbers of slices."""


class Scores(Record):
    """Scores of one scan.

    Attributes:
        scan: its own; None where the model was not reached.
        slices: of each slice that counts; None where one with lesion was not looked at.
    """

    scan: Finite | None = None
    slices: tuple[Finite | None, ...] = ()


class Assessed(Record):
    """One scan.

    Attributes:
        patient: index of whose it is.
        abnormal: whether it is labelled so.
        rejected: whether a check or a reader refused it, so that the model was not asked.
        suspected: whether the perturbation detectors held it.
        threshold: that its score was held against; None with no score.
        slice_threshold: the same of its slices; None where the bundle calibrates none.
        lesion: whether each slice that counts shows one; empty where that is not known.
        clean: scores as it is.
        attacked: the furthest that attacks took them, by budget in 255ths; lesions down, all else
            up.
        probability: of abnormality; None where the bundle gives none.
    """

    patient: int = Field(ge=0)
    abnormal: bool
    rejected: bool
    suspected: bool = False
    threshold: Finite | None = None
    slice_threshold: Finite | None = None
    lesion: tuple[bool, ...] = ()
    clean: Scores = Scores()
    attacked: dict[str, Scores] = Field(default_factory=dict)
    probability: Finite | None = None

    def scores(self, budget: str | None) -> Scores:
        """Under a budget of 255ths, or clean."""
        return self.clean if budget is None else self.attacked.get(budget, Scores())


Pushed = dict[str, dict[int, Finite]]
"""By budget, then by slice (or `SCAN`): the furthest score."""

PUSHED = TypeAdapter(Pushed)
"""How it is kept."""


def pushed(
    row: ManifestRow,
    kit: Kit,
    work: Path,
    *,
    bench: Bench,
    attacks: Sequence[Attack],
    of_255: Sequence[float],
) -> Pushed:
    """How far attacks take a scan's scores, computed once; answers that `evaluate robustness` has
    kept for the same budgets are read.

    Args:
        row: of the manifest.
        kit: from the bundle.
        work: folder of what has been computed.
        bench: that runs the attacks.
        attacks: on every voxel.
        of_255: budgets, rising, in 255ths of normalised intensity.
    """
    settings = [repr(attack) for attack in attacks], list(of_255), bench.seed, bench.thresholds
    of = code_digest(*JOURNEY, "evaluation/fairness/assessed.py"), *source_digests(row)
    key = digest_of("fairness, attacked", kit.bundle_digest, *of, *settings)

    def make() -> Pushed:
        target = target_of(row, kit, work)
        found: Pushed = {_written(budget): {} for budget in of_255}
        for level in LEVELS:
            for direction in DIRECTIONS:
                climbed = [
                    bench.climb(target, level, direction, attack, [one / 255 for one in of_255])
                    for attack in attacks
                ]
                for budget, *answers in zip(of_255, *climbed, strict=False):
                    worst = strongest(answers, direction)
                    at = (int(goal) for goal in worst.goals)
                    found[_written(budget)] |= dict(zip(at, worst.worst.tolist(), strict=True))
        return found

    return once(work / "fairness" / f"{key}.json", PUSHED, make)


def assessed(
    row: ManifestRow,
    patient: int,
    found: Screened | None,
    attacked: Pushed,
    own_threshold: float | None = None,
) -> Assessed:
    """What became of a scan, with the slices that count alone.

    Args:
        row: of the manifest.
        patient: index of whose it is.
        found: by the journey; None where there was nothing to examine.
        attacked: by attacks; empty without any.
        own_threshold: of its group; None for the bundle's.
    """
    abnormal = row.label == "abnormal"
    calibrated = None if found is None else found.examination.calibrated
    if found is None or calibrated is None:
        return Assessed(patient=patient, abnormal=abnormal, rejected=True)
    scores = np.array(found.slices, dtype=np.float64)
    lesion = np.array(found.lesion_px or (), dtype=np.int64) > 0
    at = np.flatnonzero(counted(lesion, scores[: len(lesion)])).tolist() if len(lesion) else []

    def furthest(some: Mapping[int, float]) -> Scores:
        return Scores(
            scan=_further(calibrated.score, some.get(SCAN), down=abnormal),
            slices=tuple(_further(found.slices[z], some.get(z), down=bool(lesion[z])) for z in at),
        )

    return Assessed(
        patient=patient,
        abnormal=abnormal,
        rejected=False,
        suspected=PERTURBED in found.examination.decision.reasons,
        threshold=calibrated.threshold if own_threshold is None else own_threshold,
        slice_threshold=calibrated.slice_threshold,
        lesion=tuple(bool(lesion[z]) for z in at),
        clean=furthest({}),
        attacked={budget: furthest(some) for budget, some in attacked.items()},
        probability=calibrated.probability.value if calibrated.probability else None,
    )


def cohort(scans: Sequence[Assessed], unit: Unit, budget: str | None = None) -> Cohort:
    """Scans, or their slices, with what was found: what is abnormal and has no score was missed,
    what is not and has none is not counted.

    Args:
        scans: of all patients.
        unit: what counts.
        budget: of the attack; None without one.
    """
    rows: list[tuple[float, bool, bool, int, float]] = []
    for scan in scans:
        scores = scan.scores(budget)
        if unit == "scans":
            each = [(scores.scan, scan.abnormal)]
            threshold, probability = scan.threshold, scan.probability
        else:
            each = list(zip(scores.slices, scan.lesion, strict=True)) if scores.slices else []
            threshold, probability = scan.slice_threshold, None
        for score, truth in each:
            if score is None and not truth:
                continue
            above = score is not None and threshold is not None and score > threshold
            given = np.nan if probability is None else probability
            shown = -np.inf if score is None else score
            rows.append((shown, truth, above, scan.patient, given))
    columns = np.array(rows, dtype=np.float64).reshape(len(rows), 5)
    probabilities = columns[:, 4]
    return Cohort(
        scores=columns[:, 0],
        truth=columns[:, 1] > 0,
        above=columns[:, 2] > 0,
        patient=columns[:, 3].astype(np.int64),
        patients=1 + max((scan.patient for scan in scans), default=-1),
        probability=probabilities if np.isfinite(probabilities).any() else None,
    )


def by_patient(
    scans: Sequence[Assessed], which: Literal["rejected", "suspected"]
) -> NDArray[np.float64]:
    """How many scans of each patient are so, and how many there are, float64, (2, patients)."""
    patient = [scan.patient for scan in scans]
    hits = np.array([getattr(scan, which) for scan in scans], dtype=np.float64)
    return np.stack([np.bincount(patient, hits), np.bincount(patient).astype(np.float64)])


def _written(of_255: float) -> str:
    return f"{of_255:g}"


def _further(clean: float | None, moved: float | None, *, down: bool) -> float | None:
    """Never less far than the clean score as the whole scan's pass gave it."""
    if clean is None or moved is None:
        return clean
    return min(clean, moved) if down else max(clean, moved)
