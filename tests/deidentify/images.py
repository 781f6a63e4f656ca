"""Images in each transfer syntax, with markers where a codestream has room for them."""

import io

import numpy as np
from PIL import Image
from pydicom import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    UID,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from tests.deidentify.markers import Markers
from tests.dicom_files import head, mr_slices

CODESTREAMS: dict[str, UID] = {
    "RLE": RLELossless,
    "JPEG": JPEGBaseline8Bit,
    "JPEG-LS": JPEGLSLossless,
    "JPEG 2000": JPEG2000Lossless,
}


def one_slice(bits: int = 16) -> Dataset:
    """A slice with texture, of 8 or 16 bits."""
    image = head((8, 64, 72))[4:5]
    made = mr_slices((image // 4).clip(0, 255).astype(np.uint8) if bits == 8 else image)[0]
    made["PixelData"].VR = "OB" if bits == 8 else "OW"
    return made


def compressed(syntax: UID) -> Dataset:
    """The slice in fragments; lossless but for JPEG, which is of 8 bits."""
    if syntax != JPEGBaseline8Bit:
        made = one_slice()
        made.compress(syntax, generate_instance_uid=False)
        return made
    made = one_slice(8)
    out = io.BytesIO()
    Image.fromarray(made.pixel_array).save(out, "JPEG", quality=90)
    made.file_meta.TransferSyntaxUID = syntax
    made.PixelData = encapsulate([out.getvalue()])
    made["PixelData"].VR = "OB"
    made["PixelData"].is_undefined_length = True
    return made


def plant_in_codestream(dataset: Dataset, markers: Markers) -> None:
    """Adds comments, application segments and bytes behind the end, which decoders skip."""
    syntax = dataset.file_meta.TransferSyntaxUID
    (frame,) = generate_frames(dataset.PixelData, number_of_frames=1)
    if syntax == RLELossless:
        frame = _in_rle(frame, markers)
    elif syntax == JPEG2000Lossless:
        frame = _in_jpeg_2000(frame, markers)
    else:
        frame = _in_jpeg(frame, markers)
    dataset.PixelData = encapsulate([frame])
    dataset["PixelData"].is_undefined_length = True


def _in_rle(frame: bytes, markers: Markers) -> bytes:
    """Between header and first segment, where the offsets jump over it (PS3.5 annex G)."""
    between = markers.text("between RLE segments").encode()
    numbers = np.frombuffer(frame[:64], "<u4").copy()
    numbers[1 : 1 + numbers[0]] += len(between)
    return numbers.tobytes() + between + frame[64:]


def _in_jpeg(frame: bytes, markers: Markers) -> bytes:
    comment = _segment(b"\xff\xfe", markers.text("JPEG comment").encode())
    applications = b"".join(
        _segment(bytes((0xFF, 0xE0 + n)), markers.text(f"JPEG APP{n}").encode()) for n in range(16)
    )
    end = frame.rindex(b"\xff\xd9") + 2
    behind = markers.text("behind JPEG").encode()
    return frame[:2] + comment + applications + frame[2:end] + behind


def _in_jpeg_2000(frame: bytes, markers: Markers) -> bytes:
    tile = frame.index(b"\xff\x90")
    data = frame.index(b"\xff\x93", tile)
    main = _segment(b"\xff\x64", b"\0\1" + markers.text("JPEG 2000 main comment").encode())
    part = _segment(b"\xff\x64", b"\0\1" + markers.text("JPEG 2000 tile comment").encode())
    length = int.from_bytes(frame[tile + 6 : tile + 10])
    grown = (length + len(part) if length else 0).to_bytes(4)
    end = frame.rindex(b"\xff\xd9") + 2
    head_ = frame[:tile] + main + frame[tile : tile + 6] + grown + frame[tile + 10 : data]
    return head_ + part + frame[data:end] + markers.text("behind JPEG 2000").encode()


def _segment(marker: bytes, body: bytes) -> bytes:
    return marker + (len(body) + 2).to_bytes(2) + body
