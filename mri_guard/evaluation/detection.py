"""How well lesions are found, beside what finds them without a model.

Every figure is taken on the model's grid with the same brain mask for all rows; lesion pixels that
the brain mask misses count as missed by every row.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy import ndimage

from mri_guard.anomaly import Vae, VaeConfig, VaeScorer
from mri_guard.determinism import generator
from mri_guard.errors import InputError, SettingsError
from mri_guard.evaluation.baseline_parts.material import STEPS, Learnt, Material
from mri_guard.evaluation.baseline_parts.relative_position import relative_position
from mri_guard.evaluation.baselines import BY_SLICE, fit_baselines
from mri_guard.evaluation.curves import curves
from mri_guard.evaluation.evidence import (
    SIGNED,
    Drawn,
    Evidence,
    Metric,
    bootstrapped,
    code_version,
    machine,
)
from mri_guard.evaluation.gallery import Gallery, write_gallery
from mri_guard.journey import Kit
from mri_guard.metrics.bootstrap import DRAWS, patient_counts
from mri_guard.metrics.by_patient import Counts, Lesions, Pixels, Slices, Values
from mri_guard.ports import Scorer
from mri_guard.readers.manifest import ManifestRow, digest, lesion_on_grid, read_manifest
from mri_guard.readers.sources import open_sources
from mri_guard.records import Anomaly, Preprocessed

SMALL_PX = 50
"""Largest cross-section of a small lesion, pixels of 2 mm in one axial slice."""

SMALL_FOUND = "lesions_up_to_50_found"
SECTIONS_FOUND = "sections_up_to_50_found"
COUNTED = {SMALL_FOUND: "lesions", SECTIONS_FOUND: "sections"}
"""Figures whose n counts something else than patients."""

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
    SMALL_FOUND: (
        "share of small lesions that the map touches where it is above its own threshold of best "
        f"Dice, taken anew in each resample; a lesion is what connects in 3-D over faces, edges or "
        f"corners, and small where no axial slice shows more than {SMALL_PX} pixels of it, {_GRID}"
    ),
    SECTIONS_FOUND: (
        f"share of sections of at most {SMALL_PX} pixels that the map touches where it is above "
        "the same threshold; a section is what connects within one axial slice, of lesions of any "
        f"size, {_GRID}"
    ),
}


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One scorer's results on every examined scan.

    Attributes:
        name: `""` for the bundle's model, the baseline's name otherwise.
        pixels: of each patient.
        slices: of all.
        small: the small lesions and the small sections, by their figure; none where the map points
            at no place.
    """

    name: str
    pixels: Pixels
    slices: Slices
    small: Mapping[str, Lesions]

    def figures(self) -> Figures:
        """Each figure as a function of how often each patient counts."""
        figures: Figures = {
            "pixel_ap": self.pixels.average_precision,
            "best_dice": self.pixels.best_dice,
            "slice_auroc": self.slices.auroc,
            "matched_slice_auroc": self.slices.matched_auroc,
            "within_subject_auroc": self.slices.within_subject_auroc,
            "sensitivity_at_90_specificity": self.slices.sensitivity_at,
        }
        return figures | {name: lesions.found for name, lesions in self.small.items()}


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One scan with its truth.

    Attributes:
        subject: index of the patient; -1 where nothing of the patient is assessed.
        patient: as the manifest names them.
        preprocessed: on the model's grid.
        lesion: bool, (x, y, z).
    """

    subject: int
    patient: str
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
    gallery: Path | None = None,
    only: Collection[str] = (),
    baselines: Path | None = None,
    steps: int = STEPS,
    learn_from: Path | None = None,
    console: Console | None = None,
) -> Evidence:
    """Evidence for the bundle's model and its baselines, with paired differences.

    Intervals are 95 % percentile bootstrap over patients, the same draws for all rows. Baselines
    learn from a train split alone.

    Args:
        manifest: with lesion masks.
        splits: to assess.
        kit: from the bundle.
        command: written into the evidence.
        work: folder that archives may be extracted into.
        seed: of the bootstrap and of the gallery's random choice.
        draws: of the bootstrap.
        gallery: folder for pictures of the model's results; None draws none.
        only: names of the baselines that are wanted beside `position`; all where empty.
        baselines: folder that trained baselines are kept in; without it they are trained anew.
        steps: of training each.
        learn_from: manifest whose train split the baselines learn from; None: the one assessed.
        console: where progress is shown; None shows none.

    Raises:
        SettingsError: no scan of these splits could be examined, or none has a lesion, or the train
            split is too small to fit the baselines on; or there is no such baseline.
    """
    rows = read_manifest(manifest)
    assessed = [row for row in rows if row.split in splits]
    subjects = sorted({row.subject for row in assessed})
    cases, refused = read_cases(assessed, subjects, kit, work=work, console=console, what="reading")
    taught = rows if learn_from is None else read_manifest(learn_from)
    train = [row for row in taught if row.split == "train"]
    learnt, _ = read_cases(train, subjects, kit, work=work, console=console, what="baselines")
    if not any(case.lesion.any() for case in cases):
        raise SettingsError(f"{len(cases)} scans examined; wanted scans with lesions")
    known = sorted({case.subject for case in cases})
    material = _material(learnt, kit.scorer, folder=baselines or work, steps=steps, seed=seed)
    scorers: list[tuple[str, Scorer]] = [("", kit.scorer)]
    scorers += [(one.name, one) for one in fit_baselines(material, only, console)]

    shown = Gallery.of((case.lesion for case in cases), generator(seed, "gallery"))
    results = [
        assess(name, scorer, cases, known, console, gallery=None if name else shown)
        for name, scorer in scorers
    ]
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
    evidence = Evidence(
        kind="detection",
        command=command,
        bundle_digest=kit.bundle_digest,
        manifest_digest=digest(manifest),
        code_version=code_version(),
        seed=seed,
        machine=machine(),
        metrics=metrics,
        tables={
            "patients": _patients(results[0], cases, known),
            "curves": curves(results[0].pixels, results[0].slices, counts),
            "refused": refused,
            "baselines_learnt_from": [{"manifest_digest": digest(learn_from or manifest)}],
        },
    )
    if gallery is not None:
        write_gallery(shown, evidence, gallery)
    return evidence


def table(evidence: Evidence) -> Table:
    """The rows side by side.

    Slice AUROC stands in no row that lacks the matched and the within-subject figure, and in none
    at all without the position row.
    """
    columns = tuple(DEFINITIONS)
    n = evidence.metrics["pixel_ap"].n
    shown = dict(evidence.metrics)
    printed = Table(title=f"Detection, {n} patients; 95 % intervals over patients")
    printed.add_column("row")
    for column in columns:
        lesions = shown.get(column) if column in COUNTED else None
        printed.add_column(
            column.replace("_", " ") + (f" ({lesions.n} {lesions.unit})" if lesions else "")
        )
    prefixes = [""] + [
        name.removesuffix("pixel_ap") for name in evidence.metrics if name.endswith("_pixel_ap")
    ]
    for prefix in prefixes:
        needed = {"position_slice_auroc"} | {
            f"{prefix}{beside}" for beside in ("matched_slice_auroc", "within_subject_auroc")
        }
        if not needed <= evidence.metrics.keys():
            shown.pop(f"{prefix}slice_auroc", None)
        cells = [shown.get(prefix + column) for column in columns]
        printed.add_row(
            prefix.replace("_", " ").strip() or "model",
            *(
                f"{cell.value:.3f} [{cell.low:.3f}, {cell.high:.3f}]" if cell else "–"
                for cell in cells
            ),
        )
    return printed


def _material(
    learnt: Sequence[Case], scorer: Scorer, *, folder: Path, steps: int, seed: int
) -> Material:
    """The train split, to be scored as the bundle's model is."""
    ours = scorer if isinstance(scorer, VaeScorer) else None
    return Material.of(
        [Learnt(case.patient, case.preprocessed, case.lesion) for case in learnt],
        ours.config if ours else VaeConfig(),
        folder=folder,
        encoder=deepcopy(ours.model).cpu() if ours and isinstance(ours.model, Vae) else None,
        steps=steps,
        seed=seed,
    )


