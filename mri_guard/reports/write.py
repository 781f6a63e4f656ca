"""How a report is made, in numbered steps."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mri_guard.errors import SettingsError
from mri_guard.evaluation.evidence import code_version
from mri_guard.reports import evidence_files
from mri_guard.reports.described_bundle import described
from mri_guard.reports.document import Report, report
from mri_guard.reports.folder import (
    DOCUMENT,
    EVIDENCE,
    MATERIALS,
    PAGE,
    PDF,
    SIGNATURE,
    STATEMENT,
    Statement,
    fill,
)
from mri_guard.reports.materials import materials
from mri_guard.reports.page import page
from mri_guard.reports.pdf import pdf
from mri_guard.reports.signature import signature
from mri_guard.reports.traceability import requirements


@dataclass(frozen=True, slots=True)
class Written:
    """A report that was written.

    Attributes:
        report: what it says.
        files: by their place in the folder.
        skipped: what was not made, and why.
    """

    report: Report
    files: tuple[str, ...]
    skipped: tuple[str, ...]


def write_report(
    paths: Sequence[Path],
    bundle: Path,
    out: Path,
    *,
    issued: datetime.date | None = None,
    key: Ed25519PrivateKey | None = None,
    with_pdf: bool = True,
) -> Written:
    """Makes the report on a bundle.

    Args:
        paths: evidence files.
        bundle: folder of the bundle.
        out: folder to write; an earlier report in it is replaced.
        issued: day of issue; the clock is not read.
        key: signs it; None leaves it unsigned.
        with_pdf: a PDF too, where what it needs is installed.

    Raises:
        UnreadableError: a file is no evidence.
        SettingsError: none is of this bundle, two share a name, the folder holds something else, or
            a signed report is not dated.
        BundleError: the bundle is broken.
    """
    if key is not None and issued is None:
        raise SettingsError("a signed report says when it was issued; wanted a date")
    # 1. What was measured, and of what.
    files = evidence_files.read(paths)
    on = described(bundle)
    # 2. What the report says.
    said = report(on, files, requirements(), made_by=code_version(), issued=issued)
    bill = materials(on)
    # 3. The same three times: for people, for machines, for paper.
    html = page(said, files, bill)
    contents = {
        PAGE: html.encode(),
        DOCUMENT: rfc8785.dumps(said.document()),
        MATERIALS: rfc8785.dumps(bill),
        **{f"{EVIDENCE}{file.name}.json": file.content for file in files},
    }
    skipped = []
    if with_pdf:
        try:
            attached = {name: contents[name] for name in contents if name != PAGE}
            contents[PDF] = pdf(html, attached, issued)
            if key is not None and issued is not None:
                contents[PDF] = _signed(contents[PDF], key, issued)
        except SettingsError as error:
            skipped.append(f"{PDF}: {error}")
            contents.pop(PDF, None)
    # 4. What holds them together, and who vouches for it.
    statement = Statement.of(on.digest, contents).canonical()
    contents[STATEMENT] = statement
    if key is not None:
        contents[SIGNATURE] = signature(statement, key)
    fill(out, contents)
    return Written(said, tuple(sorted(contents)), tuple(skipped))


def _signed(content: bytes, key: Ed25519PrivateKey, issued: datetime.date) -> bytes:
    """The PDF, signed.

    Raises:
        SettingsError: pyHanko is not installed.
    """
    try:
        from mri_guard.reports import pades  # noqa: PLC0415 - of an extra
    except ImportError as error:
        raise SettingsError("pyHanko is not installed; wanted the extra `report`") from error
    return pades.sign(content, key, issued)
