"""What detection loses when some of what training takes for healthy is not.

The poison are the training manifests' own lesions: of k % of the patients the mask is not believed,
so that their lesioned slices are learnt from as the others are (availability poisoning by
mislabelled data; NIST AI 100-2 E2025, section 2.3.1). Each share is trained and measured as
`trained_rows` says, beside a training without poison.

What abnormal scans among the calibration scans do to the threshold is another question, which
`mri-guard calibrate` answers (`calibration.contamination`).
"""

import math
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from mri_guard.determinism import generator
from mri_guard.errors import SettingsError
from mri_guard.evaluation.ablations import FULL
from mri_guard.evaluation.detection import assess
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
from mri_guard.readers.manifest import digest, read_manifest
from mri_guard.training.batches import Groups
from mri_guard.training.config import TrainConfig
from mri_guard.training.data import Subject
from mri_guard.training.kept import fit_once
from mri_guard.training.synthetic_lesions import Window
from mri_guard.training.train import load_groups

SHARES = (0.05, 0.2)
BELIEVED = ("train", "validation")
"""Splits that a training takes its healthy windows from."""


def name_of(share: float) -> str:
    """Of the row with so much poison, as its figures end: `5_percent_poison`."""
    return f"{100 * share:g}".replace(".", "_") + "_percent_poison"


CLEAN = name_of(0.0)
NAMING = Naming("{figure}_at_{row}", "{figure}_lost_at_{row}", CLEAN, "without poison the")


def evaluate_poisoning(
    manifests: Sequence[Path],
    assessed: Path,
    splits: Sequence[str],
    *,
    config: TrainConfig,
    seeds: Sequence[int],
    preprocess: Preprocess,
    work: Path,
    command: str,
    shares: Sequence[float] = SHARES,
    poisoned: Collection[str] = ("train",),
    shapes: Sequence[Window] = (),
    draws: int = DRAWS,
    console: Console | None = None,
) -> Evidence:
    """Evidence for each share, and what it loses against none, paired by patient.

    An interval over patients says who came to be measured, not what another training would have
    given: the figures over seeds do, each seed with patients of its own poisoned. Interrupted, it
    goes on where it stopped; the training without poison is the row `full` of an ablation with the
    same settings, and is read where that was kept in `work`.

    Args:
        manifests: CSV files to train on, as `training.train.train` takes them.
        assessed: manifest with lesion masks, to measure on.
        splits: of it.
        config: of every training.
        seeds: of the trainings and of who is poisoned; the first one's figures get intervals over
            patients.
        preprocess: as the bundle will use it.
        work: trained models, checkpoints and preprocessed scans.
        command: written into the evidence.
        shares: of the patients, above 0, at most 1.
        poisoned: splits whose patients are: `train`, which is learnt from; `validation`, which
            gives the healthy statistics and chooses the checkpoint; or both.
        shapes: of real lesions, for synthetic ones.
        draws: of the bootstrap.
        console: where progress is shown; None shows none.

    Raises:
        SettingsError: shares, splits or seeds that make no table, too few patients with lesions to
            poison, no lesion to measure on, a manifest that does not fit, or `work` holds a run of
            the same name with other settings or data.
        KeyboardInterrupt: after the checkpoint was written.
    """
    several(seeds)
    _refuse_unless_poison(shares, poisoned)
    every = (0.0, *sorted(shares))
    hidden = {  # before anything is trained: there may be too few
        (share, seed): hidden_scans(manifests, poisoned, share, seed)
        for share in every
        for seed in seeds
    }
    cases, refused = lesioned_cases(
        assessed, splits, preprocess, cache=work / "cache", console=console
    )

    def groups(split: str, poison: Collection[Path] = ()) -> Groups:
        return load_groups(
            manifests,
            split,
            preprocess,
            config.vae,
            cache=work / "cache",
            console=console,
            taken_for_healthy=poison,
        )

    believed = {split: groups(split) for split in BELIEVED}
    known = sorted({case.subject for case in cases})
    measured = []
    for (share, seed), scans in hidden.items():
        folder = _folder(share, seed, poisoned)
        if console is not None:
            console.print(folder, highlight=False)
        seen = believed | ({split: groups(split, scans) for split in poisoned} if scans else {})
        model = fit_once(
            seen["train"],
            seen["validation"],
            out=work / folder,
            config=config,
            seed=seed,
            made_by=code_version(),
            shapes=shapes,
            console=console,
        )
        name = name_of(share)
        row = assess(f"{name}, seed {seed}", model.scorer(), cases, known, console)
        run = run_of(name, seed, row, model, config) | {
            "poisoned_scans": len(scans),
            "lesioned_windows": {
                split: lesioned_share(believed[split], seen[split]) for split in BELIEVED
            },
        }
        measured.append(Measured(name, seed, row, run))
    rows = {name_of(share): _words(share, poisoned) for share in every}
    counts = patient_counts(len(known), generator(seeds[0], "poisoning bootstrap"), draws)
    return Evidence(
        kind="poisoning",
        command=command,
        bundle_digest="none: every row is trained for this table",
        manifest_digest=digest(assessed),
        code_version=code_version(),
        seed=seeds[0],
        machine=machine(),
        metrics=figures_of(rows, measured, counts, NAMING),
        tables={
            "setting": [
                {
                    "steps": config.steps,
                    "seeds": list(seeds),
                    "splits": list(splits),
                    "poisoned_splits": sorted(poisoned),
                    "trained_on": [digest(path) for path in manifests],
                    "real_lesion_shapes": len(shapes),
                    "train_config": config.model_dump(mode="json"),
                }
            ],
            "rows": [{"row": name, "poison": sentence} for name, sentence in rows.items()],
            "runs": [one.run for one in measured],
            "refused_scans": refused,
        },
    )