def read_cases(
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
        cases.append(Case(index, row.subject, preprocessed, lesion))
    return cases, refused


def assess(
    name: str,
    scorer: Scorer,
    cases: Sequence[Case],
    known: Sequence[int],
    console: Console | None,
    *,
    gallery: Gallery | None = None,
) -> Row:
    """One scorer on all cases.

    Args:
        name: of the row.
        scorer: to assess.
        cases: of the patients `known`.
        known: indices of the patients, in the order that the bootstrap counts them.
        console: where progress is shown; None shows none.
        gallery: sees each case; None where none is drawn.
    """
    scores: list[list[NDArray[np.float64]]] = [[] for _ in known]
    truth: list[list[NDArray[np.bool_]]] = [[] for _ in known]
    slices = []
    small: dict[str, list[tuple[float, int]]] = {SMALL_FOUND: [], SECTIONS_FOUND: []}
    for case in track(cases, name or "model", console=console, disable=console is None):
        patient = known.index(case.subject)
        anomaly = scorer(case.preprocessed)
        if gallery is not None:
            gallery.add(patient, case.preprocessed, case.lesion, anomaly)
        looked_at = case.preprocessed.brain | case.lesion
        found = np.where(case.preprocessed.brain, anomaly.map, -np.inf)
        scores[patient].append(found[looked_at].astype(np.float64))
        truth[patient].append(case.lesion[looked_at])
        for figure, each in (
            (SMALL_FOUND, small_lesions(case.lesion)),
            (SECTIONS_FOUND, small_sections(case.lesion)),
        ):
            small[figure] += [(float(found[one].max()), patient) for one in each]
        rows = slice_rows(anomaly, case)
        slices.append(np.column_stack([rows, np.full(len(rows), patient)]))
    stacked = np.concatenate(slices)
    pixels = Pixels.of([np.concatenate(s) for s in scores], [np.concatenate(t) for t in truth])
    return Row(
        name=name,
        pixels=pixels,
        slices=Slices(
            scores=stacked[:, 0],
            truth=stacked[:, 1] > 0,
            position=stacked[:, 2],
            patient=stacked[:, 3].astype(np.int64),
            patients=len(known),
        ),
        small={}
        if name in BY_SLICE
        else {
            figure: Lesions(
                pixels,
                np.array([score for score, _ in each], dtype=np.float64),
                np.array([patient for _, patient in each], dtype=np.int64),
            )
            for figure, each in small.items()
        },
    )


def small_lesions(lesion: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    """Mask of each lesion that is small, like `lesion`.

    Args:
        lesion: bool, (x, y, z). What connects over faces, edges or corners is one; it is small
            where no axial slice shows more than `SMALL_PX` of it.
    """
    labels, count = ndimage.label(lesion, structure=np.ones((3, 3, 3)))
    each = [labels == index for index in range(1, count + 1)]
    return [one for one in each if one.sum(axis=(0, 1)).max() <= SMALL_PX]


def small_sections(lesion: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    """Mask of each small section, like `lesion`.

    Args:
        lesion: bool, (x, y, z). A section, see `sections`, is small with at most `SMALL_PX`.
    """
    return [one for one in sections(lesion) if one.sum() <= SMALL_PX]


def sections(lesion: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    """Mask of each section, like `lesion`, (x, y, z): what connects over edges or corners in one
    axial slice.
    """
    plane = np.ones((3, 3, 3)) * np.array([0, 1, 0])
    labels, count = ndimage.label(lesion, structure=plane)
    return [labels == index for index in range(1, count + 1)]


def slice_rows(anomaly: Anomaly, case: Case) -> NDArray[np.float64]:
    """Score, truth (0 or 1) and position of each slice that counts, (n, 3).

    A slice with lesion always counts, with -inf where it got no score. One without counts where it
    got a score and is not next to one with lesion.
    """
    lesion = in_slices(case.lesion)
    position = slice_positions(case.preprocessed.brain)
    scores = np.where(lesion & np.isnan(anomaly.slice_scores), -np.inf, anomaly.slice_scores)
    rows = np.column_stack([scores, lesion, position])[counted(lesion, anomaly.slice_scores)]
    return np.asarray(rows, dtype=np.float64)


def in_slices(lesion: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which slices show it, bool, (z,), of a lesion (x, y, z)."""
    return np.asarray(lesion.any(axis=(0, 1)))


def counted(lesion: NDArray[np.bool_], scores: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which slices count, bool, (z,): those with lesion, and those without that got a score and are
    not next to one with lesion.

    Args:
        lesion: bool, (z,).
        scores: (z,), NaN where a slice has none.
    """
    beside = ndimage.binary_dilation(lesion, iterations=1) & ~lesion
    return np.asarray(lesion | (~beside & ~np.isnan(scores)))


def slice_positions(brain: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Place of each slice along the brain, 0..1, (z,); beyond its ends that of the nearer end.

    Args:
        brain: bool, (x, y, z), not empty.
    """
    position = relative_position(brain)
    # Lesion beyond the brain mask's ends lies at its end.
    middle = np.nanmean(np.where(np.isfinite(position), np.arange(len(position)), np.nan))
    ends = np.where(np.arange(len(position)) < middle, 0.0, 1.0)
    return np.where(np.isfinite(position), position, ends)


def _metrics(rows: Sequence[Row], counts: Counts) -> dict[str, Metric]:
    """Figures of each row, and the model's less each baseline's; those that exist."""
    metrics: dict[str, Metric] = {}
    model: dict[str, Drawn] = {}
    for row in rows:
        for name, figure in row.figures().items():
            drawn = Drawn.of(figure, counts)
            counted = (counts.shape[1], "patients")
            if name in COUNTED:
                counted = (len(row.small[name].scores), COUNTED[name])
            found: dict[str, Metric | None] = {}
            if row.name == "":
                model[name] = drawn
                found[name] = bootstrapped(drawn, *counted, DEFINITIONS[name])
            else:
                definition = f"{row.name} baseline: {DEFINITIONS[name]}"
                found[f"{row.name}_{name}"] = bootstrapped(drawn, *counted, definition)
                found[f"{name}_minus_{row.name}"] = bootstrapped(
                    model[name] - drawn,
                    *counted,
                    f"the model's {name} less the {row.name} baseline's, paired by patient",
                    within=SIGNED,
                )
            metrics |= {key: one for key, one in found.items() if one is not None}
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
