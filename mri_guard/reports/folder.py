"""The folder that a report is: names of its files, and the statement that holds them together.

report.html           the page
report.pdf            the same for paper and archives, PDF/A-3, evidence embedded; may be missing
report.json           the same for machines, canonical JSON
materials.cdx.json    bill of materials, CycloneDX
evidence/NAME.json    the evidence files, byte for byte
statement.json        bundle and SHA-256 of each of the files above, canonical JSON
signature.json        Ed25519 signature of the statement; missing where the report is not signed
"""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import rfc8785
from pydantic import ValidationError

from mri_guard.errors import SettingsError
from mri_guard.records import Record

PAGE, PDF, DOCUMENT, MATERIALS = "report.html", "report.pdf", "report.json", "materials.cdx.json"
EVIDENCE = "evidence/"
STATEMENT, SIGNATURE = "statement.json", "signature.json"


class Statement(Record):
    """`statement.json`.

    Attributes:
        format: of this document.
        bundle_digest: of the bundle that is reported on.
        files: SHA-256 of each file, hex, by its place in the folder.
    """

    format: Literal["mri-guard-report-statement-1"] = "mri-guard-report-statement-1"
    bundle_digest: str
    files: dict[str, str]

    @classmethod
    def of(cls, bundle_digest: str, contents: Mapping[str, bytes]) -> "Statement":
        """For these files."""
        files = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
        return cls(bundle_digest=bundle_digest, files=files)

    def canonical(self) -> bytes:
        """What is signed (RFC 8785)."""
        return rfc8785.dumps(self.model_dump(mode="json"))


def present(folder: Path) -> set[str]:
    """Every file below the folder, links included, by its place in it."""
    return {
        (Path(root) / name).relative_to(folder).as_posix()
        for root, _, names in os.walk(folder)
        for name in names
    }


def fill(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Writes the files, in the place of an earlier report.

    Raises:
        SettingsError: the folder holds what is no report's, or cannot be written.
    """
    before = present(folder)
    strange = sorted(before - _listed(folder))
    if strange:
        raise SettingsError(
            f"{folder} holds {strange[0]} and {len(strange) - 1} more that are no report's; wanted "
            "a new folder, or one with a report"
        )
    try:
        for name in before - contents.keys():
            (folder / name).unlink()
        for name, content in contents.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
    except OSError as error:
        raise SettingsError(f"cannot write the report: {error.strerror}") from error


def _listed(folder: Path) -> set[str]:
    """The files of the report that lies there, by its own statement; none where there is none."""
    try:
        statement = Statement.model_validate_json((folder / STATEMENT).read_bytes())
    except (OSError, ValidationError):
        return set()
    return {*statement.files, STATEMENT, SIGNATURE}
