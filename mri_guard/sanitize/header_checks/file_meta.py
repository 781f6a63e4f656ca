"""Does the file say of itself what its data set says?"""

from dataclasses import dataclass

from mri_guard.records import Flaw, InstanceHeader, Rejection, Structure

_MUST_AGREE = (
    (0x00020002, 0x00080016, "SOP Class UID"),
    (0x00020003, 0x00080018, "SOP Instance UID"),
)


@dataclass(frozen=True, slots=True)
class FileMeta:
    """Refuses file meta information that contradicts itself or the data set (PS3.10 section 7.1).

    `meta-broken`: it cannot be told where it ends. `meta-length`: its group length (0002,0000) is
    missing or wrong, so that two parsers may begin the data set at two places. `meta-contradicted`:
    Media Storage SOP Class or Instance UID (0002,0002/0003) is another than the data set's
    (0008,0016/0018), so that a node that routes by one stores under the other. Either may be
    missing: nothing here depends on it.
    """

    name: str = "file_meta"

    def __call__(self, instance: InstanceHeader, /) -> Rejection | None:
        """Why the instance is refused, or None."""
        structure = instance.structure
        if problem := structure.first(Flaw.META_BROKEN):
            return Rejection(
                problem.flaw.value, f"{problem} is no Explicit VR element within the file"
            )
        if structure.first(Flaw.META_LENGTH):
            return Rejection(
                Flaw.META_LENGTH.value,
                f"group length {structure.meta_length} seen; {structure.meta_length_true} wanted",
            )
        for outside, inside, name in _MUST_AGREE:
            seen = {uid for tag in (outside, inside) if (uid := _uid(structure, tag))}
            if len(seen) > 1:
                return Rejection("meta-contradicted", f"{name} of file and data set differ")
        return None


def _uid(structure: Structure, tag: int) -> bytes:
    for element in (*structure.meta, *structure.elements):
        if element.tag == tag and element.depth == 0:
            return structure.value(element).strip(b"\0 ")
    return b""
