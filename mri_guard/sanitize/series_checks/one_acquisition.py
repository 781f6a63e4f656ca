"""Were all slices acquired in the same way?"""

from collections.abc import Sequence
from dataclasses import dataclass

from mri_guard.readers.values import number, text
from mri_guard.records import InstanceHeader, Rejection

_SAME = (
    "SOPClassUID",
    "ImageType",
    "ScanningSequence",
    "SequenceVariant",
    "SequenceName",
    "ContrastBolusAgent",
    "EchoNumbers",
    "Manufacturer",
    "Rows",
    "Columns",
    "BitsStored",
    "PixelRepresentation",
)
_CLOSE = (
    "EchoTime",
    "RepetitionTime",
    "InversionTime",
    "FlipAngle",
    "MagneticFieldStrength",
    "SliceThickness",
)


@dataclass(frozen=True, slots=True)
class OneAcquisition:
    """Refuses slices of several acquisitions shuffled into one stack (`acquisition-mixed`).

    Image Type, sequence, contrast agent, echo number, maker, matrix and bits: one value each;
    timing, flip angle, field strength and slice thickness within `tolerance` of each other, since
    scanners trim them slice by slice. Of Image Type the first three values count: some makers write
    the slice group behind them. Echoes that lie at one place are `several-volumes` of the slice
    stack. What no instance says is not judged.
    """

    tolerance: float = 0.05
    name: str = "one_acquisition"

    def __call__(self, instances: Sequence[InstanceHeader], /) -> Rejection | None:
        """Why the series is refused, or None."""
        for keyword in _SAME:
            words = {
                "\\".join(text(instance.dataset, keyword).split("\\")[:3]).upper()
                for instance in instances
            }
            if len(words) > 1:
                return Rejection(
                    "acquisition-mixed", f"{len(words)} values of {keyword} seen; one wanted"
                )
        for keyword in _CLOSE:
            seen = [number(instance.dataset, keyword) for instance in instances]
            values = [value for value in seen if value is not None]
            if len(values) not in (0, len(seen)):
                return Rejection(
                    "acquisition-mixed",
                    f"{keyword} in {len(values)} of {len(seen)} instances; all or none wanted",
                )
            if values and max(values) - min(values) > self.tolerance * max(map(abs, values)):
                return Rejection(
                    "acquisition-mixed",
                    f"{keyword} from {min(values):g} to {max(values):g}; {self.tolerance:.0%} of "
                    "difference allowed",
                )
        return None
