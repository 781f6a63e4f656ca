"""What the calibrated thresholds do to scans they were not made from.

Scans go through the whole journey, as in the hospital: what matters is where they end.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from mri_guard.errors import SettingsError
from mri_guard.evaluation.evidence import Evidence, Metric, code_version, machine
from mri_guard.journey import Kit, examine
from mri_guard.metrics.proportion import clopper_pearson
from mri_guard.readers.manifest import digest, read_manifest
from mri_guard.readers.sources import open_sources
from mri_guard.records import Contrast, Examination

DEFINITIONS = {
    "false_positive_rate": ("healthy", "healthy scans whose score is above the threshold"),
    "sensitivity": ("abnormal", "abnormal scans whose score is above the threshold"),
    "perturbation_false_alarm_rate": ("", "clean scans held as perturbed"),
    "quarantine_rate": ("", "scans that ended in quarantine, for whatever reason"),
}
"""Figure to the label it is counted over (empty: all) and what is counted."""


def evaluate_calibration(
    manifest: Path,
    splits: Sequence[str],
    kit: Kit,
    *,
    command: str,
    work: Path,
    console: Console | None = None,
) -> Evidence:
    """Evidence for the rates at the bundle's own thresholds, with Clopper-Pearson intervals.

    Args:
        manifest: of scans that nothing was trained or calibrated on.
        splits: to assess.
        kit: from the bundle.
        command: written into the evidence.
        work: folder that archives may be extracted into.
        console: where progress is shown; None shows none.

    Raises:
        SettingsError: no scan in these splits.
    """
    rows = [row for row in read_manifest(manifest) if row.split in splits]
    if not rows:
        raise SettingsError(f"no scan in the splits {', '.join(splits)} of the manifest")
    ended: list[tuple[str, Examination]] = []
    for row in track(rows, "screening", console=console, disable=console is None):
        (source, *_) = open_sources(row.scan, work, row.contrast or Contrast.UNKNOWN)
        ended.append((row.label, examine(source, kit).examination))
    metrics = {}
    for name, (label, definition) in DEFINITIONS.items():
        counted = [_counts(name, record) for own, record in ended if label in ("", own)]
        if counted:
            low, high = clopper_pearson(sum(counted), len(counted))
            metrics[name] = Metric(
                value=sum(counted) / len(counted),
                low=low,
                high=high,
                n=len(counted),
                unit="scans",
                definition=f"share of {definition}",
            )
    return Evidence(
        kind="calibration",
        command=command,
        bundle_digest=kit.bundle_digest,
        manifest_digest=digest(manifest),
        code_version=code_version(),
        seed=kit.seed,
        machine=machine(),
        metrics=metrics,
        tables={"scans": [_line(label, record) for label, record in ended]},
    )


def table(evidence: Evidence) -> Table:
    """Each rate with its interval and n."""
    printed = Table("rate", "value", "95 % interval", "n", title="At the bundle's own thresholds")
    for name, metric in evidence.metrics.items():
        interval = f"{metric.low:.3f} to {metric.high:.3f}"
        printed.add_row(
            name.replace("_", " "), f"{metric.value:.3f}", interval, f"{metric.n} {metric.unit}"
        )
    return printed


def _counts(name: str, record: Examination) -> bool:
    if name == "quarantine_rate":
        return record.decision.outcome == "quarantine"
    if name == "perturbation_false_alarm_rate":
        return "perturbation-suspected" in record.decision.reasons
    return record.calibrated is not None and record.calibrated.unusual


def _line(label: str, record: Examination) -> dict[str, Any]:
    return {
        "label": label,
        "outcome": record.decision.outcome.value,
        "reasons": list(record.decision.reasons),
        "score": record.calibrated.score if record.calibrated else None,
    }
