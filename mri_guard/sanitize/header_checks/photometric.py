"""Are the pixels grey values of a known width?"""

from dataclasses import dataclass

from mri_guard.readers.values import integer, text
from mri_guard.records import InstanceHeader, Rejection


@dataclass(frozen=True, slots=True)
class Photometric:
    """Refuses colour and inverted grey (`photometric`) and odd bit layouts (`bits`).

    Wanted: Photometric Interpretation (0028,0004) MONOCHROME2, Samples per Pixel (0028,0002) 1,
    Bits Allocated (0028,0100) 8 or 16, Bits Stored (0028,0101) at most that, High Bit (0028,0102)
    one below, Pixel Representation (0028,0103) 0 or 1. Pixel Padding Value (0028,0120) is let
    through: padding is read as the value it has, and the voxel checks see what that does.
    """

    name: str = "photometric"

    def __call__(self, instance: InstanceHeader, /) -> Rejection | None:
        """Why the instance is refused, or None."""
        header = instance.dataset
        samples = integer(header, "SamplesPerPixel")
        if text(header, "PhotometricInterpretation") != "MONOCHROME2" or samples != 1:
            return Rejection(
                "photometric", f"MONOCHROME2 with 1 sample wanted; {samples} samples seen"
            )
        allocated = integer(header, "BitsAllocated")
        stored = integer(header, "BitsStored")
        high = integer(header, "HighBit")
        sign = integer(header, "PixelRepresentation")
        if (
            allocated not in (8, 16)
            or stored is None
            or not 1 <= stored <= allocated
            or high != stored - 1
            or sign not in (0, 1)
        ):
            return Rejection(
                "bits",
                f"allocated {allocated}, stored {stored}, high {high}, sign {sign}; "
                "8 or 16 allocated, stored in the low bits wanted",
            )
        return None
