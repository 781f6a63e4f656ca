"""Are the pixels encoded in a way we decode?"""

from dataclasses import dataclass

from mri_guard.readers.transfer_syntaxes import ALLOWED, COMPRESSED
from mri_guard.readers.values import text, uid_name
from mri_guard.records import InstanceHeader, Rejection


@dataclass(frozen=True, slots=True)
class TransferSyntax:
    """Refuses Transfer Syntax UID (0002,0010) outside the list (`transfer-syntax`).

    A missing one is `transfer-syntax-missing`; pixels in fragments under a native syntax, or the
    reverse, are `transfer-syntax-contradicted`.
    """

    allowed: frozenset[str] = ALLOWED
    name: str = "transfer_syntax"

    def __call__(self, instance: InstanceHeader, /) -> Rejection | None:
        """Why the instance is refused, or None."""
        meta = getattr(instance.dataset, "file_meta", None)
        syntax = text(meta, "TransferSyntaxUID")
        if not syntax:
            return Rejection("transfer-syntax-missing", "no Transfer Syntax UID in the file meta")
        name = uid_name(meta, "TransferSyntaxUID")
        if syntax not in self.allowed:
            return Rejection("transfer-syntax", f"{name} is not on the list")
        if instance.pixel_bytes is not None and instance.encapsulated != (syntax in COMPRESSED):
            seen = "" if instance.encapsulated else "not "
            return Rejection(
                "transfer-syntax-contradicted", f"{name} named, pixels {seen}in fragments"
            )
        return None
