"""Finds the scans in what somebody hands over: a folder, a zip, one file."""

import logging
import re
import stat
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from pydicom import Dataset
from pydicom.uid import MediaStorageDirectoryStorage

from mri_guard.errors import InputError, LimitError, UnreadableError
from mri_guard.readers.contrast import contrast_of_name
from mri_guard.readers.headers import parse_header
from mri_guard.readers.values import text
from mri_guard.records import Contrast, Format, Source

logger = logging.getLogger(__name__)

MAX_FILES = 20_000
MAX_UNZIPPED_BYTES = 8 * 2**30
MAX_RATIO = 100
"""Unzipped over zipped bytes; native MR reaches about 6, and deflate can do 1032."""

RATIO_FREE_BYTES = 64 * 2**20
"""Below this an archive may hold any ratio: empty images compress well and cost little."""

_STRAY = re.compile(
    r"^(\..*|__MACOSX|thumbs\.db|desktop\.ini|autorun\.inf|readme.*|license.*|changes.*|.*\.("
    r"txt|md|rst|html?|css|js|xml|json|csv|tsv|ya?ml|log|bval|bvec|pdf|docx?|ini|inf))$",
    re.IGNORECASE,
)
"""Names of files that lie beside images on discs and in archives and claim to be none."""


def open_sources(path: Path, workdir: Path, contrast: Contrast | None = None) -> list[Source]:
    """The scans in a DICOM folder, a zip, one DICOM file or one NIfTI file.

    DICOM instances are grouped by Series Instance UID (0020,000E). A file that does not parse, or
    names no series, is a source of its own, so that it ends in a named quarantine rather than
    nowhere. DICOMDIR and files named as documentation are left out and counted in the log.

    Args:
        path: what was handed over.
        workdir: an existing folder that a zip is extracted into; the caller removes it.
        contrast: what the caller says the scans are; for NIfTI, None takes it from the file's name.

    Raises:
        UnreadableError: nothing there, no scan in it, or a zip that is broken or deceitful.
        LimitError: more files or bytes than allowed.
    """
    if path.is_dir():
        files = _files_below(path)
    elif not path.is_file():
        raise UnreadableError("nothing-there", "no such file or folder")
    elif _starts_with(path, b"PK\x03\x04") or _starts_with(path, b"PK\x05\x06"):
        files = _unzip(path, workdir)
    else:
        return [_single(path, contrast)]
    sources = _sort_out(files, contrast)
    if not sources:
        raise UnreadableError("no-scan", f"{len(files)} files seen, none of them DICOM or NIfTI")
    return sources


def _single(path: Path, contrast: Contrast | None) -> Source:
    if _is_nifti(path):
        return Source((path,), Format.NIFTI, contrast or contrast_of_name(path.name))
    return Source((path,), Format.DICOM, contrast)


def _sort_out(files: Iterable[Path], contrast: Contrast | None) -> list[Source]:
    series: dict[str, list[Path]] = {}
    alone: list[Source] = []
    strays = directories = 0
    for file in files:
        if _STRAY.match(file.name):
            strays += 1
        elif _is_nifti(file):
            alone.append(_single(file, contrast))
        else:
            header = _parsed(file)
            if _is_directory(header):
                directories += 1
            elif uid := text(header, "SeriesInstanceUID"):
                series.setdefault(uid, []).append(file)
            else:
                alone.append(_single(file, contrast))
    if strays or directories:
        logger.info("left out %d DICOMDIR and %d files that are no images", directories, strays)
    grouped = [Source(tuple(some), Format.DICOM, contrast) for some in series.values()]
    return grouped + alone


def _parsed(file: Path) -> Dataset | None:
    try:
        return parse_header(file)
    except InputError:
        return None


def _is_directory(header: Dataset | None) -> bool:
    meta = getattr(header, "file_meta", None)
    return text(meta, "MediaStorageSOPClassUID") == MediaStorageDirectoryStorage


def _is_nifti(path: Path) -> bool:
    return path.name.lower().endswith((".nii", ".nii.gz"))


def _starts_with(path: Path, magic: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(magic)) == magic


def _files_below(folder: Path) -> list[Path]:
    files = []
    for file in folder.rglob("*"):
        if file.is_file():
            files.append(file)
        if len(files) > MAX_FILES:
            raise LimitError("too-many-files", f"more than {MAX_FILES} files")
    return sorted(files)


def _unzip(archive: Path, workdir: Path) -> list[Path]:
    """Extracted files, under names of our own: a sender's path never reaches the file system."""
    try:
        with zipfile.ZipFile(archive) as zipped:
            entries = [entry for entry in zipped.infolist() if not entry.is_dir()]
            _judge(entries)
            folder = Path(tempfile.mkdtemp(prefix="unzipped-", dir=workdir))
            files = []
            left = MAX_UNZIPPED_BYTES
            for index, entry in enumerate(entries):
                file = folder / f"{index:06d}" / _plain_name(entry.filename)
                file.parent.mkdir()
                with zipped.open(entry) as packed, file.open("wb") as out:
                    left -= _copy(packed, out, min(entry.file_size, left))
                files.append(file)
            return files
    except (zipfile.BadZipFile, NotImplementedError, OSError, EOFError, ValueError) as failure:
        raise UnreadableError("zip-broken", type(failure).__name__) from failure


def _judge(entries: list[zipfile.ZipInfo]) -> None:
    """Refuses an archive by its directory alone, before a byte is inflated."""
    if len(entries) > MAX_FILES:
        raise LimitError("too-many-files", f"{len(entries)} files; {MAX_FILES} allowed")
    unzipped = sum(entry.file_size for entry in entries)
    zipped = max(1, sum(entry.compress_size for entry in entries))
    if unzipped > MAX_UNZIPPED_BYTES:
        raise LimitError(
            "zip-too-large", f"{unzipped / 2**30:.1f} GiB; {MAX_UNZIPPED_BYTES >> 30} allowed"
        )
    if unzipped > RATIO_FREE_BYTES and unzipped / zipped > MAX_RATIO:
        raise LimitError("zip-bomb", f"{unzipped / zipped:.0f} bytes for one; {MAX_RATIO} allowed")
    for entry in entries:
        parts = re.split(r"[/\\]", entry.filename)
        if ".." in parts or entry.filename[:1] in "/\\" or ":" in parts[0]:
            raise UnreadableError("zip-path", "an entry leads out of the archive")
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind not in (0, stat.S_IFREG):
            raise UnreadableError("zip-link", "an entry is a link or device; plain files wanted")
        if entry.flag_bits & 0x1:
            raise UnreadableError("zip-encrypted", "an entry is encrypted")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise UnreadableError("zip-method", "stored or deflated entries wanted")


def _plain_name(name: str) -> str:
    """The last part of an entry's name, of harmless letters, at most 80 of them."""
    last = re.split(r"[/\\]", name)[-1]
    return re.sub(r"[^A-Za-z0-9._-]", "_", last)[-80:] or "_"


def _copy(packed: IO[bytes], out: IO[bytes], promised: int) -> int:
    """Bytes copied; an entry that holds more than it promised is a lie."""
    copied = 0
    while block := packed.read(1 << 20):
        copied += len(block)
        if copied > promised:
            raise LimitError("zip-bomb", "an entry holds more than the archive's directory says")
        out.write(block)
    return copied
