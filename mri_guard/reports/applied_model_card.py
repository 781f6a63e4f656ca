"""The model card in the form of the Coalition for Health AI (CHAI), Applied Model Card v0.2.

Parts and entries are those of its published schema, in its order. What neither the bundle nor the
evidence says is printed as not stated, never guessed.
"""

import datetime
from collections.abc import Iterator, Mapping

from mri_guard.evaluation.evidence import Metric
from mri_guard.records import Record
from mri_guard.reports.sections import leading, section_of

NOT_STATED = "Not stated in the bundle."

Figures = Mapping[str, tuple[str, Mapping[str, Metric]]]
"""Kind and figures of each evidence file."""

_EFFICACY = ("detection", "calibration")
_EQUITY = ("fairness",)
_SAFETY = ("robustness", "sanitization", "perturbation", "certification", "risks")
_SHOWN = 6
"""Figures of one kind that the card names; the report has them all."""


class CardPart(Record):
    """A part of the card.

    Attributes:
        title: of the part.
        entries: Markdown by label.
    """

    title: str
    entries: dict[str, str]


def applied_model_card(
    name: str,
    version: str,
    card: Mapping[str, str],
    figures: Figures,
    issued: datetime.date | None,
) -> tuple[CardPart, ...]:
    """The card's parts, in the order of the form.

    Args:
        name: of the bundle.
        version: of the bundle.
        card: sections of the bundle's own card by heading, Markdown.
        figures: of this bundle.
        issued: day of issue of the report.
    """

    def own(*headings: str) -> str:
        said = [card[heading] for heading in headings if card.get(heading)]
        return "\n\n".join(said) or NOT_STATED

    return (
        CardPart(
            title="Basic information",
            entries={
                "Model name": name,
                "Model developer": NOT_STATED,
                "Developer contact": NOT_STATED,
            },
        ),
        CardPart(
            title="Release information",
            entries={
                "Release stage": NOT_STATED,
                "Release date": issued.isoformat() if issued else NOT_STATED,
                "Release version": version,
                "Global availability": NOT_STATED,
                "Regulatory approval": NOT_STATED,
            },
        ),
        CardPart(
            title="Uses and directions",
            entries={
                "Intended use and workflow": own("Intended use"),
                "Primary intended users": NOT_STATED,
                "How to use": NOT_STATED,
                "Targeted patient population": "See intended use.",
                "Cautioned out-of-scope settings": own("Limits"),
            },
        ),
        CardPart(
            title="Warnings",
            entries={
                "Known risks and limitations": own("Limits"),
                "Known biases or ethical considerations": (
                    "See data, and fairness among the key metrics."
                ),
                "Clinical risk level": NOT_STATED,
            },
        ),
        CardPart(
            title="Trust ingredients: facts of the AI system",
            entries={
                "Outcomes and outputs": (
                    "An anomaly map, a score of each slice and of the scan, a p-value, and one of "
                    "three outcomes: release, review with a priority, quarantine."
                ),
                "Model type": own("Training"),
                "Foundation models": "None.",
                "Input data source": own("Learnt from"),
                "Output and input data types": (
                    "In: one MR series, DICOM or NIfTI. Out: DICOM objects, NIfTI map, JSON record."
                ),
                "Development data characterization": own("Learnt from"),
                "Bias mitigation approaches": NOT_STATED,
                "Ongoing maintenance": NOT_STATED,
                "Security": own("Perturbation detectors", "Second look"),
            },
        ),
        CardPart(
            title="Trust ingredients: transparency",
            entries={
                "Funding source": NOT_STATED,
                "Third-party information": own("Learnt from"),
                "Stakeholders consulted": NOT_STATED,
            },
        ),
        CardPart(
            title="Key metrics",
            entries={
                "Usefulness, usability and efficacy": _results(figures, _EFFICACY),
                "Fairness and equity": _results(figures, _EQUITY),
                "Safety and reliability": _results(figures, _SAFETY),
            },
        ),
        CardPart(
            title="Resources",
            entries={
                "Evaluation references": "The evidence files of this report.",
                "Clinical trial": NOT_STATED,
                "Peer-reviewed publications": NOT_STATED,
                "Reimbursement status": NOT_STATED,
                "Patient consent or disclosure": NOT_STATED,
            },
        ),
    )


def _results(figures: Figures, kinds: tuple[str, ...]) -> str:
    """The leading figures of these kinds, Markdown; says so where there is none."""
    lines = list(_lines(figures, kinds))
    return "\n".join(lines) if lines else f"No evidence here of: {', '.join(kinds)}."


def _lines(figures: Figures, kinds: tuple[str, ...]) -> Iterator[str]:
    for file, (kind, metrics) in figures.items():
        if kind not in kinds:
            continue
        for name in leading(metrics, section_of(kind).leads)[:_SHOWN]:
            metric = metrics[name]
            yield (
                f"- {file}, {name.replace('_', ' ')}: {metric.value:.3f} "
                f"({metric.low:.3f} to {metric.high:.3f}; n = {metric.n} {metric.unit})"
            )
