"""How readers rely on the model in a deployment, as evidence."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from mri_guard.evaluation.evidence import Evidence, Metric, code_version, machine
from mri_guard.metrics.reliance import MINIMUM, Figure, Read, by_reader, figures


def reliance_evidence(
    reads: Sequence[Read], *, bundle_digest: str, seed: int, command: str
) -> Evidence:
    """Evidence of every figure that there are enough reads for.

    What there are too few for stands in the table `cannot_tell`; each reader's own figures, told
    and not, in `readers`. As manifest digest stands that of the reads, in their order, as JSON.

    Args:
        reads: of one bundle; of one study at most one.
        bundle_digest: of that bundle.
        seed: of the draw of blinded studies.
        command: written into the evidence.
    """
    found = figures(reads)
    content = json.dumps([read.model_dump(mode="json") for read in reads], sort_keys=True)
    return Evidence(
        kind="reliance",
        command=command,
        bundle_digest=bundle_digest,
        manifest_digest=hashlib.sha256(content.encode()).hexdigest(),
        code_version=code_version(),
        seed=seed,
        machine=machine(),
        metrics={
            name: Metric(**figure.model_dump(), unit="reads")
            for name, figure in found.items()
            if figure.value is not None
        },
        tables={
            "cannot_tell": [
                {"figure": name, "n": figure.n, "wanted": MINIMUM, "definition": figure.definition}
                for name, figure in found.items()
                if figure.value is None
            ],
            "readers": [
                {"reader": reader, **row}
                for reader, own in by_reader(reads).items()
                for row in _rows(own)
            ],
        },
    )


def table(evidence: Evidence) -> Table:
    """Each figure with its interval and n, or that it cannot be told."""
    printed = Table("figure", "value", "95 % interval", "n")
    printed.title = "How readers rely on the model"
    printed.caption = "Intervals are over cases of these readers; they say nothing of others."
    for name, metric in evidence.metrics.items():
        interval = f"{metric.low:.3f} to {metric.high:.3f}"
        printed.add_row(name.replace("_", " "), f"{metric.value:.3f}", interval, str(metric.n))
    for row in evidence.tables["cannot_tell"]:
        wanted = f"would need {row['wanted']}"
        printed.add_row(row["figure"].replace("_", " "), "cannot tell", wanted, str(row["n"]))
    return printed


def _rows(own: Mapping[str, Figure]) -> list[dict[str, Any]]:
    return [
        {"figure": name, **figure.model_dump(exclude={"definition"}), "words": figure.words}
        for name, figure in own.items()
    ]
