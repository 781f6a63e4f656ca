"""Rows of a table that are trained for it, and differ from the first in one thing each.

All are trained for the same number of steps and measured by `detection`'s own code on the same
patients. A model that the guards refuse is measured too, and its run says so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from mri_guard.errors import InputError, SettingsError, UnfitModelError
from mri_guard.evaluation.detection import COUNTED, DEFINITIONS, Case, Row
from mri_guard.evaluation.evidence import SHARE, SIGNED, Drawn, Metric, Range, bootstrapped
from mri_guard.metrics.by_patient import Counts
from mri_guard.preprocess import Preprocess
from mri_guard.readers import Decoder
from mri_guard.readers.manifest import read_manifest
from mri_guard.training.config import TrainConfig
from mri_guard.training.data import prepared_scan, preprocess_digest
from mri_guard.training.guards import Fitness, refuse_unfit
from mri_guard.training.train import TrainedModel

FIGURES = tuple(name for name in DEFINITIONS if name not in COUNTED)


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """One row, trained from one seed.

    Attributes:
        name: of the row.
        seed: of the training.
        row: its results.
        run: how the training went, JSON types alone.
    """

    name: str
    seed: int
    row: Row
    run: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Naming:
    """How the figures of a table are called.

    Attributes:
        row: a row's figure; `{row}` and `{figure}` are filled in.
        less: the reference row's figure less another row's, likewise.
        reference: name of the row that the others are compared with.
        words: for it.
    """

    row: str
    less: str
    reference: str
    words: str


def several(seeds: Sequence[int]) -> None:
    """Refuses seeds that make no table.

    Raises:
        SettingsError: there is none, or one of them twice.
    """
    if not seeds or len(set(seeds)) < len(seeds):
        raise SettingsError(f"seeds {list(seeds)}, wanted at least one, each once")


def lesioned_cases(
    manifest: Path,
    splits: Sequence[str],
    preprocess: Preprocess,
    *,
    cache: Path,
    console: Console | None,
) -> tuple[list[Case], list[dict[str, Any]]]:
    """Scans to measure on, patients numbered from 0, and the reason for each that is none.

    Raises:
        SettingsError: none of them has a lesion.
    """
    rows = [row for row in read_manifest(manifest) if row.split in splits]
    maker = preprocess_digest(preprocess)
    numbers: dict[str, int] = {}
    cases, refused = [], []
    with Decoder() as decoder:
        for row in track(rows, "reading", console=console, disable=console is None):
            try:
                prepared, lesion = prepared_scan(row, preprocess, maker, decoder, cache)
            except InputError as error:
                refused.append({"reason": error.reason, "detail": error.detail})
                continue
            if lesion is None:
                lesion = np.zeros(prepared.brain.shape, dtype=np.bool_)
            number = numbers.setdefault(row.subject, len(numbers))
            cases.append(Case(number, row.subject, prepared, lesion))
    if not any(case.lesion.any() for case in cases):
        raise SettingsError(f"{len(cases)} scans examined; wanted scans with lesions")
    return cases, refused


def run_of(
    name: str, seed: int, row: Row, model: TrainedModel, config: TrainConfig
) -> dict[str, Any]:
    """How the training went that the row's weights come from, and the row's figures."""
    report = model.report
    once = np.ones((1, row.slices.patients), dtype=np.int64)
    figures = row.figures()
    values = {name: float(figures[name](once)[0]) for name in FIGURES}
    return {
        "row": name,
        "seed": seed,
        "refused": refusal(report, config),
        "steps": config.steps,
        "chosen_step": report["chosen_step"],
        "seconds_of_the_last_call": report["seconds_of_this_call"],
        "made_by": report["made_by"],
        "fitness": report["fitness"],
        "atlas_held_out_ap": report["atlas_held_out_ap"],
        **{name: round(value, 4) if np.isfinite(value) else None for name, value in values.items()},
    }


def refusal(report: dict[str, Any], config: TrainConfig) -> str | None:
    """Why the guards refuse a model; None where they let it pass.

    Args:
        report: of its training.
        config: of its training.
    """
    fitness = Fitness.model_validate(report["fitness"])
    try:
        refuse_unfit(
            fitness, report["atlas_held_out_ap"], config.smallest_nats, config.smallest_undone
        )
    except UnfitModelError as error:
        return str(error)
    return None


def refused_seeds(runs: Sequence[Mapping[str, Any]], row: str) -> str:
    """What a table says of the guards for a row: in short; the evidence has the figures."""
    unfit = [run for run in runs if run["row"] == row and run["refused"]]
    told = [f"refused, seed {run['seed']}: {run['refused'].split(':')[0]}" for run in unfit]
    return "\n".join(told) or "passed"


def figures_of(
    rows: Mapping[str, str], measured: Sequence[Measured], counts: Counts, naming: Naming
) -> dict[str, Metric]:
    """Figures of each row, and the reference row's less each other row's; those that exist.

    Args:
        rows: what each row is, in words, by name; the reference row first, where it is there.
        measured: each row from each seed.
        counts: how often each patient counts, (draws, patients).
        naming: of the figures.
    """
    once = np.ones((1, counts.shape[1]), dtype=np.int64)
    metrics: dict[str, Metric] = {}

    def add(
        name: str, values: Sequence[float], drawn: Drawn, definition: str, within: Range
    ) -> None:
        """Over patients for the first seed's value, and over seeds for all values."""
        first = f"{definition}; of the first seed"
        of_patients = bootstrapped(drawn, counts.shape[1], "patients", first, within=within)
        if of_patients is None or not np.isfinite(values).all():
            return
        metrics[name] = of_patients
        metrics[f"{name}_over_seeds"] = Metric(
            value=float(np.mean(values)),
            low=min(values),
            high=max(values),
            n=len(values),
            unit="seeds",
            definition=f"{definition}; mean over the seeds, lowest and highest of them",
        )

    for figure in FIGURES:
        reference: tuple[list[float], Drawn] | None = None
        for row, sentence in rows.items():
            functions = [one.row.figures()[figure] for one in measured if one.name == row]
            values = [float(function(once)[0]) for function in functions]
            drawn = Drawn.of(functions[0], counts)
            add(
                naming.row.format(row=row, figure=figure),
                values,
                drawn,
                f"{row} ({sentence}): {DEFINITIONS[figure]}",
                SHARE,
            )
            if row == naming.reference:
                reference = (values, drawn)
            elif reference is not None:
                add(
                    naming.less.format(row=row, figure=figure),
                    [ours - theirs for ours, theirs in zip(reference[0], values, strict=True)],
                    reference[1] - drawn,
                    f"{naming.words} {figure} less that of {row}, paired by patient and by seed",
                    SIGNED,
                )
    return metrics
