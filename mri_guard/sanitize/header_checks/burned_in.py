"""Does the picture itself carry text?"""

from dataclasses import dataclass

from mri_guard.records import InstanceHeader, Rejection

_BURNED_IN = 0x00280301


@dataclass(frozen=True, slots=True)
class BurnedIn:
    """Refuses Burned In Annotation (0028,0301) YES (`burned-in-annotation`).

    What is written into the pixels may name the patient, and a detector takes it for anatomy.
    Absent, or any other value, passes; the voxel checks look for text themselves.
    """

    name: str = "burned_in"

    def __call__(self, instance: InstanceHeader, /) -> Rejection | None:
        """Why the instance is refused, or None."""
        structure = instance.structure
        for element in structure.elements:
            if element.tag == _BURNED_IN:
                said = structure.value(element).strip(b"\0 ").upper()
                if said == b"YES":
                    return Rejection("burned-in-annotation", "text in the pixels declared")
        return None
