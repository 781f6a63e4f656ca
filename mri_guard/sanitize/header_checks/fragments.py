"""Do compressed frames lie where the offset tables say, and are they of a likely size?"""

from dataclasses import dataclass
from itertools import pairwise
from struct import iter_unpack

from pydicom.uid import RLELossless

from mri_guard.readers.values import integer
from mri_guard.records import Flaw, InstanceHeader, Pixels, Rejection, Structure

_OFFSETS, _LENGTHS = 0x7FE00001, 0x7FE00002


@dataclass(frozen=True, slots=True)
class Fragments:
    """Refuses fragments that leave open which bytes are which frame (PS3.5 section A.4).

    `fragments-broken`: a fragment beyond the end, no closing delimiter. `fragment-count`: fewer
    fragments than frames, or more and no table to tell them apart. `offset-table`: Basic or
    Extended Offset Table (7FE0,0001/0002) with other than one place a frame, places that do not
    rise, or where no fragment begins. `compression-ratio`: more decoded bytes for one stored than
    any image needs, where they are many, or more than twice the decoded bytes stored.
    """

    max_ratio: float = 100.0
    free_bytes: int = 64 * 2**20
    slack_bytes: int = 64 * 2**10
    name: str = "fragments"

    def __call__(self, instance: InstanceHeader, /) -> Rejection | None:
        """Why the instance is refused, or None."""
        structure = instance.structure
        if problem := structure.first(Flaw.FRAGMENTS_BROKEN):
            return Rejection(problem.flaw.value, f"{problem}: fragments do not reach a delimiter")
        pixels = structure.pixels
        if pixels is None or pixels.offset_table is None:
            return None
        frames = integer(instance.dataset, "NumberOfFrames") or 1
        return _tables(structure, pixels, pixels.offset_table, frames) or self._ratio(
            instance, pixels, frames
        )

    def _ratio(self, instance: InstanceHeader, pixels: Pixels, frames: int) -> Rejection | None:
        header = instance.dataset
        stored = sum(length for _, length in pixels.fragments)
        rows, columns = integer(header, "Rows") or 0, integer(header, "Columns") or 0
        bits = integer(header, "BitsAllocated") or 0
        decoded = rows * columns * frames * (integer(header, "SamplesPerPixel") or 1) * bits // 8
        bomb = decoded > self.free_bytes and decoded > self.max_ratio * stored
        if bomb or stored > 2 * decoded + self.slack_bytes:
            return Rejection(
                "compression-ratio",
                f"{stored} bytes stored for {decoded}; at most {self.max_ratio:.0f} times that, "
                "and no less than half, wanted",
            )
        return None


def _tables(structure: Structure, pixels: Pixels, basic: bytes, frames: int) -> Rejection | None:
    count = len(pixels.fragments)
    extended = {
        element.tag: structure.value(element)
        for element in structure.elements
        if element.depth == 0 and element.tag in (_OFFSETS, _LENGTHS)
    }
    if count < frames or (structure.transfer_syntax == RLELossless and count != frames):
        return Rejection("fragment-count", f"{count} fragments for {frames} frames")
    if not basic and not extended:
        if frames not in (1, count):
            return Rejection("fragment-count", f"{count} fragments for {frames} frames, no table")
        return None
    # Tables count from the item tag of the first fragment, eight bytes before its value.
    starts = [at - pixels.fragments[0][0] for at, _ in pixels.fragments]
    if basic and (extended or not _names_frames(basic, "<I", starts, frames)):
        return Rejection("offset-table", f"the basic table does not place {frames} frames")
    if extended:
        lengths = extended.get(_LENGTHS, b"")
        told = [length for _, length in pixels.fragments]
        fits = len(lengths) == 8 * frames == 8 * count and all(
            claimed in (length, length - 1)  # without the padding
            for (claimed,), length in zip(iter_unpack("<Q", lengths), told, strict=True)
        )
        placed = _names_frames(extended.get(_OFFSETS, b""), "<Q", starts, frames)
        if not (fits and placed):
            return Rejection("offset-table", f"the extended table does not place {frames} frames")
    return None


def _names_frames(table: bytes, form: str, starts: list[int], frames: int) -> bool:
    size = 8 if form.endswith("Q") else 4
    if len(table) != size * frames:
        return False
    places = [place for (place,) in iter_unpack(form, table)]
    rising = all(one < other for one, other in pairwise(places))
    return places[0] == 0 and rising and set(places) <= set(starts)
