"""Do the lengths of all elements add up to the file?"""

from dataclasses import dataclass

from mri_guard.records import Flaw, InstanceHeader, Rejection

_WANTED = {
    Flaw.LENGTH_BEYOND_END: "claims more bytes than the file has left",
    Flaw.LENGTH_BEYOND_ITEM: "claims more bytes than the item or sequence around it has left",
    Flaw.LENGTH_ODD: "has an odd length; even wanted",
    Flaw.LENGTH_UNDEFINED: "has undefined length; only sequences, items and pixels may",
    Flaw.DELIMITER_STRAY: "is an item or delimiter where an element belongs, or the reverse",
    Flaw.SEQUENCE_NOT_CLOSED: "is the end of what surrounds a sequence that no delimiter closes",
    Flaw.TRAILING_BYTES: "is no element that may follow the last one",
}


@dataclass(frozen=True, slots=True)
class ElementLengths:
    """Refuses lengths and delimiters that two parsers could take for two different files.

    Length of each element, item and sequence against what surrounds it, evenness, undefined length,
    delimiters (PS3.5 sections 7.1 and 7.5), and bytes after the last element. Data Set Trailing
    Padding (FFFC,FFFC), signatures and private groups may follow the pixels. Let through: odd
    lengths of Pixel Data and of fragments, which old writers leave unpadded, and group lengths
    (gggg,0000), which are retired, often stale and read by nobody.
    Reasons: `length-beyond-end`, `length-beyond-item`, `length-odd`, `length-undefined`,
    `delimiter-stray`, `sequence-not-closed`, `trailing-bytes`.
    """

    name: str = "element_lengths"

    def __call__(self, instance: InstanceHeader, /) -> Rejection | None:
        """Why the instance is refused, or None."""
        if problem := instance.structure.first(*_WANTED):
            return Rejection(problem.flaw.value, f"{problem} {_WANTED[problem.flaw]}")
        return None
