"""How long each step of the journey took, over many scans."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mri_guard.records import StepTiming


def latency(scans: Sequence[Sequence[StepTiming]]) -> list[dict[str, Any]]:
    """Rows `step`, `n`, `median_ms` and `p95_ms`, in the order in which scans reach the steps.

    Args:
        scans: steps of each scan, in running order; one that a scan did not reach is absent.
    """
    by_step: dict[str, list[float]] = {}
    for steps in scans:
        for step in steps:
            by_step.setdefault(step.name, []).append(step.milliseconds)
    return [
        {
            "step": name,
            "n": len(taken),
            "median_ms": float(np.median(taken)),
            "p95_ms": float(np.quantile(taken, 0.95)),
        }
        for name, taken in by_step.items()
    ]
