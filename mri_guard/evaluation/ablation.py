"""What each part of the detector is worth: it is taken away, and the rest is measured.

Every row is trained for the same number of steps and measured by `detection`'s own code: same mask,
same post-processing, same patients. A model that the guards refuse is measured too, and its row
says so.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor

from mri_guard.anomaly import Evidence as Found
from mri_guard.anomaly import Fusion, FusionConfig, HealthyStatistics, Vae, VaeConfig, VaeScorer
from mri_guard.anomaly.evidence import KINDS
from mri_guard.anomaly.residual import GRID, dark_at
from mri_guard.determinism import generator
from mri_guard.errors import InputError, SettingsError, UnfitModelError
from mri_guard.evaluation.ablations import ABLATIONS, FULL, Ablation, changed
from mri_guard.evaluation.detection import COUNTED, DEFINITIONS, Case, Row, assess
from mri_guard.evaluation.evidence import Evidence, Metric, bootstrapped, code_version, machine
from mri_guard.metrics.bootstrap import DRAWS, patient_counts
from mri_guard.metrics.by_patient import Counts, Values
from mri_guard.preprocess import Preprocess
from mri_guard.readers import Decoder
from mri_guard.readers.manifest import digest, read_manifest
from mri_guard.training.config import TrainConfig
from mri_guard.training.data import prepared_scan, preprocess_digest
from mri_guard.training.guards import Fitness, refuse_unfit
from mri_guard.training.kept import fit_once
from mri_guard.training.synthetic_lesions import Window
from mri_guard.training.train import TrainedModel, healthy_evidence, load_groups

FIGURES = tuple(name for name in DEFINITIONS if name not in COUNTED)


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """One ablation, trained from one seed.

    Attributes:
        ablation: what was taken away.
        seed: of the training.
        row: its results.
        run: how the training went, JSON types alone.
    """

    ablation: Ablation
    seed: int
    row: Row
    run: dict[str, Any]


def evaluate_ablation(
    manifests: Sequence[Path],
    assessed: Path,
    splits: Sequence[str],
    *,
    config: TrainConfig,
    seeds: Sequence[int],
    preprocess: Preprocess,
    work: Path,
    command: str,
    shapes: Sequence[Window] = (),
    only: Collection[str] = (),
    draws: int = DRAWS,
    console: Console | None = None,
) -> Evidence:
    """Evidence for each row: over patients for the first seed, over seeds for all of them.

    Interrupted, it goes on where it stopped. What was trained stays in `work`, a folder for each
    row and seed, and is read by the next call: several processes may train different rows or seeds
    in one `work` at once. On the `validation` split, slices without lesion of the very patients
    that are measured have chosen the checkpoint and made the healthy statistics, for all rows
    alike.

    Args:
        manifests: CSV files to train on, as `training.train.train` takes them.
        assessed: manifest with lesion masks, to measure on.
        splits: of it.
        config: of the full model's training; the number of steps holds for all rows.
        seeds: of the trainings; the first one's figures get intervals over patients.
        preprocess: as the bundle will use it.
        work: trained models, checkpoints and preprocessed scans.
        command: written into the evidence.
        shapes: of real lesions, for synthetic ones.
        only: names of the rows that are wanted; all where empty.
        draws: of the bootstrap.
        console: where progress is shown; None shows none.

    Raises:
        SettingsError: there is no such row, no seed or no lesion, a manifest does not fit, or
            `work` holds a run of the same name with other settings or data.
        KeyboardInterrupt: after the checkpoint was written.
    """
    ablations = _wanted(only)
    if not seeds or len(set(seeds)) < len(seeds):
        raise SettingsError(f"seeds {list(seeds)}, wanted at least one, each once")
    cases, refused = _cases(assessed, splits, preprocess, cache=work / "cache", console=console)
    measured = [
        one
        for weights in dict.fromkeys(ablation.weights for ablation in ablations)
        for one in _measured(
            [ablation for ablation in ablations if ablation.weights == weights],
            manifests,
            cases,
            config=config,
            seeds=seeds,
            preprocess=preprocess,
            work=work,
            shapes=shapes,
            console=console,
        )
    ]
    patients = len({case.subject for case in cases})
    counts = patient_counts(patients, generator(seeds[0], "ablation bootstrap"), draws)
    return Evidence(
        kind="ablation",
        command=command,
        bundle_digest="none: every row is trained for this table",
        manifest_digest=digest(assessed),
        code_version=code_version(),
        seed=seeds[0],
        machine=machine(),
        metrics=_metrics(ablations, measured, counts),
        tables={
            "setting": [
                {
                    "steps": config.steps,
                    "seeds": list(seeds),
                    "splits": list(splits),
                    "trained_on": [digest(path) for path in manifests],
                    "real_lesion_shapes": len(shapes),
                    "train_config": config.model_dump(mode="json"),
                }
            ],
            "rows": [
                {"row": one.name, "taken_away": one.sentence, "weights": one.weights}
                for one in ablations
            ],
            "runs": [one.run for one in measured],
            "refused_scans": refused,
        },
    )


def table(evidence: Evidence) -> Table:
    """A line for each row; slice AUROC stands in the evidence alone, since no position row is here
    to read it with.
    """
    setting, runs = evidence.tables["setting"][0], evidence.tables["runs"]
    shown = [name for name in FIGURES if name != "slice_auroc"]
    seeds = setting["seeds"]
    n = max(metric.n for metric in evidence.metrics.values() if metric.unit == "patients")
    printed = Table(
        title=f"Ablation: every row trained for the same {setting['steps']} steps; {n} patients of "
        f"{', '.join(setting['splits'])}",
        caption=f"First: mean over the seeds {', '.join(map(str, seeds))} (lowest to highest). "
        f"Second: 95 % interval over patients of seed {seeds[0]}.",
        show_lines=True,
    )
    for column in ("row", *shown, "guards"):
        printed.add_column(column.replace("_", " "))
    for row in evidence.tables["rows"]:
        name = row["row"]
        cells = []
        for figure in shown:
            over = evidence.metrics.get(f"{name}_{figure}_over_seeds")
            first = evidence.metrics.get(f"{name}_{figure}")
            cells.append(
                f"{over.value:.3f} ({over.low:.3f} to {over.high:.3f})\n"
                f"[{first.low:.3f}, {first.high:.3f}]"
                if over and first
                else "–"
            )
        unfit = [run for run in runs if run["row"] == name and run["refused"]]
        # In short; the evidence has the figures.
        told = [f"refused, seed {run['seed']}: {run['refused'].split(':')[0]}" for run in unfit]
        printed.add_row(name.replace("_", " "), *cells, "\n".join(told) or "passed")
    return printed


def _wanted(only: Collection[str]) -> list[Ablation]:
    known = [ablation.name for ablation in ABLATIONS]
    missing = sorted(set(only) - set(known))
    if missing:
        raise SettingsError(f"no row {', '.join(missing)}; wanted any of {', '.join(known)}")
    return [ablation for ablation in ABLATIONS if not only or ablation.name in only]


def _cases(
    manifest: Path,
    splits: Sequence[str],
    preprocess: Preprocess,
    *,
    cache: Path,
    console: Console | None,
) -> tuple[list[Case], list[dict[str, Any]]]:
    """Scans to measure on, patients numbered from 0, and the reason for each that is none."""
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


def _measured(
    ablations: Sequence[Ablation],
    manifests: Sequence[Path],
    cases: Sequence[Case],
    *,
    config: TrainConfig,
    seeds: Sequence[int],
    preprocess: Preprocess,
    work: Path,
    shapes: Sequence[Window],
    console: Console | None,
) -> Iterator[Measured]:
    """Rows of the same weights, from each seed: one training and one look at healthy brains."""
    first = ablations[0]
    settings = first.train(config)
    learn, hold_out = (
        load_groups(
            manifests, split, preprocess, settings.vae, cache=work / "cache", console=console
        )
        for split in ("train", "validation")
    )
    for seed in seeds:
        name = f"{first.weights}-seed-{seed}"
        if console is not None:
            console.print(name, highlight=False)
        model = fit_once(
            learn,
            hold_out,
            out=work / name,
            config=settings,
            seed=seed,
            made_by=code_version(),
            shapes=shapes if first.real_shapes else (),
            console=console,
        )
        scorer = model.scorer()
        anew = any(ablation.maps_anew for ablation in ablations)
        network = cast(Vae, scorer.model)
        healthy = healthy_evidence(network, model.config, hold_out) if anew else []
        for ablation in ablations:
            row = assess(
                f"{ablation.name}, seed {seed}",
                mapped(scorer, ablation, healthy) if ablation.maps_anew else scorer,
                cases,
                sorted({case.subject for case in cases}),
                console,
            )
            yield Measured(ablation, seed, row, _run(ablation, seed, row, model, settings))


def mapped(
    scorer: VaeScorer, ablation: Ablation, healthy: Sequence[tuple[Found, Tensor]]
) -> VaeScorer:
    """The scorer with the ablation's map.

    Args:
        scorer: of the full model.
        ablation: how its map is made.
        healthy: evidence of held-out brains, and where it counts as healthy.
    """
    fusion = ablation.fusion(scorer.config.fusion)
    config: VaeConfig = changed(scorer.config, fusion=fusion)
    fused = Fusion.fit(healthy, fusion) if ablation.healthy_spreads else _as_it_is(fusion)
    return VaeScorer(
        scorer.model, fused if ablation.own_spreads else NotInOwnSpreads(fused), config
    )


@dataclass(frozen=True, slots=True, eq=False)
class NotInOwnSpreads:
    """A map that one scan's noise raises above another's.

    Attributes:
        fusion: its map before that.
    """

    fusion: Fusion

    def __call__(self, found: Found) -> Tensor:
        """Signed map, as of `Fusion`, in healthy spreads."""
        signed = self.fusion.in_healthy_spreads(found)
        return dark_at(signed, self.fusion.config.dark)


def _as_it_is(config: FusionConfig) -> Fusion:
    """Evidence over a healthy mean of 0 and a spread of 1 everywhere: smoothed, nothing else."""
    nothing = HealthyStatistics(torch.zeros(GRID), torch.ones(GRID))
    return Fusion(dict.fromkeys(KINDS, nothing), nothing, config)


def _run(
    ablation: Ablation, seed: int, row: Row, model: TrainedModel, config: TrainConfig
) -> dict[str, Any]:
    """How the training went that the row's weights come from, and the row's figures."""
    report = model.report
    once = np.ones((1, row.slices.patients), dtype=np.int64)
    figures = row.figures()
    values = {name: float(figures[name](once)[0]) for name in FIGURES}
    return {
        "row": ablation.name,
        "seed": seed,
        "weights": ablation.weights,
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


def _metrics(
    ablations: Sequence[Ablation], measured: Sequence[Measured], counts: Counts
) -> dict[str, Metric]:
    """Figures of each row, and the full model's less each other row's; those that exist."""
    once = np.ones((1, counts.shape[1]), dtype=np.int64)
    metrics: dict[str, Metric] = {}

    def add(name: str, values: Sequence[float], drawn: Values, definition: str) -> None:
        """Over patients for the first seed's value, and over seeds for all values."""
        first = f"{definition}; of the first seed"
        of_patients = bootstrapped(values[0], drawn, counts.shape[1], "patients", first)
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
        full: tuple[list[float], Values] | None = None
        for ablation in ablations:
            rows = [one.row for one in measured if one.ablation == ablation]
            functions = [row.figures()[figure] for row in rows]
            values = [float(function(once)[0]) for function in functions]
            drawn = functions[0](counts)
            definition = f"{ablation.name} ({ablation.sentence}): {DEFINITIONS[figure]}"
            add(f"{ablation.name}_{figure}", values, drawn, definition)
            if ablation.name == FULL:
                full = (values, drawn)
            elif full is not None:
                add(
                    f"{figure}_minus_{ablation.name}",
                    [ours - theirs for ours, theirs in zip(full[0], values, strict=True)],
                    full[1] - drawn,
                    f"the full model's {figure} less that of {ablation.name}, paired by patient "
                    "and by seed",
                )
    return metrics
