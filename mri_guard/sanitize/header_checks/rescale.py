"""Can stored values be turned into the scanner's?"""

import math
from dataclasses import dataclass

from mri_guard.records import InstanceHeader, Rejection

_INTERCEPT, _SLOPE, _MODALITY_LUT = 0x00281052, 0x00281053, 0x00283000
_MAX_BYTES = 64
_LARGEST = 1e30
"""So that a stored value times the slope stays a float32."""


@dataclass(frozen=True, slots=True)
class Rescale:
    """Refuses a rescale that is no line, or turns the image over (`rescale`).

    Rescale Slope and Intercept (0028,1053/1052), in the data set or in a frame's Pixel Value
    Transformation: one finite number each, the slope above 0. A Modality LUT (0028,3000) is refused
    too, since we would not apply it. Empty or absent is a slope of 1 and an intercept of 0; Real
    World Value Mapping is not read.
    """

    name: str = "rescale"

    def __call__(self, instance: InstanceHeader, /) -> Rejection | None:
        """Why the instance is refused, or None."""
        structure = instance.structure
        for element in structure.elements:
            if element.tag == _MODALITY_LUT:
                return Rejection("rescale", "a Modality LUT seen; a slope and an intercept wanted")
            if element.tag not in (_INTERCEPT, _SLOPE):
                continue
            number = _number(structure.value(element))
            if not abs(number) <= _LARGEST or (element.tag == _SLOPE and number <= 0):
                what = "Slope above 0" if element.tag == _SLOPE else "Intercept"
                return Rejection("rescale", f"one finite Rescale {what} wanted")
        return None


def _number(written: bytes) -> float:
    plain = written.strip(b"\0 ")
    if len(plain) > _MAX_BYTES:
        return math.nan
    try:
        return float(plain) if plain else 1.0
    except ValueError:
        return math.nan
