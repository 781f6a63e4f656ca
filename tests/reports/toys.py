"""Evidence of a toy: a few figures of each kind, with the tables that plots are drawn from."""

from typing import Any

from mri_guard.evaluation.evidence import Evidence, Metric
from mri_guard.reports.document import Bundle, Report, report
from mri_guard.reports.evidence_files import EvidenceFile
from mri_guard.reports.traceability import requirements

DIGEST = "ab" * 32
OTHER = "cd" * 32

BUNDLE = Bundle(
    name="toy",
    version="1.2.3",
    digest=DIGEST,
    contrasts=("FLAIR",),
    seed=7,
    card={
        "Intended use": "Research *only*.",
        "Limits": "- misses much",
        "Learnt from": "| a | b |",
    },
)


def metric(value: float = 0.8, low: float = 0.7, high: float = 0.9, n: int = 17) -> Metric:
    return Metric(value=value, low=low, high=high, n=n, unit="patients", definition="of toys")


def evidence(
    kind: str = "detection",
    metrics: dict[str, Metric] | None = None,
    tables: dict[str, list[dict[str, Any]]] | None = None,
    digest: str = DIGEST,
    manifest_digest: str = "12" * 32,
) -> Evidence:
    return Evidence(
        kind=kind,
        command=f"mri-guard evaluate {kind} --manifest toys.csv --out {kind}.json",
        bundle_digest=digest,
        manifest_digest=manifest_digest,
        code_version="0.1.0+0123456789ab",
        seed=3,
        machine="x86_64, 2 threads",
        metrics=metrics if metrics is not None else {"pixel_ap": metric()},
        tables=tables or {},
    )


RISKS = {
    name: metric()
    for name in (
        "memorisation_pull",
        "membership_inference_auroc_score",
        "lesion_contrast_kept",
        "map_rank_correlation_all_weights_anew",
    )
}


def file(name: str, of: Evidence) -> EvidenceFile:
    return EvidenceFile.of(name, (of.model_dump_json(indent=1) + "\n").encode())


CURVES = [
    {
        "curve": curve,
        "x": x / 4,
        "y": y / 4,
        "low": max(y / 4 - 0.1, 0),
        "high": min(y / 4 + 0.1, 1),
    }
    for curve in ("roc", "precision_recall")
    for x, y in enumerate((0, 2, 3, 4, 4))
]
BY_SEX = [
    {
        "attribute": "sex",
        "group": group,
        "figure": "auroc",
        "value": 0.8,
        "low": 0.6,
        "high": 0.9,
        "n": 9,
    }
    for group in ("F", "M")
]
STEPS = [{"step": step, "median_ms": 3.0, "p95_ms": 9.5, "n": 9} for step in ("decode", "score")]
RELIABILITY = [
    {"probability": 0.1, "share": 0.2, "share_low": 0.1, "share_high": 0.4, "n": 20},
    {"probability": 0.9, "share": 0.8, "share_low": 0.5, "share_high": 0.9, "n": 10},
]
CASCADE = [
    {
        "drawn_anew": stage,
        "map_rank_correlation": 0.5,
        "map_low": 0.4,
        "map_high": 0.6,
        "residual_rank_correlation": residual,
        "residual_low": residual and 0.0,
        "residual_high": residual and 0.3,
    }
    for stage, residual in (("head", 0.2), ("all", 0.1), ("no network", None))
]
TABLES: dict[str, list[dict[str, Any]]] = {
    "latency": STEPS,
    "reliability": RELIABILITY,
    "thresholds": [{"alpha": 0.05, "inside": True, "detail": None}],
}


def files(digest: str = DIGEST) -> tuple[EvidenceFile, ...]:
    """One of each sort: with plots, of an unknown kind, and one of another bundle."""
    robust = {
        f"robust_auroc_{goal}_{epsilon}_255": metric(0.9 - 0.1 * epsilon / 4)
        for goal in ("evade", "alarm", "both")
        for epsilon in (0, 4)
    }
    rates = {"false_positive_rate": metric(0.0, 0.0, 0.1), "sensitivity_at_0.05": metric()}
    return (
        file("calibrated", evidence("calibration", rates, TABLES, digest)),
        file("found", evidence(tables={"curves": CURVES}, digest=digest)),
        file("fair", evidence("fairness", {"gap": metric()}, {"groups": BY_SEX}, digest)),
        file("foreign", evidence("detection", digest=OTHER)),
        file("novel", evidence("novelty", {"surprise<b>": metric(12.5, -3, 140)}, digest=digest)),
        file("risky", evidence("risks", RISKS, {"randomisation": CASCADE}, digest)),
        file("robust", evidence("robustness", robust, digest=digest)),
    )


def toy_report(*of: EvidenceFile) -> Report:
    return report(BUNDLE, of or files(), requirements(), made_by="0.1.0+toy")
