"""What one DICOM file says before its pixels, in pure Python: no codec, nothing inflated."""

import hashlib
import io
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, BinaryIO, cast

from pydicom import Dataset, dcmread
from pydicom.filereader import read_file_meta_info, read_partial
from pydicom.tag import BaseTag

from mri_guard.errors import LimitError, UnreadableError
from mri_guard.readers.repairs import open_repaired, repaired
from mri_guard.readers.structure import walk
from mri_guard.readers.values import quietly, text
from mri_guard.records import InstanceHeader
from mri_guard.records.structure import UNDEFINED

PIXEL_DATA = 0x7FE00010
PIXEL_TAGS = (0x7FE00008, 0x7FE00009, PIXEL_DATA)
"""Float, Double Float and Pixel Data (7FE0,0008), (7FE0,0009), (7FE0,0010)."""

MAX_HEADER_BYTES = 32 * 2**20
MAX_HEADER_READS = 400_000
MAX_IN_MEMORY_BYTES = 64 * 2**20
"""Larger files are mapped: read once into the page cache, not into this process."""


def read_header(path: Path) -> InstanceHeader:
    """The file's digest and everything before its pixels; never raises on bad bytes.

    Bytes that do not parse give `dataset=None` and the class of the error. A deflated file gives
    its file meta alone, since reading more would inflate it. What a repair has added is read as if
    it stood in the file; the digest and the size are of the file as it came.

    Raises:
        OSError: the file cannot be opened.
    """
    with path.open("rb") as file, _content(file) as original:
        digest, size = hashlib.sha256(original).hexdigest(), len(original)
        content, repair = repaired(original) if isinstance(original, bytes) else (original, "")
        structure, length = walk(content), len(content)
        pixels = _Pixels()
        try:
            dataset: Dataset | None = _parse(_stream(content), path, pixels)
            error = ""
        except Exception as failure:  # noqa: BLE001 - a parser of hostile bytes raises anything
            dataset, error = None, type(failure).__name__
    held = None if pixels.length is None else max(0, length - pixels.offset)
    encapsulated = pixels.length == UNDEFINED
    if held is not None and pixels.length is not None and not encapsulated:
        held = min(held, pixels.length)
    return InstanceHeader(path, size, digest, dataset, held, encapsulated, error, structure, repair)


def parse_header(path: Path) -> Dataset:
    """Everything before the pixels, without the digest.

    Raises:
        UnreadableError: the bytes do not parse.
        LimitError: the header is longer or more finely divided than any scanner's.
    """
    with open_repaired(path) as file:
        return _parsed(file, path, _Pixels())


def parse_file(path: Path, allowed: Collection[str]) -> Dataset:
    """The whole data set, read once where its pixels lie there as they are.

    Raises:
        UnreadableError: the bytes do not parse, or `transfer-syntax`: another one than allowed.
        LimitError: the header is longer or more finely divided than any scanner's.
    """
    pixels = _Pixels()
    with open_repaired(path) as file:
        dataset = _parsed(file, path, pixels)
        syntax = text(getattr(dataset, "file_meta", None), "TransferSyntaxUID")
        if syntax not in allowed:
            raise UnreadableError("transfer-syntax", "not one whose pixels are decoded")
        if pixels.tag == PIXEL_DATA and pixels.length not in (None, UNDEFINED):
            file.seek(pixels.offset)
            dataset.add_new(PIXEL_DATA, pixels.vr or "OW", file.read(pixels.length))
            return dataset
        file.seek(0)
        with quietly():
            try:
                return dcmread(file)
            except Exception as failure:
                raise UnreadableError("does-not-parse", type(failure).__name__) from failure


def _parsed(file: BinaryIO, path: Path, pixels: "_Pixels") -> Dataset:
    """As `parse_header`, which names the errors; notes where the pixels lie."""
    try:
        return _parse(file, path, pixels)
    except LimitError:
        raise
    except Exception as failure:
        raise UnreadableError("does-not-parse", type(failure).__name__) from failure


def has_part10_prefix(start: bytes) -> bool:
    """Whether a file's first bytes hold `DICM` behind the preamble (PS3.10 section 7.1)."""
    return start[128:132] == b"DICM"


@contextmanager
def _content(file: BinaryIO) -> Iterator[bytes | mmap]:
    """The whole file, read once for the digest, the walk and the parser together."""
    if os.fstat(file.fileno()).st_size <= MAX_IN_MEMORY_BYTES:
        yield file.read()
        return
    with mmap(file.fileno(), 0, access=ACCESS_READ) as mapped:
        yield mapped


def _stream(content: bytes | mmap) -> BinaryIO:
    """The content as the parser reads it."""
    return io.BytesIO(content) if isinstance(content, bytes) else cast(BinaryIO, content)


class _InflatesError(Exception):
    """The parser asked for the rest of the file, as it does only to inflate it."""


class _Pixels:
    """Where the pixels start and how long they claim to be, noted as the parser stops there."""

    def __init__(self) -> None:
        self.tag = 0
        self.vr: str | None = None
        self.length: int | None = None
        self.offset = 0


class _Bounded:
    """A file that refuses to be read on and on.

    A header of millions of empty items costs a parser gigabytes and minutes; no scanner writes one.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._bytes = 0
        self._reads = 0
        self.seek = file.seek
        self.tell = file.tell

    def read(self, size: int = -1) -> bytes:
        """As a file does, within the limits."""
        if size < 0:
            raise _InflatesError
        data = self._file.read(min(size, MAX_HEADER_BYTES + 1))
        self._bytes += len(data)
        self._reads += 1
        if self._bytes > MAX_HEADER_BYTES or self._reads > MAX_HEADER_READS:
            raise LimitError(
                "header-too-long",
                f"more than {MAX_HEADER_BYTES >> 20} MiB or {MAX_HEADER_READS} reads before pixels",
            )
        return data

    def close(self) -> None:
        """Nothing: whoever opened the file closes it."""


def _parse(file: BinaryIO, path: Path, pixels: _Pixels) -> Dataset:
    bounded = _Bounded(file)

    def at_pixels(tag: BaseTag, vr: str | None, length: int) -> bool:
        if int(tag) not in PIXEL_TAGS:  # as plain numbers: three times faster than as tags
            return False
        pixels.tag, pixels.vr, pixels.length, pixels.offset = tag, vr, length, bounded.tell()
        return True

    with quietly():
        try:
            return read_partial(cast(Any, bounded), stop_when=at_pixels)
        except _InflatesError:
            meta_alone = Dataset()
            meta_alone.file_meta = read_file_meta_info(path)
            return meta_alone
