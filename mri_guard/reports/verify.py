"""How a report is checked, in numbered steps; the first that fails says what was seen."""

import hashlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import BaseModel, ValidationError

from mri_guard.errors import InputError
from mri_guard.reports.document import Report, Source
from mri_guard.reports.evidence_files import EvidenceFile
from mri_guard.reports.folder import (
    DOCUMENT,
    EVIDENCE,
    PAGE,
    PDF,
    SIGNATURE,
    STATEMENT,
    Statement,
    present,
)
from mri_guard.reports.page import anchor
from mri_guard.reports.signature import signed_by

Value = TypeVar("Value", bound=BaseModel)


NOT_VERIFIED = "not-verified"


@dataclass(frozen=True, slots=True)
class Verified:
    """What was checked.

    Attributes:
        bundle_digest: of the bundle that the report is on.
        files: how many files are as they were signed.
        figures: how many figures the evidence has, and the report too.
        pdf_signature: `valid`, or why it was not looked at.
    """

    bundle_digest: str
    files: int
    figures: int
    pdf_signature: str


def verify(folder: Path, key: Ed25519PublicKey, bundle_digest: str | None = None) -> Verified:
    """Checks a report that lies in a folder.

    Args:
        folder: of the report.
        key: of the one who should have signed it.
        bundle_digest: of the bundle that it should be on; None: of whichever it says.

    Raises:
        InputError: a file is missing, changed or not listed; the signature is another's; the
            report is on another bundle, or lacks a figure.
    """
    contents = _read(folder)
    # 1. The statement is vouched for by this key.
    for name in (STATEMENT, SIGNATURE):
        if name not in contents:
            raise InputError(NOT_VERIFIED, f"no {name}: the report is not signed")
    if not signed_by(contents[STATEMENT], contents[SIGNATURE], key):
        raise InputError(NOT_VERIFIED, "the signature is not of this statement by this key")
    statement = _parsed(Statement, contents[STATEMENT], STATEMENT)
    # 2. Every file is there, as it was signed, and no other.
    _as_signed(statement, contents)
    # 3. It is on the bundle it should be on.
    for name in (DOCUMENT, PAGE):
        if name not in contents:
            raise InputError(NOT_VERIFIED, f"the statement lists no {name}")
    said = _parsed(Report, contents[DOCUMENT], DOCUMENT)
    for digest in (statement.bundle_digest, bundle_digest or statement.bundle_digest):
        if said.bundle.digest != digest:
            raise InputError(
                NOT_VERIFIED, f"it is on bundle {said.bundle.digest[:12]}, not {digest[:12]}"
            )
    # 4. Every figure of the evidence stands in the report and on its page.
    figures = _figures(said, contents)
    # 5. The PDF carries the same key's signature.
    return Verified(
        bundle_digest=said.bundle.digest,
        files=len(statement.files) + 2,
        figures=figures,
        pdf_signature=_pdf_signature(contents.get(PDF), key),
    )


def _read(folder: Path) -> dict[str, bytes]:
    try:
        return {name: (folder / name).read_bytes() for name in sorted(present(folder))}
    except OSError as error:
        raise InputError(NOT_VERIFIED, f"a file cannot be read: {error.strerror}") from error


def _as_signed(statement: Statement, contents: dict[str, bytes]) -> None:
    for name, wanted in statement.files.items():
        if name not in contents:
            raise InputError(NOT_VERIFIED, f"{name} is missing")
        if hashlib.sha256(contents[name]).hexdigest() != wanted:
            raise InputError(NOT_VERIFIED, f"{name} has been changed")
    further = sorted(contents.keys() - statement.files.keys() - {STATEMENT, SIGNATURE})
    if further:
        raise InputError(NOT_VERIFIED, f"{further[0]} is not part of the report")


def _figures(said: Report, contents: dict[str, bytes]) -> int:
    """How many there are, each in the evidence, the document and the page."""
    names = {name for name in contents if name.startswith(EVIDENCE)}
    listed = {f"{EVIDENCE}{source.name}.json": source for source in said.sources}
    if names != listed.keys():
        odd = sorted(names ^ listed.keys())[0]
        raise InputError(NOT_VERIFIED, f"{odd} is in the evidence or in the report, not in both")
    page = contents[PAGE].decode()
    count = 0
    for name, source in listed.items():
        file = EvidenceFile.of(source.name, contents[name])
        wanted = Source.of(file, said.bundle.digest)
        for metric in wanted.metrics:
            if source.metrics.get(metric) != wanted.metrics[metric]:
                raise InputError(
                    NOT_VERIFIED, f"the report lacks {metric} of {source.name}, or changed it"
                )
            if f'id="{anchor(source.name, metric)}"' not in page:
                raise InputError(NOT_VERIFIED, f"the page lacks {metric} of {source.name}")
        if source != wanted:
            raise InputError(
                NOT_VERIFIED, f"the report says of {source.name} what the file does not"
            )
        count += len(wanted.metrics)
    return count


def _pdf_signature(pdf: bytes | None, key: Ed25519PublicKey) -> str:
    if pdf is None:
        return "there is no PDF"
    if find_spec("pyhanko") is None:
        return "not looked at: pyHanko is not installed (extra `report`)"
    from mri_guard.reports import pades  # noqa: PLC0415 - of an extra

    if not pades.signed_by(pdf, key):
        raise InputError(NOT_VERIFIED, f"{PDF} is not signed by this key over all of it")
    return "valid"


def _parsed(kind: type[Value], content: bytes, name: str) -> Value:
    try:
        value = kind.model_validate_json(content)
    except ValidationError as error:
        raise InputError(
            NOT_VERIFIED, f"{name} is not in a form that this version knows"
        ) from error
    if rfc8785.dumps(value.model_dump(mode="json")) != content:
        raise InputError(NOT_VERIFIED, f"{name} is not canonical JSON")
    return value
