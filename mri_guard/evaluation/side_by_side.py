"""Several budgets of false flags side by side: what each one costs in sensitivity, and what groups
are promised.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mri_guard.calibration import Budget
from mri_guard.calibration.groups import Groups
from mri_guard.evaluation.at_alpha import Limit, Scored
from mri_guard.evaluation.evidence import Metric, proportion
from mri_guard.metrics.proportion import clopper_pearson


def prices(
    budgets: Sequence[Budget],
    scans: Sequence[Scored],
    healthy_scores: Mapping[str, Sequence[float]],
    delta: float,
) -> tuple[dict[str, Metric], list[dict[str, Any]]]:
    """`sensitivity_lost_at_...` of each budget but the loosest, and a row for each, loosest first.

    What is lost is counted scan by scan: an abnormal scan that the lowest threshold finds and this
    one does not. Thresholds are those of all calibration scans together.

    Args:
        budgets: to compare.
        scans: to assess.
        healthy_scores: of the calibration scans, by site.
        delta: probability of not holding a budget.

    Raises:
        NotCalibratedError: fewer calibration scores than a budget and delta ask for.
    """
    pooled = [score for scores in healthy_scores.values() for score in scores]
    limits = [Limit.of(pooled, budget, delta) for budget in dict.fromkeys(budgets)]
    limits.sort(key=lambda limit: limit.threshold)
    healthy = _scores(scans, "healthy")
    healthy = healthy[np.isfinite(healthy)]
    abnormal = _scores(scans, "abnormal")
    metrics: dict[str, Metric] = {}
    rows: list[dict[str, Any]] = []
    for limit in limits:
        flagged, found = healthy > limit.threshold, abnormal > limit.threshold
        lost = (abnormal > limits[0].threshold) & ~found
        rows.append(
            {
                "budget": str(limit.budget),
                "rank": limit.rank,
                "calibration_scans": limit.calibrated,
                "threshold": limit.threshold,
            }
            | _share("false_positive_rate", flagged)
            | _share("sensitivity", found)
            | _share("sensitivity_lost", lost)
        )
        if limit is not limits[0] and lost.size:
            metrics[f"sensitivity_lost_at_{limit.budget.name}"] = proportion(
                int(lost.sum()),
                lost.size,
                f"share of the abnormal scans that the threshold of {limits[0].budget} finds and "
                f"that of {limit.budget} does not",
            )
    return metrics, rows


def groups(
    budgets: Sequence[Budget],
    scans: Sequence[Scored],
    healthy_scores: Mapping[str, Sequence[float]],
    delta: float,
) -> list[dict[str, Any]]:
    """A row for each budget and site: its own threshold or the pooled one, and what it claims."""
    rows = []
    for budget in dict.fromkeys(budgets):
        calibrated = Groups(healthy_scores, budget, delta)
        for site in sorted({*healthy_scores, *(scan.site for scan in scans)}):
            limit = calibrated.limit(site)
            here = [scan for scan in scans if scan.site == site]
            healthy, abnormal = (_scores(here, label) for label in ("healthy", "abnormal"))
            healthy = healthy[np.isfinite(healthy)]
            rows.append(
                {
                    "budget": str(budget),
                    "site": site,
                    "calibration_scans": limit.n,
                    "threshold": limit.threshold,
                    "own": limit.own,
                    "claim": limit.claim,
                    "healthy_scans": healthy.size,
                    "flagged": int((healthy > limit.threshold).sum()),
                    "abnormal_scans": abnormal.size,
                    "found": int((abnormal > limit.threshold).sum()),
                }
            )
    return rows


def _share(name: str, counted: NDArray[np.bool_]) -> dict[str, Any]:
    """A share with its exact 95 % interval as columns of a row; none of no scans."""
    if not counted.size:
        return {}
    low, high = clopper_pearson(int(counted.sum()), counted.size)
    value = float(counted.mean())
    return {name: value, f"{name}_low": low, f"{name}_high": high, f"{name}_n": counted.size}


def _scores(scans: Sequence[Scored], label: str) -> NDArray[np.float64]:
    """Of the scans of a label, float64; -inf where the model was not reached."""
    return np.array([scan.score for scan in scans if scan.label == label], dtype=np.float64)
