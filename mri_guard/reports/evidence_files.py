"""Evidence files as they were given, and the schema that they are checked by."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mri_guard.errors import SettingsError, UnreadableError
from mri_guard.evaluation.evidence import Evidence

MAX_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, eq=False)
class EvidenceFile:
    """One evidence file.

    Attributes:
        name: of the file without its ending; no two of a report share it.
        content: its bytes, as they go into the report.
        evidence: what they say.
    """

    name: str
    content: bytes
    evidence: Evidence

    @property
    def sha256(self) -> str:
        """Digest of the content, hex."""
        return hashlib.sha256(self.content).hexdigest()

    @classmethod
    def of(cls, name: str, content: bytes) -> "EvidenceFile":
        """From bytes, every field checked.

        Raises:
            UnreadableError: not an evidence file, by the schema.
        """
        try:
            return cls(name, content, Evidence.model_validate_json(content))
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(map(str, first["loc"])) or "the document"
            raise UnreadableError(
                "not-evidence",
                f"{name}: {where}: {first['msg']}; {error.error_count()} such in all; wanted what "
                "`mri-guard report schema` describes",
            ) from error


def read(paths: Sequence[Path]) -> tuple[EvidenceFile, ...]:
    """Every file, by name.

    Raises:
        UnreadableError: a file cannot be read, is too large or is no evidence file.
        SettingsError: two files share a name, by which figures are told apart.
    """
    files: dict[str, EvidenceFile] = {}
    for path in paths:
        try:
            if path.stat().st_size > MAX_BYTES:
                raise UnreadableError("not-evidence", f"{path.name}: more than {MAX_BYTES} bytes")
            content = path.read_bytes()
        except OSError as error:
            raise UnreadableError("not-evidence", f"{path.name}: {error.strerror}") from error
        if path.stem in files:
            raise SettingsError(f"two evidence files are called {path.stem}; wanted names of one")
        files[path.stem] = EvidenceFile.of(path.stem, content)
    return tuple(files[name] for name in sorted(files))


def schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of an evidence file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Evidence.model_json_schema(),
    }
