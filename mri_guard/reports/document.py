"""What a report says, as one value: `report.json` is this, and the page is drawn from it."""

import datetime
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from mri_guard.errors import SettingsError
from mri_guard.evaluation.evidence import Measured
from mri_guard.records import Record
from mri_guard.reports.applied_model_card import CardPart, applied_model_card
from mri_guard.reports.evidence_files import EvidenceFile
from mri_guard.reports.sections import SECTIONS
from mri_guard.reports.traceability import Requirement, Traced, trace


class Bundle(Record):
    """The bundle that is reported on.

    Attributes:
        name: of the bundle.
        version: of the bundle.
        digest: SHA-256 of its `SHA256SUMS`, hex.
        contrasts: what its model has learnt.
        seed: root seed of its training and of what is random when it scores.
        card: sections of its model card by heading, Markdown; the text before the first is left.
    """

    name: str
    version: str
    digest: str
    contrasts: tuple[str, ...]
    seed: int
    card: dict[str, str]


class Source(Measured):
    """One evidence file, its figures whole, its tables by their number of rows.

    Attributes:
        name: of the file without its ending.
        sha256: of the file, hex.
        of_this_bundle: whether the bundle that is reported on is the one that was assessed.
        tables: rows of each.
    """

    name: str
    sha256: str
    of_this_bundle: bool
    tables: dict[str, int]

    @classmethod
    def of(cls, file: EvidenceFile, bundle_digest: str) -> "Source":
        """From the file."""
        evidence = file.evidence.model_dump(exclude={"tables"})
        return cls(
            name=file.name,
            sha256=file.sha256,
            of_this_bundle=file.evidence.bundle_digest == bundle_digest,
            tables={name: len(rows) for name, rows in file.evidence.tables.items()},
            **evidence,
        )


class Report(Record):
    """An audit report.

    Attributes:
        format: of this document.
        bundle: that is reported on.
        issued: day of issue as the one who made it states it; None where it is not stated.
        made_by: version of this package and the digest of its source.
        sources: evidence files by name; those of other bundles stand apart from the others.
        missing: kinds of evidence that were not given for this bundle.
        card: applied model card in the form of the Coalition for Health AI.
        traced: requirements with the figures that are evidence for them.
    """

    format: Literal["mri-guard-report-1"] = "mri-guard-report-1"
    bundle: Bundle
    issued: datetime.date | None
    made_by: str
    sources: tuple[Source, ...] = Field(min_length=1)
    missing: tuple[str, ...]
    card: tuple[CardPart, ...]
    traced: tuple[Traced, ...]

    @property
    def own(self) -> tuple[Source, ...]:
        """The evidence of this bundle."""
        return tuple(source for source in self.sources if source.of_this_bundle)

    @property
    def others(self) -> tuple[Source, ...]:
        """The evidence of other bundles, or of none."""
        return tuple(source for source in self.sources if not source.of_this_bundle)

    def document(self) -> dict[str, Any]:
        """JSON types alone."""
        return self.model_dump(mode="json")


def report(
    bundle: Bundle,
    files: Sequence[EvidenceFile],
    requirements: Sequence[Requirement],
    *,
    made_by: str,
    issued: datetime.date | None = None,
) -> Report:
    """The report on a bundle.

    Args:
        bundle: to report on.
        files: what was measured, of this bundle or of others.
        requirements: to trace the figures to.
        made_by: version of the package that makes the report.
        issued: day of issue.

    Raises:
        SettingsError: no file is of this bundle.
    """
    sources = tuple(Source.of(file, bundle.digest) for file in files)
    own = [source for source in sources if source.of_this_bundle]
    if not own:
        raise SettingsError(
            f"none of {len(files)} evidence files was made with the bundle {bundle.digest[:12]}; "
            "wanted at least one"
        )
    kinds = {source.kind for source in own}
    figures = {source.name: (source.kind, tuple(source.metrics)) for source in own}
    return Report(
        bundle=bundle,
        issued=issued,
        made_by=made_by,
        sources=sources,
        missing=tuple(section.kind for section in SECTIONS if section.kind not in kinds),
        card=applied_model_card(
            bundle.name,
            bundle.version,
            bundle.card,
            {source.name: (source.kind, source.metrics) for source in own},
            issued,
        ),
        traced=trace(requirements, figures),
    )