def hidden_scans(
    manifests: Sequence[Path], splits: Collection[str], share: float, seed: int
) -> frozenset[Path]:
    """Scans whose mask is not believed: those of so many patients, drawn from the ones with a mask.

    In each split of each manifest that has masks it is the share of all its patients, rounded up.
    A larger share poisons the patients of a smaller one and more.

    Args:
        manifests: CSV files.
        splits: of them.
        share: of the patients, 0 to 1.
        seed: of the draw.

    Raises:
        SettingsError: fewer patients have a mask.
    """
    hidden: set[Path] = set()
    for number, path in enumerate(manifests):
        for split in sorted(splits):
            rows = [row for row in read_manifest(path) if row.split == split]
            with_mask = sorted({row.subject for row in rows if row.mask is not None})
            people = len({row.subject for row in rows})
            wanted = math.ceil(share * people - 1e-9) if with_mask else 0
            if wanted > len(with_mask):
                raise SettingsError(
                    f"{share:.0%} of {people} patients in the {split} split of manifest "
                    f"{number + 1} are {wanted}, and {len(with_mask)} have a lesion mask to hide"
                )
            order = generator(seed, "poisoned", number, split).permutation(len(with_mask))
            chosen = {with_mask[place] for place in order[:wanted]}
            hidden |= {row.scan for row in rows if row.subject in chosen}
    return frozenset(hidden)


def lesioned_share(believed: Groups, poisoned: Groups) -> float:
    """Probability that a window which is drawn lies within a slice of a hidden lesion.

    Args:
        believed: the subjects of each manifest as their masks say.
        poisoned: the same where some masks are not believed.
    """
    windows = {
        subject.image.tobytes(): len(subject.centres) for group in believed for subject in group
    }

    def lesioned(subject: Subject) -> float:
        # Where all windows are lesioned the subject is not among the believed.
        return 1 - windows.get(subject.image.tobytes(), 0) / len(subject.centres)

    # As a window is drawn: a manifest, one of its subjects, one of its windows.
    return float(np.mean([np.mean([lesioned(one) for one in group]) for group in poisoned]))


def table(evidence: Evidence) -> Table:
    """A line for each share: its figures, and what it loses.

    Slice AUROC stands in the evidence alone, since no position row is here to read it with.
    """
    setting, runs = evidence.tables["setting"][0], evidence.tables["runs"]
    shown = [name for name in FIGURES if name != "slice_auroc"]
    n = max(metric.n for metric in evidence.metrics.values() if metric.unit == "patients")
    seeds = setting["seeds"]
    printed = Table(
        title=f"Poisoning: {setting['steps']} steps each, "
        f"{' and '.join(setting['poisoned_splits'])} poisoned; {n} patients of "
        f"{', '.join(setting['splits'])}",
        caption=f"First: of seed {seeds[0]}. Second: what is lost against no poison, with its 95 % "
        f"interval over patients. Third: the same over the seeds {', '.join(map(str, seeds))}, "
        "mean (lowest to highest).",
        show_lines=True,
    )
    for column in ("row", *shown, "windows with lesion", "guards"):
        printed.add_column(column.replace("_", " "))
    for row in evidence.tables["rows"]:
        name = row["row"]
        own = [run for run in runs if run["row"] == name]
        printed.add_row(
            name.replace("_", " "),
            *(_cell(evidence, figure, name) for figure in shown),
            "\n".join(
                f"{split} {np.mean([run['lesioned_windows'][split] for run in own]):.1%}"
                for split in BELIEVED
            ),
            refused_seeds(runs, name),
        )
    return printed


def _cell(evidence: Evidence, figure: str, name: str) -> str:
    found = evidence.metrics.get(NAMING.row.format(row=name, figure=figure))
    less = NAMING.less.format(row=name, figure=figure)
    lost, over = evidence.metrics.get(less), evidence.metrics.get(f"{less}_over_seeds")
    if found is None:
        return "–"
    if lost is None or over is None:
        return f"{found.value:.3f}"
    return (
        f"{found.value:.3f}\nlost {lost.value:.3f} [{lost.low:.3f}, {lost.high:.3f}]\n"
        f"{over.value:.3f} ({over.low:.3f} to {over.high:.3f})"
    )


def _refuse_unless_poison(shares: Sequence[float], splits: Collection[str]) -> None:
    names = {name_of(share) for share in shares}
    if not shares or len(names) < len(shares) or not all(0 < one <= 1 for one in shares):
        raise SettingsError(
            f"shares {', '.join(f'{one:g}' for one in shares) or 'none'}; wanted at least one, "
            "above 0 and at most 1, each once (a training without poison is always beside them)"
        )
    if not splits or not set(splits) <= set(BELIEVED):
        raise SettingsError(f"poisoned splits {sorted(splits)}; wanted any of {list(BELIEVED)}")


def _words(share: float, splits: Collection[str]) -> str:
    if not share:
        return "every mask believed"
    return (
        f"the masks of {100 * share:g} % of the patients in {' and '.join(sorted(splits))} not "
        "believed: their lesions learnt from as healthy"
    )


def _folder(share: float, seed: int, splits: Collection[str]) -> str:
    if not share:
        return f"{FULL}-seed-{seed}"
    return f"{name_of(share)}-{'-'.join(sorted(splits))}-seed-{seed}"
