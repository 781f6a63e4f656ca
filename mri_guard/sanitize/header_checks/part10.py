"""Is it a DICOM file at all?"""

from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Part10:
    """Refuses what has no `DICM` behind its preamble (`not-dicom`), naming what it is instead.

    PS3.10 section 7.1.
    """

    name: str = "part10"

    def __call__(self, instance: InstanceHeader, /) -> Rejection | None:
        """Why the instance is refused, or None."""
        if instance.structure.part10:
            return None
        with instance.path.open("rb") as file:
            start = file.read(16)
        seen = next((what for magic, what in _MAGIC if start.startswith(magic)), "something else")
        return Rejection("not-dicom", f"{seen} seen; a DICOM file wanted")
