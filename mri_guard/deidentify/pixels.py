"""The pixels again, and nothing that may lie between, behind or above them."""

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.encoders.base import get_encoder
from pydicom.uid import (
    JPEG2000,
    UID,
    ExplicitVRBigEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from mri_guard.deidentify.codestreams import bare_jpeg, bare_jpeg_2000, bare_jpeg_ls
from mri_guard.errors import InputError, UnreadableError
from mri_guard.readers.transfer_syntaxes import NATIVE
from mri_guard.readers.values import integer, quietly, text, value

_JPEG_2000 = frozenset({JPEG2000, JPEG2000Lossless})
_JPEG_LS = frozenset({JPEGLSLossless, JPEGLSNearLossless})


def set_pixels(source: Dataset, made: Dataset, syntax: UID) -> None:
    """Gives a rewritten dataset the source's pixels, in the same transfer syntax.

    Native: as many bytes as the header's arithmetic asks for; bits above Bits Stored, where old
    scanners kept overlays, are made to follow from those below. RLE is decoded and encoded anew.
    JPEG and JPEG 2000 lose what is no image: comments, application segments, bytes behind the end.

    Raises:
        UnreadableError: `photometric`, `bits`, `matrix-not-sane`, `pixel-data-missing`,
            `pixel-data-short`, `frame-count`, `pixels-do-not-decode`, `codestream`.
    """
    layout = _Layout(source, big_endian=syntax == ExplicitVRBigEndian)
    with quietly():
        try:
            data = value_of_pixels(source)
            made.PixelData = (
                layout.native(data) if syntax in NATIVE else _encapsulated(source, syntax, layout)
            )
        except (InputError, MemoryError):
            raise
        except Exception as failure:
            raise UnreadableError("pixels-do-not-decode", type(failure).__name__) from failure
    element = made["PixelData"]
    element.VR = "OB" if syntax not in NATIVE or layout.allocated == 8 else "OW"
    element.is_undefined_length = syntax not in NATIVE


def value_of_pixels(source: Dataset) -> bytes:
    """The bytes of Pixel Data (7FE0,0010).

    Raises:
        UnreadableError: `pixel-data-missing`.
    """
    data = source.get("PixelData")
    if not isinstance(data, bytes) or not data:
        raise UnreadableError("pixel-data-missing", "no Pixel Data (7FE0,0010)")
    return data


class _Layout:
    """How the header says that the pixels lie."""

    def __init__(self, source: Dataset, *, big_endian: bool) -> None:
        photometric = text(source, "PhotometricInterpretation")
        samples = integer(source, "SamplesPerPixel")
        if photometric not in {"MONOCHROME1", "MONOCHROME2"} or samples != 1:
            raise UnreadableError("photometric", f"grey wanted; {samples} samples seen")
        rows, columns = integer(source, "Rows"), integer(source, "Columns")
        allocated, stored = integer(source, "BitsAllocated"), integer(source, "BitsStored")
        high, sign = integer(source, "HighBit"), integer(source, "PixelRepresentation")
        if (
            allocated not in (8, 16)
            or stored is None
            or not 1 <= stored <= allocated
            or high != stored - 1
            or sign not in (0, 1)
        ):
            raise UnreadableError(
                "bits", f"allocated {allocated}, stored {stored}, high {high}, sign {sign}"
            )
        frames = integer(source, "NumberOfFrames") if "NumberOfFrames" in source else 1
        if not rows or not columns or not frames or min(rows, columns, frames) < 1:
            raise UnreadableError("matrix-not-sane", f"{frames} x {rows} x {columns}")
        self.frames, self.rows, self.columns = frames, rows, columns
        self.allocated, self.stored, self.signed = allocated, stored, bool(sign)
        order = ">" if big_endian and allocated == 16 else "<"
        self.dtype = np.dtype(f"{order}{'i' if sign else 'u'}{allocated // 8}")

    def native(self, data: bytes) -> bytes:
        """The bytes of all frames, of an even number, with the upper bits made to follow."""
        count = self.frames * self.rows * self.columns
        wanted = count * self.dtype.itemsize
        if len(data) < wanted:
            raise UnreadableError("pixel-data-short", f"{len(data)} bytes seen, {wanted} wanted")
        pixels = self.tidy(np.frombuffer(data, self.dtype, count))
        return pixels.tobytes() + b"\0" * (wanted % 2)

    def tidy(self, pixels: NDArray[np.integer]) -> NDArray[np.integer]:
        """The pixels with the bits above Bits Stored equal to 0, or to the sign."""
        spare = self.allocated - self.stored
        if not spare:
            return pixels
        return (pixels << spare >> spare).astype(self.dtype)


def _encapsulated(source: Dataset, syntax: UID, layout: _Layout) -> bytes:
    if syntax == RLELossless:
        return encapsulate(_rle_frames(source, layout))
    strip = (
        bare_jpeg_2000
        if syntax in _JPEG_2000
        else bare_jpeg_ls
        if syntax in _JPEG_LS
        else bare_jpeg
    )
    offsets = _extended_offsets(source)
    frames = generate_frames(
        source.PixelData, number_of_frames=layout.frames, extended_offsets=offsets
    )
    stripped = [strip(frame) for frame in frames]
    if len(stripped) != layout.frames:
        raise UnreadableError(
            "frame-count", f"{layout.frames} frames declared, {len(stripped)} seen"
        )
    return encapsulate(stripped)


def _extended_offsets(source: Dataset) -> tuple[bytes, bytes] | None:
    offsets, lengths = (
        value(source, "ExtendedOffsetTable"),
        value(source, "ExtendedOffsetTableLengths"),
    )
    return (offsets, lengths) if isinstance(offsets, bytes) and isinstance(lengths, bytes) else None


def _rle_frames(source: Dataset, layout: _Layout) -> list[bytes]:
    """Decoded and encoded in pure Python: bytes between the segments do not come along."""
    decoder, encoder = get_decoder(RLELossless), get_encoder(RLELossless)
    found = decoder.as_array(source, raw=True, decoding_plugin="pydicom")[0]
    pixels = layout.tidy(found.reshape(layout.frames, layout.rows, layout.columns))
    return [
        encoder.encode(
            frame,
            encoding_plugin="pydicom",
            rows=layout.rows,
            columns=layout.columns,
            samples_per_pixel=1,
            number_of_frames=1,
            bits_allocated=layout.allocated,
            bits_stored=layout.stored,
            pixel_representation=int(layout.signed),
            photometric_interpretation="MONOCHROME2",
        )
        for frame in pixels
    ]
