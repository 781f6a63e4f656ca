"""What each part of the detector is worth: it is taken away, and the rest is measured.

Every row is trained and measured as `trained_rows` says: same steps, same mask, same
post-processing, same patients.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from mri_guard.anomaly import Evidence as Found
from mri_guard.anomaly import Fusion, FusionConfig, HealthyStatistics, Vae, VaeConfig, VaeScorer
from mri_guard.anomaly.evidence import KINDS
from mri_guard.anomaly.residual import GRID, dark_at
from mri_guard.determinism import generator
from mri_guard.errors import SettingsError
from mri_guard.evaluation.ablations import ABLATIONS, FULL, Ablation, changed
from mri_guard.evaluation.detection import Case, assess
from mri_guard.evaluation.evidence import Evidence, code_version, machine
from mri_guard.evaluation.trained_rows import (
    FIGURES,
    Measured,
    Naming,
    figures_of,
    lesioned_cases,
    refused_seeds,
    run_of,
    several,
)
from mri_guard.metrics.bootstrap import DRAWS, patient_counts
from mri_guard.preprocess import Preprocess
from mri_guard.readers.manifest import digest
from mri_guard.training.config import TrainConfig
from mri_guard.training.kept import fit_once
from mri_guard.training.synthetic_lesions import Window
from mri_guard.training.train import healthy_evidence, load_groups

NAMING = Naming("{row}_{figure}", "{figure}_minus_{row}", FULL, "the full model's")


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
    several(seeds)
    cases, refused = lesioned_cases(
        assessed, splits, preprocess, cache=work / "cache", console=console
    )
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
        metrics=figures_of({one.name: one.sentence for one in ablations}, measured, counts, NAMING),
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
        printed.add_row(name.replace("_", " "), *cells, refused_seeds(runs, name))
    return printed


def _wanted(only: Collection[str]) -> list[Ablation]:
    known = [ablation.name for ablation in ABLATIONS]
    missing = sorted(set(only) - set(known))
    if missing:
        raise SettingsError(f"no row {', '.join(missing)}; wanted any of {', '.join(known)}")
    return [ablation for ablation in ABLATIONS if not only or ablation.name in only]


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
            run = run_of(ablation.name, seed, row, model, settings)
            yield Measured(ablation.name, seed, row, run | {"weights": ablation.weights})


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
