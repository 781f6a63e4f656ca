"""What the checks before the model catch, what they refuse wrongly, and what each of them costs."""

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from mri_guard.errors import InputError, SettingsError
from mri_guard.evaluation.evidence import Evidence, Metric, code_version, machine, proportion
from mri_guard.evaluation.hostile import ACCEPTED
from mri_guard.journey import Kit
from mri_guard.readers.manifest import ManifestRow, digest, read_manifest
from mri_guard.readers.sources import open_sources
from mri_guard.records import CheckResult
from mri_guard.sanitize.gate import sanitize

OPEN = "open"
"""Stands for the check where a folder or archive cannot even be opened."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What became of one row: the results of each series in it."""

    row: ManifestRow
    results: tuple[tuple[CheckResult, ...], ...]

    @property
    def expected(self) -> str:
        return self.row.attributes.get("expected", ACCEPTED)

    @property
    def hostile(self) -> bool:
        return self.expected != ACCEPTED

    @property
    def refusals(self) -> list[CheckResult]:
        return [results[-1] for results in self.results if not results[-1].passed]

    @property
    def refused(self) -> bool:
        """Whether nothing of it gets through; a broken file may have left its series."""
        return len(self.refusals) == len(self.results)

    @property
    def named(self) -> bool:
        """Whether a refusal gives a reason that names the defect rightly."""
        wanted = set(filter(None, self.expected.split("|")))
        return self.refused and (
            not wanted or any(refusal.reason in wanted for refusal in self.refusals)
        )

    @property
    def milliseconds(self) -> float:
        return sum(result.milliseconds for results in self.results for result in results)


def evaluate_sanitization(
    manifest: Path,
    splits: Sequence[str],
    kit: Kit,
    *,
    command: str,
    console: Console | None = None,
) -> Evidence:
    """Evidence of what is caught and what is refused wrongly, check by check.

    Args:
        manifest: scans, each with the reasons that name its defect rightly in the column `expected`
            (`a|b`; any reason where empty); `accepted`, or no such column, for one that must pass.
        splits: to assess; empty takes all.
        kit: from the bundle.
        command: written into the evidence.
        console: where progress is shown; None shows none.

    Raises:
        SettingsError: the manifest does not fit, or none of its scans is of these splits.
    """
    rows = [row for row in read_manifest(manifest) if not splits or row.split in splits]
    if not rows:
        raise SettingsError(f"no scan of the splits {', '.join(splits)}")
    seen = [
        _look(row, kit) for row in track(rows, "sanitizing", console=console, disable=not console)
    ]
    hostile = [one for one in seen if one.hostile]
    clean = [one for one in seen if not one.hostile]
    passed = [one for one in clean if not one.refused]
    metrics: dict[str, Metric] = {}
    if hostile:
        caught = [one for one in hostile if one.refused]
        metrics["caught"] = _share(caught, hostile, "hostile scans that do not get through")
        metrics["named"] = _share(
            [one for one in hostile if one.named],
            hostile,
            "hostile scans refused for a fitting reason",
        )
    if clean:
        refused = [one for one in clean if one.refusals]
        metrics["false_rejects"] = _share(refused, clean, "scans in order that were refused")
    if passed:
        metrics["clean_ms"] = _median([one.milliseconds for one in passed], "a scan that passes")
    return Evidence(
        kind="sanitization",
        command=command,
        bundle_digest=kit.bundle_digest,
        manifest_digest=digest(manifest),
        code_version=code_version(),
        seed=kit.seed,
        machine=machine(),
        metrics=metrics,
        tables={
            "checks": _by_check(seen, passed),
            "defects": [_defect(one, passed) for one in hostile],
            "false_rejects": [_defect(one, []) for one in clean if one.refusals],
        },
    )


def table(evidence: Evidence) -> Table:
    """The checks in running order, for people."""
    shown = Table("check", "caught", "false rejects", "median ms", "p95 ms", "ms so far")
    for row in evidence.tables["checks"]:
        shown.add_row(
            str(row["check"]),
            str(row["caught"]),
            str(row["false_rejects"]),
            *(
                "–" if row[key] is None else f"{row[key]:.2f}"
                for key in ("median_ms", "p95_ms", "cumulative_ms")
            ),
        )
    shown.caption = "\n".join(
        f"{name} {metric.value:.3f} [{metric.low:.3f}, {metric.high:.3f}], n = {metric.n}"
        for name, metric in evidence.metrics.items()
    )
    return shown


def _look(row: ManifestRow, kit: Kit) -> _Seen:
    with tempfile.TemporaryDirectory(prefix="mri-guard-") as work:
        try:
            sources = open_sources(row.scan, Path(work), row.contrast)
        except InputError as error:
            refused = CheckResult(name=OPEN, passed=False, reason=error.reason, detail=error.detail)
            return _Seen(row, ((refused,),))
        return _Seen(row, tuple(sanitize(source, kit.sanitizer, kit.decoder) for source in sources))


def _share(some: Sequence[_Seen], of: Sequence[_Seen], definition: str) -> Metric:
    return proportion(len(some), len(of), definition)


def _median(milliseconds: Sequence[float], of: str) -> Metric:
    low, middle, high = np.percentile(milliseconds, (5, 50, 95))
    return Metric(
        value=float(middle),
        low=float(low),
        high=float(high),
        n=len(milliseconds),
        unit="scans",
        definition=f"milliseconds for {of}: median, 5th and 95th percentile",
    )


def _by_check(seen: Sequence[_Seen], passed: Sequence[_Seen]) -> list[dict[str, Any]]:
    """A row for each check in running order; what it costs is told by scans that pass."""
    order = list(dict.fromkeys(result.name for one in passed for result in _flat([one])))
    order += sorted({result.name for result in _flat(seen)} - set(order))
    rows, so_far = [], 0.0
    for name in order:
        costs = [result.milliseconds for result in _flat(passed) if result.name == name]
        so_far += float(np.median(costs)) if costs else 0.0
        rows.append(
            {
                "check": name,
                "caught": _refused_by(name, [one for one in seen if one.hostile]),
                "false_rejects": _refused_by(name, [one for one in seen if not one.hostile]),
                "median_ms": float(np.median(costs)) if costs else None,
                "p95_ms": float(np.percentile(costs, 95)) if costs else None,
                "cumulative_ms": so_far if costs else None,
            }
        )
    return rows


def _refused_by(name: str, seen: Sequence[_Seen]) -> int:
    return sum(any(refusal.name == name for refusal in one.refusals) for one in seen)


def _flat(seen: Iterable[_Seen]) -> Iterable[CheckResult]:
    return (result for one in seen for results in one.results for result in results)


def _defect(one: _Seen, passed: Sequence[_Seen]) -> dict[str, Any]:
    """What became of one scan, and the time that its refusal saved against running everything."""
    everything = float(np.median([other.milliseconds for other in passed])) if passed else None
    return {
        "defect": one.row.attributes.get("defect") or one.row.subject,
        "family": one.row.site,
        "refused": one.refused,
        "named": one.named,
        "by": sorted({refusal.name for refusal in one.refusals}),
        "reasons": sorted({refusal.reason for refusal in one.refusals}),
        "expected": one.expected,
        "ms": one.milliseconds,
        "saved_ms": None if everything is None else everything - one.milliseconds,
    }
