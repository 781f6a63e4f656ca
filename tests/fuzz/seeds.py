"""Clean files in every syntax that we read: what mutations start from."""

import io

import numpy as np
from PIL import Image
from pydicom import Dataset, dcmwrite
from pydicom.uid import (
    JPEG2000,
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from mri_guard.evaluation.hostile.part10 import fragments
from tests.dicom_files import enhanced_mr, head, mr_slices

SHAPE = (8, 34, 36)
"""Slices, rows, columns: small, so that most of a file is structure."""

COMPRESSED = (RLELossless, JPEGLSLossless, JPEGLSNearLossless, JPEG2000Lossless, JPEG2000)
NATIVE = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian)


def seeds() -> list[tuple[bytes, bytes]]:
    """Pairs of neighbouring slices, or twice one multi-frame image, in each syntax."""
    made = [_pair(mr_slices(head(SHAPE)), syntax) for syntax in (*NATIVE, *COMPRESSED)]
    made += [_baseline(mr_slices(head(SHAPE))), _lossless(mr_slices(head(SHAPE)))]
    private = mr_slices(head(SHAPE))
    for one in private:
        block = one.private_block(0x29, "FUZZ", create=True)
        block.add_new(1, "OB", bytes(64))
        inner = Dataset()
        inner.CodeValue, inner.CodeMeaning = "1", "nested"
        one.AnatomicRegionSequence = [inner, inner]
    made.append(_pair(private, ExplicitVRLittleEndian))
    multi = _written(enhanced_mr(head(SHAPE)), ExplicitVRLittleEndian)
    return [*made, (multi, multi)]


def _pair(slices: list[Dataset], syntax: UID) -> tuple[bytes, bytes]:
    first, second = (_written(one, syntax) for one in slices[3:5])
    return first, second


def _written(image: Dataset, syntax: UID) -> bytes:
    if syntax == JPEGLSNearLossless:
        image.compress(syntax, jls_error=2, generate_instance_uid=False)
    elif syntax == JPEG2000:
        image.compress(syntax, j2k_cr=[4], generate_instance_uid=False)
    elif syntax.is_compressed:
        image.compress(syntax, generate_instance_uid=False)
    elif syntax == ExplicitVRBigEndian:
        image.PixelData = np.frombuffer(image.PixelData, dtype="<u2").astype(">u2").tobytes()
    return _file(image, syntax)


def _baseline(slices: list[Dataset]) -> tuple[bytes, bytes]:
    """Eight bits, as Pillow encodes them."""
    pair = []
    for image in slices[3:5]:
        out = io.BytesIO()
        Image.fromarray((image.pixel_array // 4).astype(np.uint8)).save(out, "JPEG")
        image.BitsAllocated, image.BitsStored, image.HighBit = 8, 8, 7
        pair.append(_framed(image, out.getvalue(), JPEGBaseline8Bit))
    return pair[0], pair[1]


def _lossless(slices: list[Dataset]) -> tuple[bytes, bytes]:
    """No encoder is at hand: the markers that a decoder wants, and some coded bytes."""
    rows, columns = SHAPE[1:]
    size = bytes([16, rows >> 8, rows & 255, columns >> 8, columns & 255, 1, 1, 0x11, 0])
    frame = b"\xff\xc3" + (2 + len(size)).to_bytes(2, "big") + size
    table = b"\xff\xc4" + (19 + 12).to_bytes(2, "big") + b"\0" + bytes([0, 1, 5, 1, 1, 1, 1, 1, 1])
    table += bytes(7) + bytes(range(12))
    scan = b"\xff\xda\x00\x08\x01\x01\x00\x01\x00\x00"
    content = b"\xff\xd8" + frame + table + scan + bytes(range(1, 200)) + b"\xff\xd9"
    first, second = (_framed(image, content, JPEGLosslessSV1) for image in slices[3:5])
    return first, second


def _framed(image: Dataset, content: bytes, syntax: UID) -> bytes:
    """A file with one fragment; pydicom ends the sequence itself."""
    image.PixelData = fragments(content + b"\0" * (len(content) % 2))[:-8]
    image["PixelData"].is_undefined_length = True
    image["PixelData"].VR = "OB"
    return _file(image, syntax)


def _file(image: Dataset, syntax: UID) -> bytes:
    image.file_meta.TransferSyntaxUID = syntax
    out = io.BytesIO()
    dcmwrite(
        out,
        image,
        implicit_vr=syntax.is_implicit_VR,
        little_endian=syntax.is_little_endian,
        enforce_file_format=True,
    )
    return out.getvalue()
