"""Is it an image that a scanner reconstructed, and not a picture of one?"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mri_guard.readers.contrast import NOT_WEIGHTED
from mri_guard.records import InstanceHeader, Rejection

_IMAGE_TYPE, _FRAME_TYPE, _CONVERSION_TYPE = 0x00080008, 0x00089007, 0x00080064
_PICTURE = re.compile(
    r"SCREEN ?(SAVE|SHOT|CAPTURE)?|SECONDARY ?CAPTURE|CAPTURE|SNAPSHOT|SAVE|PRINT|REPORT|GRAPH\w*|"
    r"CSA ?(REPORT|MPR|3D|RESULT|BLACK IMAGE|AVERAGE)|PASTED|FUSED|OVERLAY|COLOR|RGB|VRT|SSD|"
    r"THICK ?(MPR|MIP)?|REFORMATTED|RFMT|VOLUME RENDER\w*|SCANNED( DOCUMENT)?|STATISTICS?|"
    r"SEGMENT\w*"
)
"""Values 3 and on of Image Type that say somebody took a picture of images, or drew one."""

_MAX_BYTES = 1024
_CAPTURED = frozenset({"DV", "DF", "SD", "SI", "DRW", "WSD"})
"""Conversion Type (0008,0064): from video, film, paper or a screen."""


@dataclass(frozen=True, slots=True)
class ImageType:
    """Refuses images that are not the scanner's own weighted images (`image-type`).

    Image Type (0008,0008) and Frame Type (0008,9007), values 3 and on, at any depth: screenshots,
    reports, renderings, projections and reformats, parametric maps, phase, real and imaginary
    parts, fat and water. And Conversion Type (0008,0064): digitised film, video, paper or screen.
    DERIVED and SECONDARY themselves pass: filtered, defaced and converted images are both, and
    still are what was acquired. Many slices tiled into one image are a `mosaic`.
    """

    name: str = "image_type"

    def __call__(self, instance: InstanceHeader, /) -> Rejection | None:
        """Why the instance is refused, or None."""
        structure = instance.structure
        for element in structure.elements:
            if element.tag not in (_IMAGE_TYPE, _FRAME_TYPE, _CONVERSION_TYPE):
                continue
            if element.length > _MAX_BYTES:
                return Rejection("image-type", f"{element.length} bytes of it; {_MAX_BYTES} read")
            written = structure.value(element).decode("latin1").strip("\0 ").upper()
            values = [value.strip() for value in written.split("\\")]
            if element.tag == _CONVERSION_TYPE:
                if values[0] in _CAPTURED:
                    return Rejection("image-type", "a digitised or captured picture seen")
            elif rejection := _judge(values):
                return rejection
        return None


def _judge(values: Sequence[str]) -> Rejection | None:
    if "MOSAIC" in values:
        return Rejection("mosaic", "many slices tiled into one image; one image a slice wanted")
    if any(map(_PICTURE.fullmatch, values[2:])):
        return Rejection("image-type", "a picture of images seen; images wanted")
    if any(map(NOT_WEIGHTED.fullmatch, values[2:])):
        return Rejection("image-type", "a map or a part seen; weighted images wanted")
    return None
