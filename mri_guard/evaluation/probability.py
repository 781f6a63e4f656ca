"""How far a bundle's probability of abnormality can be believed, on scans it was not made from."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mri_guard.calibration import LabelledScores, VennAbers
from mri_guard.calibration.probability import Isotonic
from mri_guard.determinism import generator
from mri_guard.evaluation.at_alpha import Scored
from mri_guard.evaluation.evidence import Metric, resampled
from mri_guard.metrics.bootstrap import patient_counts
from mri_guard.metrics.probability import BINS, Forecasts

PARTS = {
    "brier": "mean squared difference of the probability and what came",
    "reliability": f"part of the Brier score that calibration would take away ({BINS} bins)",
    "resolution": "part of the Brier score that telling scans apart is worth, subtracted",
    "uncertainty": "Brier score of the share of abnormal scans as everybody's probability",
    "within_bins": "rest of the Brier score that the bins hide",
}


def probability_figures(
    scans: Sequence[Scored], labelled: LabelledScores, seed: int
) -> tuple[dict[str, Metric], list[dict[str, Any]]]:
    """Figures by name for Venn-Abers (`probability_...`) and isotonic regression (`isotonic_...`),
    and the points of both reliability diagrams; none without a scan that got a score.

    Intervals are 95 % bootstrap over patients, but for the calibration error: see
    `Forecasts.error_interval`.

    Args:
        scans: to assess; one without a score has no probability and is left out.
        labelled: of the bundle.
        seed: of bootstrap and chance.
    """
    scored = [scan for scan in scans if np.isfinite(scan.score)]
    if not scored:
        return {}, []
    scores = [scan.score for scan in scored]
    fitted = VennAbers(labelled)
    told = {
        "probability": np.array([fitted(score).value for score in scores]),
        "isotonic": Isotonic(labelled)(scores),
    }
    metrics: dict[str, Metric] = {}
    points: list[dict[str, Any]] = []
    for name, values in told.items():
        forecasts = _forecasts(scored, values)
        of = f"{name} of {len(scored)} scans of {forecasts.patients} patients"
        metrics |= _figures(name, of, forecasts, seed)
        points += [{"of": name, **asdict(point)} for point in forecasts.diagram()]
    return metrics, points


def _forecasts(scans: Sequence[Scored], values: NDArray[np.float64]) -> Forecasts:
    people = sorted({scan.subject for scan in scans})
    return Forecasts(
        probability=values,
        truth=np.array([scan.label == "abnormal" for scan in scans]),
        patient=np.array([people.index(scan.subject) for scan in scans]),
        patients=len(people),
    )


def _figures(name: str, of: str, forecasts: Forecasts, seed: int) -> dict[str, Metric]:
    """Brier score with its parts, calibration error, and the error that chance alone would make."""
    counts = patient_counts(forecasts.patients, generator(seed, "probability bootstrap"))
    n = len(forecasts.truth)
    metrics: dict[str, Metric] = {}
    for part, words in PARTS.items():
        figure = getattr(forecasts, part)
        metric = resampled(figure, counts, n, "scans", f"{words}; {of}")
        if metric is not None:
            metrics[f"{name}_brier" if part == "brier" else f"{name}_brier_{part}"] = metric
    error = forecasts.error_interval(counts, generator(seed, "probability chance"))
    metrics[f"{name}_calibration_error"] = Metric(
        **error.model_dump(),
        n=n,
        unit="scans",
        definition=f"expected calibration error ({BINS} bins of equal width), upper end by "
        "bootstrap over patients, lower end reversed around the figure and 0 where chance alone "
        f"makes as large an error; {of}",
    )
    chance = forecasts.by_chance(generator(seed, "probability chance"))
    low, high = np.quantile(chance, [0.025, 0.975])
    metrics[f"{name}_calibration_error_by_chance"] = Metric(
        value=float(chance.mean()),
        low=float(low),
        high=float(high),
        n=n,
        unit="scans",
        definition="expected calibration error to expect if these probabilities were true, mean "
        f"and central 95 % of draws; {of}",
    )
    return metrics
