"""Does the parser that everything else trusts see the elements that are there?"""

from dataclasses import dataclass
from typing import Any

from mri_guard.records import InstanceHeader, Rejection


@dataclass(frozen=True, slots=True)
class ParsersAgree:
    """Refuses a header that pydicom reads differently than a plain walk does (`parsers-disagree`).

    Tags of the data set before its pixels, and where the value of each begins. Whoever makes two
    parsers disagree shows one patient to the first and another to the second.
    """

    name: str = "parsers_agree"

    def __call__(self, instance: InstanceHeader, /) -> Rejection | None:
        """Why the instance is refused, or None."""
        if instance.dataset is None:
            return Rejection("parsers-disagree", "the header does not parse")
        structure = instance.structure
        pixels = structure.pixels.offset if structure.pixels else instance.size_bytes + 1
        walked = {
            element.tag: element.offset
            for element in structure.elements
            if element.depth == 0 and element.offset < pixels
        }
        parsed = {int(read.tag): _offset(read) for read in instance.dataset.values()}
        for tag in sorted({*walked, *parsed}):
            if walked.get(tag) != parsed.get(tag):
                return Rejection(
                    "parsers-disagree", f"({tag >> 16:04X},{tag & 0xFFFF:04X}) is read differently"
                )
        return None


def _offset(read: Any) -> int | None:
    """Where the value begins, of an element that pydicom has or has not decoded yet."""
    found: int | None = read.value_tell if hasattr(read, "value_tell") else read.file_tell
    return found
