"""Is it a DICOM file at all, and nothing else besides?"""

from dataclasses import dataclass

from mri_guard.readers.headers import has_part10_prefix
from mri_guard.records import InstanceHeader, Rejection

_MAGIC = (
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"\x89PNG", "a PNG picture"),
    (b"GIF8", "a GIF picture"),
    (b"BM", "a BMP picture"),
    (b"%PDF", "a PDF document"),
    (b"\x7fELF", "an ELF program"),
    (b"MZ", "a Windows program"),
    (b"#!", "a script"),
    (b"PK\x03\x04", "a zip archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"<", "HTML or XML"),
    (b"{", "JSON"),
    (b"\x0dNUMARIS", "an old Siemens file"),
    (b"ANALYZE", "an Analyze file"),
    (b"II*\x00", "a TIFF picture"),
    (b"MM\x00*", "a TIFF picture"),
)
_TIFF = (b"II*\x00", b"MM\x00*")
"""A TIFF header in the preamble is what the preamble is for (PS3.10 section 7.1)."""


@dataclass(frozen=True, slots=True)
class Part10:
    """Refuses what has no `DICM` behind its preamble (`not-dicom`), naming what it is instead.

    Also refuses a DICOM file whose preamble makes it a program or document too
    (`preamble-not-empty`): opened as such, it would run.
    """

    name: str = "part10"

    def __call__(self, instance: InstanceHeader, /) -> Rejection | None:
        """Why the instance is refused, or None."""
        with instance.path.open("rb") as file:
            start = file.read(132)
        seen = next((what for magic, what in _MAGIC if start.startswith(magic)), None)
        if not has_part10_prefix(start):
            return Rejection("not-dicom", f"{seen or 'something else'} seen; a DICOM file wanted")
        if seen and not start.startswith(_TIFF):
            return Rejection("preamble-not-empty", f"a DICOM file that is also {seen}")
        return None
