"""Is it a DICOM file and nothing else besides?"""

import re
from dataclasses import dataclass
from struct import Struct

from mri_guard.records import InstanceHeader, Rejection, Structure

_STARTS = (
    (b"MZ", "a Windows program"),
    (b"\x7fELF", "an ELF program"),
    (b"\xfe\xed\xfa\xce", "a Mach-O program"),
    (b"\xfe\xed\xfa\xcf", "a Mach-O program"),
    (b"\xce\xfa\xed\xfe", "a Mach-O program"),
    (b"\xcf\xfa\xed\xfe", "a Mach-O program"),
    (b"\xca\xfe\xba\xbe", "a fat Mach-O program or a Java class"),
    (b"\xca\xfe\xba\xbf", "a fat Mach-O program"),
    (b"\0asm", "a WebAssembly program"),
    (b"#!", "a script"),
    (b"@echo", "a batch script"),
    (b"PK", "a zip archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a zstandard archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"MSCF", "a cabinet archive"),
    (b"\xd0\xcf\x11\xe0", "an Office document"),
    (b"{\\rtf", "an RTF document"),
    (b"%PDF", "a PDF document"),
    (b"%!PS", "a PostScript document"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"\x89PNG", "a PNG picture"),
    (b"GIF8", "a GIF picture"),
)
_MARKUP = re.compile(rb"[\s\xef\xbb\xbf]*<[!?a-z]", re.IGNORECASE)
_PDF_WITHIN = 1024
"""Readers accept a PDF header anywhere in the first 1024 bytes (ISO 32000, implementation note)."""

_TAR_MARK, _TAR_AT = b"ustar", 257
_TIFF = {b"II*\0": "<", b"MM\0*": ">", b"II+\0": None, b"MM\0+": None}
_TIFF_HEADER_BYTES = 8
_STRIPS, _TILES, _SHORT = 273, 324, 3


@dataclass(frozen=True, slots=True)
class Preamble:
    """Refuses a file that is something besides DICOM: opened as such, it would run or show that.

    `preamble-not-empty`: the first bytes make it a program, script, archive or document as well.
    `archive-at-end`: its last bytes are a zip archive's directory, which archivers look for from
    the end. A TIFF header in the preamble is what the preamble is for (PS3.10 section 7.1), and
    passes as long as its one strip is the Pixel Data, or its directory lies beyond the end as in
    shortened files; another picture than ours is refused. Other bytes in a preamble do nothing, and
    pass: some writers leave their buffers there, and nothing of ours reads them.
    """

    name: str = "preamble"

    def __call__(self, instance: InstanceHeader, /) -> Rejection | None:
        """Why the instance is refused, or None."""
        structure = instance.structure
        if structure.archive_at_end:
            return Rejection("archive-at-end", "a DICOM file that ends as a zip archive")
        if seen := _besides(structure, instance.size_bytes):
            return Rejection("preamble-not-empty", f"a DICOM file that is also {seen}")
        return None


def _besides(structure: Structure, size: int) -> str:
    head = structure.head
    if head.find(b"%PDF-", 0, _PDF_WITHIN) >= 0:
        return "a PDF document"
    if head.startswith(_TAR_MARK, _TAR_AT):
        return "a tar archive"
    if head.startswith(b"\0" * 128):
        return ""
    if _MARKUP.match(head, 0, 128):
        return "HTML or XML"
    if head[:4] in _TIFF:
        return "" if _shows_our_pixels(structure, size) else "a TIFF picture of its own"
    return next((what for magic, what in _STARTS if head.startswith(magic)), "")


def _shows_our_pixels(structure: Structure, size: int) -> bool:
    """Whether there is no image directory, or one that points into Pixel Data (TIFF 6.0).

    Writers put the directory into the header or into the padding behind the pixels. BigTIFF is
    younger than any scanner that wrote such files.
    """
    order = _TIFF[structure.head[:4]]
    if order is None or structure.pixels is None:
        return False
    short, long, entry = (Struct(f"{order}{form}") for form in ("H", "I", "HHI4s"))
    (at,) = long.unpack_from(structure.head, 4)
    if not _TIFF_HEADER_BYTES <= at < size:
        return True
    start = size - len(structure.tail)
    held, at = (structure.tail, at - start) if at >= start else (structure.head, at)
    if at + short.size > len(held):
        return False
    (count,) = short.unpack_from(held, at)
    last = min(at + 2 + entry.size * count, len(held) - entry.size + 1)
    for place in range(at + 2, last, entry.size):
        tag, kind, values, where = entry.unpack_from(held, place)
        if tag in (_STRIPS, _TILES) and values == 1:
            (first,) = (short if kind == _SHORT else long).unpack_from(where)
            return bool(structure.pixels.offset <= first < start)
    return False
