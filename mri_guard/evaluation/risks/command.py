"""All checks of one bundle on one manifest."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from mri_guard.determinism import generator
from mri_guard.errors import SettingsError
from mri_guard.evaluation.detection import read_cases
from mri_guard.evaluation.evidence import Evidence, code_version, machine
from mri_guard.evaluation.risks.collapse import collapse
from mri_guard.evaluation.risks.copying import copying
from mri_guard.evaluation.risks.memorisation import distances, membership
from mri_guard.evaluation.risks.saliency import saliency
from mri_guard.evaluation.risks.scene import Examined, examine, numbered, whole
from mri_guard.journey import Kit
from mri_guard.metrics.bootstrap import patient_counts
from mri_guard.metrics.by_patient import Counts
from mri_guard.readers.manifest import ManifestRow, digest, read_manifest

SALIENCY_SCANS = 10
"""Whose maps are made anew at each stage of the cascade; each costs about ten screenings."""


def evaluate_risks(
    manifest: Path,
    splits: Sequence[str],
    kit: Kit,
    *,
    command: str,
    work: Path,
    trained_on: Path | None = None,
    limit_scans: int | None = None,
    saliency_scans: int = SALIENCY_SCANS,
    seed: int = 0,
    console: Console | None = None,
) -> Evidence:
    """Evidence for what a generative model risks beyond missing lesions.

    Intervals are 95 % percentile bootstrap over patients. Where the manifest that the model was
    trained on has no train split, nothing is said of memorisation, and the table `not_measured`
    says so; likewise of real lesions without masks.

    Args:
        manifest: of scans that the model was not trained on.
        splits: to assess.
        kit: from the bundle.
        command: written into the evidence.
        work: folder that archives may be extracted into.
        trained_on: manifest whose train split the model has learnt from; None: the one assessed.
        limit_scans: so many from the beginning, of those assessed and of those trained on; None:
            all.
        saliency_scans: so many of them get other weights.
        seed: of the bootstrap, of planted lesions and of weights.
        console: where progress is shown; None shows none.

    Raises:
        SettingsError: no scan of these splits could be examined; a patient who is assessed was
            trained on too; or the model is no VAE of ours with its evidence whole.
    """
    scorer, model, _ = whole(kit.scorer)
    assessed = [row for row in read_manifest(manifest) if row.split in splits][:limit_scans]
    learnt = [row for row in read_manifest(trained_on or manifest) if row.split == "train"]
    members = learnt[:limit_scans]
    if trained_on is None:
        both = {row.subject for row in assessed} & {row.subject for row in learnt}
    else:  # another manifest may call others by the same names
        both = {str(row.scan.resolve()) for row in assessed} & {
            str(row.scan.resolve()) for row in learnt
        }
    if both:
        raise SettingsError(
            f"{len(both)} of those assessed are in the train split too: they are no strangers"
        )

    def scans(rows: Sequence[ManifestRow], what: str) -> tuple[list[Examined], int]:
        """Those that could be examined, and how many could not."""
        subjects = sorted({row.subject for row in rows})
        cases, refused = read_cases(rows, subjects, kit, work=work, console=console, what=what)
        shown = track(cases, "model", console=console, disable=console is None)
        return numbered([examine(case, scorer) for case in shown]), len(refused)

    unseen, refused = scans(assessed, "reading")
    if not unseen:
        raise SettingsError(f"none of {len(assessed)} scans of the splits could be examined")
    trained, _ = scans(members, "trained on")
    counts = _counts(unseen, seed)

    missing: list[dict[str, Any]] = []
    metrics, latents = collapse(model, unseen, counts)
    inferred: list[dict[str, Any]] = []
    if all(any(len(scan.subject.centres) for scan in those) for those in (trained, unseen)):
        found, inferred = membership(trained, unseen, seed)
        metrics |= distances(trained, unseen, counts) | found
    else:
        why = "wanted lesion-free slices in the train split of the manifest trained on, and here"
        missing.append({"check": "memorisation and membership inference", "why": why})
    found, kept = copying(model, unseen, counts, seed)
    metrics |= found
    if "lesion_contrast_kept" not in metrics:
        why = "too few patients with a lesion mask"
        missing.append({"check": "contrast kept of real lesions", "why": why})
    some = numbered(unseen[:saliency_scans])
    found, cascade = saliency(scorer, some, _counts(some, seed), seed=seed, console=console)
    return Evidence(
        kind="risks",
        command=command,
        bundle_digest=kit.bundle_digest,
        manifest_digest=digest(manifest),
        code_version=code_version(),
        seed=seed,
        machine=machine(),
        metrics=metrics | found,
        tables={
            "latents": latents,
            "membership": inferred,
            "copying": kept,
            "randomisation": cascade,
            "not_measured": missing,
            "scans": [
                {
                    "assessed": len(unseen),
                    "refused": refused,
                    "trained_on": len(trained),
                    "trained_on_manifest": digest(trained_on or manifest),
                }
            ],
        },
    )


def table(evidence: Evidence) -> Table:
    """Each figure with its interval and n."""
    printed = Table("figure", "value", "95 % interval", "n")
    printed.title = "Other risks of a generative model"
    printed.caption = " ".join(
        f"Not measured: {row['check']} ({row['why']})." for row in evidence.tables["not_measured"]
    )
    for name, metric in evidence.metrics.items():
        printed.add_row(
            name.replace("_", " "),
            f"{metric.value:.3f}",
            f"{metric.low:.3f} to {metric.high:.3f}",
            f"{metric.n} {metric.unit}",
        )
    return printed


def _counts(scans: Sequence[Examined], seed: int) -> Counts:
    """Resamples of the scans' patients."""
    patients = len({scan.patient for scan in scans})
    return patient_counts(patients, generator(seed, "risks bootstrap"))
