"""Do private elements say whose they are, and stay small?"""

from dataclasses import dataclass

from mri_guard.records import InstanceHeader, Rejection
from mri_guard.records.structure import UNDEFINED


@dataclass(frozen=True, slots=True)
class PrivateElements:
    """Refuses private elements that nobody reserved (`private-without-creator`) or many (`-large`).

    A private element (gggg,xxyy) with odd gggg belongs to whom (gggg,00xx) of the same data set or
    item names (PS3.5 section 7.8.1); without that name nobody can know what it holds. In items of
    sequences the name may be missing, as some makers leave it out there. `private-too-large`: their
    values together, in bytes; scanners' protocols take a few hundred kilobytes, a smuggled file
    more.
    """

    max_bytes: int = 8 * 2**20
    name: str = "private_elements"

    def __call__(self, instance: InstanceHeader, /) -> Rejection | None:
        """Why the instance is refused, or None."""
        total = 0
        creators = set()
        for tag, _, length, _, depth, item in instance.structure.elements:
            if not tag & 0x10000:
                continue
            if 0x10 <= tag & 0xFFFF <= 0xFF:
                creators.add((item, tag))
                continue
            total += 0 if length == UNDEFINED else length
            creator = tag & 0xFFFF0000 | (tag & 0xFFFF) >> 8
            if depth == 0 and tag & 0xFFFF and (item, creator) not in creators:
                return Rejection(
                    "private-without-creator",
                    f"({tag >> 16:04X},{tag & 0xFFFF:04X}) in a block that no creator reserved",
                )
        if total > self.max_bytes:
            return Rejection(
                "private-too-large",
                f"{total / 2**20:.1f} MiB of private values; {self.max_bytes >> 20} allowed",
            )
        return None
