"""How well lesions are found, beside what finds them without a model.

Every figure is taken on the model's grid with the same brain mask for all rows; lesion pixels that
the brain mask misses count as missed by every row.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy import ndimage

from mri_guard.anomaly import VaeConfig, VaeScorer
from mri_guard.determinism import generator
from mri_guard.errors import InputError, SettingsError
from mri_guard.evaluation.baselines import Atlas, Baseline, Intensity, Position, relative_position
from mri_guard.evaluation.evidence import Evidence, Metric, code_version, machine
from mri_guard.journey import Kit
from mri_guard.metrics.bootstrap import DRAWS, patient_counts, summary
from mri_guard.metrics.by_patient import Counts, Pixels, Slices, Values
from mri_guard.ports import Scorer
from mri_guard.readers.manifest import ManifestRow, digest, lesion_on_grid, read_manifest
from mri_guard.readers.sources import open_sources
from mri_guard.records import Anomaly, Preprocessed

Figures = dict[str, Callable[[Counts], Values]]

_GRID = (
    "on the model's grid (2 mm, lesion masks resampled to it), pooled over patients; lesion pixels "
    "outside the brain mask score -inf"
)
_SLICES = (
    "slices with lesion against slices of the brain without, those next to the lesion's ends left "
    "out; lesion slices without a score rank last"
)
DEFINITIONS = {
    "pixel_ap": f"average precision of the map's pixels inside the brain, {_GRID}",
    "best_dice": f"largest Dice over all thresholds of the map, {_GRID}",
    "slice_auroc": f"AUROC of the slice score: {_SLICES}",
    "matched_slice_auroc": (
        f"AUROC of the slice score over pairs within 0.05 of the brain's extent: {_SLICES}; each "
        "lesion slice counts alike"
    ),
    "within_subject_auroc": f"mean over patients of the AUROC among their own slices: {_SLICES}",
    "sensitivity_at_90_specificity": (
        f"share of lesion slices found at 90 % specificity of slices: {_SLICES}"
    ),
}


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One scorer's results on every examined scan.

    Attributes:
        name: `""` for the bundle's model, the baseline's name otherwise.
        pixels: of each patient.
        slices: of all.
    """

    name: str
    pixels: Pixels
    slices: Slices

    def figures(self) -> Figures:
        """Each figure as a function of how often each patient counts."""
        return {
            "pixel_ap": self.pixels.average_precision,
            "best_dice": self.pixels.best_dice,
            "slice_auroc": self.slices.auroc,
            "matched_slice_auroc": self.slices.matched_auroc,
            "within_subject_auroc": self.slices.within_subject_auroc,
            "sensitivity_at_90_specificity": self.slices.sensitivity_at,
        }


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One scan with its truth.

    Attributes:
        subject: index of the patient.
        preprocessed: on the model's grid.
        lesion: bool, (x, y, z).
    """

    subject: int
    preprocessed: Preprocessed
    lesion: NDArray[np.bool_]


def evaluate_detection(
    manifest: Path,
    splits: Sequence[str],
    kit: Kit,
    *,
    command: str,
    work: Path,
    seed: int = 0,
    draws: int = DRAWS,
    console: Console | None = None,
) -> Evidence:
    """Evidence for the bundle's model and its baselines, with paired differences.

    Intervals are 95 % percentile bootstrap over patients, the same draws for all rows. Baselines
    learn from the manifest's train split alone.

    Args:
        manifest: with lesion masks.
        splits: to assess.
        kit: from the bundle.
        command: written into the evidence.
        work: folder that archives may be extracted into.
        seed: of the bootstrap.
        draws: of the bootstrap.
        console: where progress is shown; None shows none.

    Raises:
        SettingsError: no scan of these splits could be examined, or none has a lesion, or there is
            no train split to fit the baselines on.
    """
    rows = read_manifest(manifest)
    assessed = [row for row in rows if row.split in splits]
    subjects = sorted({row.subject for row in assessed})
    cases, refused = _cases(assessed, subjects, kit, work=work, console=console, what="reading")
    train = [row for row in rows if row.split == "train"]
    learnt, _ = _cases(train, subjects, kit, work=work, console=console, what="baselines")
    if not any(case.lesion.any() for case in cases) or not learnt:
        raise SettingsError(
            f"{len(cases)} scans examined, {len(learnt)} of the train split; wanted scans with "
            "lesions, and a train split for the baselines"
        )
    known = sorted({case.subject for case in cases})
    scorers: list[tuple[str, Scorer]] = [("", kit.scorer)]
    config = kit.scorer.config if isinstance(kit.scorer, VaeScorer) else VaeConfig()
    scorers += [(baseline.name, baseline) for baseline in _baselines(learnt, config)]

    results = [_row(name, scorer, cases, known, console) for name, scorer in scorers]
    counts = patient_counts(len(known), generator(seed, "detection bootstrap"), draws)
    metrics = _metrics(results, counts)
    metrics["scans_not_examined"] = Metric(
        value=len(refused),
        low=len(refused),
        high=len(refused),
        n=len(assessed),
        unit="scans",
        definition="scans that reading or preprocessing refused; in no other figure",
    )
    return Evidence(
        kind="detection",
        command=command,
        bundle_digest=kit.bundle_digest,
        manifest_digest=digest(manifest),
        code_version=code_version(),
        seed=seed,
        machine=machine(),
        metrics=metrics,
        tables={"patients": _patients(results[0], cases, known), "refused": refused},
    )


def table(evidence: Evidence) -> Table:
    """The rows side by side; slice AUROC never without position, matched and within-subject."""
    columns = tuple(DEFINITIONS)
    n = evidence.metrics["pixel_ap"].n
    printed = Table(title=f"Detection, {n} patients; 95 % intervals over patients")
    printed.add_column("row")
    for column in columns:
        printed.add_column(column.replace("_", " "))
    prefixes = [""] + [
        name.removesuffix("pixel_ap") for name in evidence.metrics if name.endswith("_pixel_ap")
    ]
    for prefix in prefixes:
        cells = [evidence.metrics.get(prefix + column) for column in columns]
        printed.add_row(
            prefix.replace("_", " ").strip() or "model",
            *(
                f"{cell.value:.3f} [{cell.low:.3f}, {cell.high:.3f}]" if cell else "–"
                for cell in cells
            ),
        )
    return printed


def _baselines(learnt: list[Case], config: VaeConfig) -> tuple[Baseline, ...]:
    pairs = [(case.preprocessed, case.lesion) for case in learnt]
    return (Intensity(config), Position.fit(pairs, config), Atlas.fit(pairs, config))


def _cases(
    rows: Sequence[ManifestRow],
    subjects: Sequence[str],
    kit: Kit,
    *,
    work: Path,
    console: Console | None,
    what: str,
) -> tuple[list[Case], list[dict[str, Any]]]:
    """What could be examined, and the reason for each that could not."""
    cases, refused = [], []
    for row in track(rows, what, console=console, disable=console is None):
        try:
            source = open_sources(row.scan, work, row.contrast)[0]
            preprocessed = kit.preprocess(kit.decoder(source))
        except InputError as error:
            refused.append({"reason": error.reason, "detail": error.detail})
            continue
        shape = preprocessed.image.shape
        lesion = (
            np.zeros(shape, dtype=np.bool_)
            if row.mask is None
            else lesion_on_grid(row.mask, preprocessed.affine, (shape[0], shape[1], shape[2]))
        )
        index = subjects.index(row.subject) if row.subject in subjects else -1
        cases.append(Case(index, preprocessed, lesion))
    return cases, refused


def _row(
    name: str, scorer: Scorer, cases: Sequence[Case], known: Sequence[int], console: Console | None
) -> Row:
    """One scorer on all cases."""
    scores: list[list[NDArray[np.float64]]] = [[] for _ in known]
    truth: list[list[NDArray[np.bool_]]] = [[] for _ in known]
    slices = []
    for case in track(cases, name or "model", console=console, disable=console is None):
        patient = known.index(case.subject)
        anomaly = scorer(case.preprocessed)
        looked_at = case.preprocessed.brain | case.lesion
        found = np.where(case.preprocessed.brain, anomaly.map, -np.inf)
        scores[patient].append(found[looked_at].astype(np.float64))
        truth[patient].append(case.lesion[looked_at])
        rows = slice_rows(anomaly, case)
        slices.append(np.column_stack([rows, np.full(len(rows), patient)]))
    stacked = np.concatenate(slices)
    return Row(
        name=name,
        pixels=Pixels.of([np.concatenate(s) for s in scores], [np.concatenate(t) for t in truth]),
        slices=Slices(
            scores=stacked[:, 0],
            truth=stacked[:, 1] > 0,
            position=stacked[:, 2],
            patient=stacked[:, 3].astype(np.int64),
            patients=len(known),
        ),
    )


def slice_rows(anomaly: Anomaly, case: Case) -> NDArray[np.float64]:
    """Score, truth (0 or 1) and position of each slice that counts, (n, 3).

    A slice with lesion always counts, with -inf where it got no score. One without counts where it
    got a score and is not next to one with lesion.
    """
    lesion = case.lesion.any(axis=(0, 1))
    beside = ndimage.binary_dilation(lesion, iterations=1) & ~lesion
    position = relative_position(case.preprocessed.brain)
    scores = np.where(lesion & np.isnan(anomaly.slice_scores), -np.inf, anomaly.slice_scores)
    counts = lesion | (~beside & ~np.isnan(scores))
    # Lesion beyond the brain mask's ends lies at its end.
    middle = np.nanmean(np.where(np.isfinite(position), np.arange(len(position)), np.nan))
    ends = np.where(np.arange(len(position)) < middle, 0.0, 1.0)
    position = np.where(np.isfinite(position), position, ends)
    rows = np.column_stack([scores, lesion, position])[counts]
    return np.asarray(rows, dtype=np.float64)


def _metrics(rows: Sequence[Row], counts: Counts) -> dict[str, Metric]:
    """Figures of each row, and the model's less each baseline's; those that exist."""
    once = np.ones((1, counts.shape[1]), dtype=np.int64)
    metrics: dict[str, Metric] = {}

    def add(name: str, value: float, drawn: Values, definition: str) -> None:
        if not np.isfinite(value) or not np.isfinite(drawn).any():
            return  # no such figure on this sample, e.g. no two slices at like positions
        found = summary(value, drawn)
        metrics[name] = Metric(
            **found.model_dump(), n=counts.shape[1], unit="patients", definition=definition
        )

    model: dict[str, tuple[float, Values]] = {}
    for row in rows:
        for name, figure in row.figures().items():
            value, drawn = float(figure(once)[0]), figure(counts)
            if row.name == "":
                model[name] = (value, drawn)
                add(name, value, drawn, DEFINITIONS[name])
                continue
            add(f"{row.name}_{name}", value, drawn, f"{row.name} baseline: {DEFINITIONS[name]}")
            ours, ours_drawn = model[name]
            add(
                f"{name}_minus_{row.name}",
                ours - value,
                ours_drawn - drawn,
                f"the model's {name} less the {row.name} baseline's, paired by patient",
            )
    return metrics


def _patients(model: Row, cases: Sequence[Case], known: Sequence[int]) -> list[dict[str, Any]]:
    """The model's figures for each patient, by number alone."""
    one_each = np.eye(len(known), dtype=np.int64)
    precision = model.pixels.average_precision(one_each)
    dice = model.pixels.best_dice(one_each)
    rows = []
    for index, subject in enumerate(known):
        own = [case for case in cases if case.subject == subject]
        lesion = sum(int(case.lesion.sum()) for case in own)
        missed = sum(int((case.lesion & ~case.preprocessed.brain).sum()) for case in own)
        rows.append(
            {
                "patient": index,
                "lesion_pixels": lesion,
                "outside_brain_mask": missed,
                "pixel_ap": round(float(precision[index]), 4) if lesion else None,
                "best_dice": round(float(dice[index]), 4) if lesion else None,
            }
        )
    return rows
