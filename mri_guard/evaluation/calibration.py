"""What the calibrated thresholds do to scans they were not made from.

Scans go through the whole journey, as in the hospital: what matters is where they end. What the
exact thresholds of further budgets of false flags would do to them, and to their slices, stands
beside it, with what each costs in sensitivity; so do the p-values of healthy scans and, where the
bundle gives one, the probability of abnormality.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from mri_guard.bundle import Calibration
from mri_guard.calibration import Budget, Rate
from mri_guard.decision import PERTURBED
from mri_guard.errors import SettingsError
from mri_guard.evaluation.at_alpha import PREDICTED, Scored, at_budget
from mri_guard.evaluation.evidence import Evidence, Metric, code_version, machine, proportion
from mri_guard.evaluation.latency import latency
from mri_guard.evaluation.p_values import p_value_figures
from mri_guard.evaluation.probability import probability_figures
from mri_guard.evaluation.screened import Screened, screened
from mri_guard.evaluation.side_by_side import groups, prices
from mri_guard.journey import Kit
from mri_guard.readers.manifest import ManifestRow, digest, read_manifest
from mri_guard.records import Examination

BUDGETS: tuple[Budget, ...] = (Rate(alpha=0.05), Rate(alpha=0.10))

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
    calibration: Calibration,
    *,
    delta: float,
    command: str,
    work: Path,
    budgets: Sequence[Budget] = BUDGETS,
    console: Console | None = None,
) -> Evidence:
    """Evidence for the rates at the bundle's own thresholds and at those of further rates.

    Args:
        manifest: of scans that nothing was trained or calibrated on. Slices are counted where a
            scan is healthy or has a lesion mask.
        splits: to assess.
        kit: from the bundle.
        calibration: of the same bundle.
        delta: of the bundle's policy: probability of not holding a rate.
        command: written into the evidence.
        work: folder of what has been computed; an interrupted run goes on from it.
        budgets: of false flags, to take the exact thresholds of.
        console: where progress is shown; None shows none.

    Raises:
        SettingsError: no scan in these splits.
        NotCalibratedError: too few calibration scans for one of the budgets.
    """
    rows = [row for row in read_manifest(manifest) if row.split in splits]
    if not rows:
        raise SettingsError(f"no scan in the splits {', '.join(splits)} of the manifest")
    for budget in budgets:  # before scans are read for nothing
        budget.rank(sum(map(len, calibration.healthy_scores.values())), delta)
    work.mkdir(parents=True, exist_ok=True)
    ended: list[tuple[str, Examination]] = []
    found: list[Scored] = []
    for row in track(rows, "screening", console=console, disable=console is None):
        seen = screened(row, kit, work)
        ended.append((row.label, seen.examination))
        found.append(_scored(row, seen))
    metrics = {}
    for name, (label, definition) in DEFINITIONS.items():
        counted = [_counts(name, record) for own, record in ended if label in ("", own)]
        if counted:
            metrics[name] = proportion(sum(counted), len(counted), f"share of {definition}")
    thresholds = []
    for budget in dict.fromkeys(budgets):
        rates, limits = at_budget(budget, found, calibration, delta, kit.seed)
        metrics |= rates
        thresholds += limits
    lost, side_by_side = prices(budgets, found, calibration.healthy_scores, delta)
    small, exchangeable = p_value_figures(found, calibration.healthy_scores, kit.seed)
    believed, diagram = (
        probability_figures(found, calibration.labelled, kit.seed)
        if calibration.labelled
        else ({}, [])
    )
    metrics |= lost | small | believed
    return Evidence(
        kind="calibration",
        command=command,
        bundle_digest=kit.bundle_digest,
        manifest_digest=digest(manifest),
        code_version=code_version(),
        seed=kit.seed,
        machine=machine(),
        metrics=metrics,
        tables={
            "scans": [_line(label, record) for label, record in ended],
            "thresholds": thresholds,
            "side_by_side": side_by_side,
            "groups": groups(budgets, found, calibration.healthy_scores, delta),
            "exchangeability": exchangeable,
            "reliability": diagram,
            "latency": latency([record.steps for _, record in ended]),
        },
    )


def table(evidence: Evidence) -> Table:
    """Each rate with its interval and n, and what its threshold promised where it promised any."""
    printed = Table("rate", "value", "95 % interval", "n", "to expect, 95 % band")
    printed.title = "At the bundle's own thresholds, and at the exact ones of further budgets"
    missing = []
    if not any(name.startswith("slice_") for name in evidence.metrics):
        missing.append("No figure for slices: no slice threshold in this bundle, or no truth.")
    if not evidence.tables["reliability"]:
        missing.append("No probability: no labelled scans in this bundle.")
    printed.caption = " ".join(missing)
    for name, metric in evidence.metrics.items():
        if name.endswith(PREDICTED):
            continue
        promised = evidence.metrics.get(name + PREDICTED)
        printed.add_row(
            name.replace("_", " "),
            f"{metric.value:.3f}",
            f"{metric.low:.3f} to {metric.high:.3f}",
            f"{metric.n} {metric.unit}",
            _band(metric, promised) if promised else "",
        )
    return printed


def price_table(evidence: Evidence) -> Table:
    """Each budget's threshold beside what it flags, finds and loses against the loosest."""
    printed = Table("budget", "threshold", "false positives", "sensitivity", "lost")
    printed.title = "Budgets of false flags side by side, thresholds of all calibration scans"
    for row in evidence.tables["side_by_side"]:
        figures = (
            f"{row[name]:.3f} [{row[f'{name}_low']:.3f}, {row[f'{name}_high']:.3f}] of "
            f"{row[f'{name}_n']}"
            if name in row
            else ""
            for name in ("false_positive_rate", "sensitivity", "sensitivity_lost")
        )
        printed.add_row(row["budget"], f"{row['threshold']:.4f}", *figures)
    return printed


def _band(came: Metric, promised: Metric) -> str:
    where = "inside" if promised.low <= came.value <= promised.high else "OUTSIDE"
    return f"{promised.value:.3f}, {promised.low:.3f} to {promised.high:.3f}: {where}"


def _scored(row: ManifestRow, seen: Screened) -> Scored:
    """What the model said of one scan, with the truth of its slices where it is known."""
    return Scored(
        label=row.label,
        site=row.site,
        subject=row.subject,
        score=-np.inf if seen.score is None else seen.score,
        slices=np.array(seen.slices, dtype=np.float64),
        lesion_px=None if seen.lesion_px is None else np.array(seen.lesion_px, dtype=np.int64),
    )


def _counts(name: str, record: Examination) -> bool:
    if name == "quarantine_rate":
        return record.decision.outcome == "quarantine"
    if name == "perturbation_false_alarm_rate":
        return PERTURBED in record.decision.reasons
    return record.calibrated is not None and record.calibrated.unusual


def _line(label: str, record: Examination) -> dict[str, Any]:
    return {
        "label": label,
        "outcome": record.decision.outcome.value,
        "reasons": list(record.decision.reasons),
        "score": record.calibrated.score if record.calibrated else None,
    }
