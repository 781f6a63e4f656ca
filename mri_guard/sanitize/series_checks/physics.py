"""Could a scanner for people have made this?"""

from collections.abc import Sequence
from dataclasses import dataclass

from mri_guard.readers.contrast import functional_group, timing_of
from mri_guard.readers.values import number, text
from mri_guard.records import InstanceHeader, Rejection

PROTON_MHZ_PER_TESLA = 42.577
"""Gyromagnetic ratio of the proton over 2 pi (CODATA 2018)."""

_RANGES = {
    "MagneticFieldStrength": (0.01, 12.0, "T"),
    "SliceThickness": (0.1, 30.0, "mm"),
    "FlipAngle": (0.1, 360.0, "degrees"),
    "EchoTrainLength": (0.0, 2000.0, "echoes"),
    "NumberOfAverages": (0.0, 1000.0, "averages"),
}
_TIMES = (("RepetitionTime", 1e5), ("EchoTime", 5e3), ("InversionTime", 2e4))


@dataclass(frozen=True, slots=True)
class Physics:
    """Refuses values that no scanner for people can have been set to (`physics-not-plausible`).

    Field strength, flip angle, thickness, echo train, repetition, echo and inversion time within
    wide ranges; the echo before the next repetition; the imaging frequency within 5 % of the
    proton's at that field, where protons are imaged. Absent values, and zeros, which many scanners
    write for "not used", are not judged.
    """

    tolerance: float = 0.05
    name: str = "physics"

    def __call__(self, instances: Sequence[InstanceHeader], /) -> Rejection | None:
        """Why the series is refused, or None."""
        for instance in instances:
            header = instance.dataset
            if header is None:
                continue
            for keyword, (low, high, unit) in _RANGES.items():
                value = number(header, keyword)
                if value and not low <= value <= high:
                    return _not_plausible(f"{keyword} {value:g}; {low:g} to {high:g} {unit} wanted")
            times = timing_of(header)
            for (keyword, longest), time in zip(_TIMES, times, strict=True):
                if time is not None and not 0 <= time <= longest:
                    return _not_plausible(f"{keyword} {time:g} ms; 0 to {longest:g} wanted")
            repetition, echo, _ = times
            if repetition and echo and echo > repetition:
                return _not_plausible(f"an echo after {echo:g} ms, repeated every {repetition:g}")
            if found := self._off_resonance(instance):
                return found
        return None

    def _off_resonance(self, instance: InstanceHeader) -> Rejection | None:
        header = instance.dataset
        group = functional_group(header, "MRImagingModifierSequence") if header else None
        field = number(header, "MagneticFieldStrength")
        frequency = number(group, "TransmitterFrequency") or number(header, "ImagingFrequency")
        nucleus = text(header, "ImagedNucleus") or text(header, "ResonantNucleus")
        if not field or not frequency or nucleus.upper() not in {"1H", "H1", "PROTON", ""}:
            return None
        wanted = PROTON_MHZ_PER_TESLA * field
        if abs(frequency - wanted) <= self.tolerance * wanted:
            return None
        return _not_plausible(f"{frequency:g} MHz at {field:g} T; {wanted:.1f} MHz wanted")


def _not_plausible(detail: str) -> Rejection:
    return Rejection("physics-not-plausible", detail)
