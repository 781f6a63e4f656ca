"""Whether p-values of healthy scans are as small as often as they should be, and no more often."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mri_guard.determinism import generator
from mri_guard.evaluation.at_alpha import PREDICTED, Scored, promised
from mri_guard.evaluation.evidence import Metric, proportion
from mri_guard.metrics.conformal import p_value
from mri_guard.metrics.two_samples import compared

LEVELS = (0.05, 0.10, 0.25, 0.50)


def p_value_figures(
    scans: Sequence[Scored], healthy_scores: Mapping[str, Sequence[float]], seed: int
) -> tuple[dict[str, Metric], list[dict[str, Any]]]:
    """Share of healthy scans with a p-value up to each level, beside what exchangeable scans would
    have, and a row that tests whether they are exchangeable with the calibration scans.

    p <= a where a score is above the k-th largest of the m calibration scores, k = floor(a (m + 1))
    (but for ties, which make p larger), so that their number is beta-binomial. p-values against one
    calibration set are not independent, and a test that takes them for uniform draws would be
    wrong; the band knows.

    Args:
        scans: to assess; healthy ones that got a score alone.
        healthy_scores: of the calibration scans, by site.
        seed: of the shuffles.
    """
    calibration = [score for scores in healthy_scores.values() for score in scores]
    healthy = [scan.score for scan in scans if scan.label == "healthy" and np.isfinite(scan.score)]
    if not healthy:
        return {}, []
    values = np.array([p_value(score, calibration) for score in healthy])
    metrics: dict[str, Metric] = {}
    for level in LEVELS:
        rank = int(np.floor(level * (len(calibration) + 1) + 1e-9))
        if rank == 0:
            continue  # too few calibration scans for any p-value as small
        name = f"healthy_p_value_up_to_{level:.2f}"
        metrics[name] = proportion(
            int(np.sum(values <= level + 1e-12)),
            len(values),
            f"share of the healthy scans that got a score with a conformal p-value of at most "
            f"{level:g} among all {len(calibration)} calibration scans",
        )
        metrics[name + PREDICTED] = promised(rank, len(calibration), len(values))
    like = compared(healthy, calibration, generator(seed, "exchangeable"))
    return metrics, [like.model_dump() | {"p_value_of_both": like.p_value}]
