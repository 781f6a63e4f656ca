"""Do the frames of a multi-frame image agree on what they are?"""

from collections.abc import Sequence
from dataclasses import dataclass

from pydicom import Dataset

from mri_guard.readers.values import items, text
from mri_guard.records import InstanceHeader, Rejection

_ONCE = ("PixelMeasuresSequence", "PlaneOrientationSequence", "PlanePositionSequence")
_ALIKE = (
    ("FrameContentSequence", "StackID", "several-stacks"),
    ("MRImageFrameTypeSequence", "FrameType", "frames-mixed"),
    ("PixelMeasuresSequence", "SliceThickness", "frames-mixed"),
    ("PixelValueTransformationSequence", "RescaleType", "frames-mixed"),
)


@dataclass(frozen=True, slots=True)
class FunctionalGroups:
    """Refuses multi-frame images whose functional groups contradict themselves.

    Enhanced MR Image (PS3.3 A.36 and C.7.6.16): one item in Shared Functional Groups
    (`functional-groups`); each macro of geometry shared or in every frame, never both and never in
    some; Stack ID one for all (`several-stacks`); frames of one type and thickness where
    they say so (`frames-mixed`). Number of Frames against the groups is held by `slice_geometry`;
    echoes and time points by `slice_stack`.
    """

    name: str = "functional_groups"

    def __call__(self, instances: Sequence[InstanceHeader], /) -> Rejection | None:
        """Why the series is refused, or None."""
        for instance in instances:
            if instance.dataset is not None and (found := _judge(instance.dataset)):
                return found
        return None


def _judge(header: Dataset) -> Rejection | None:
    frames = items(header, "PerFrameFunctionalGroupsSequence")
    if not frames:
        return None
    shared = items(header, "SharedFunctionalGroupsSequence")
    if len(shared) != 1:
        return Rejection("functional-groups", f"{len(shared)} shared groups seen; one wanted")
    return _geometry_once(frames, shared[0]) or _of_one_kind(frames)


def _geometry_once(frames: Sequence[Dataset], shared: Dataset) -> Rejection | None:
    for macro in _ONCE:
        own = sum(bool(items(frame, macro)) for frame in frames)
        common = bool(items(shared, macro))
        if own not in (0, len(frames)) or bool(own) == common:
            return Rejection(
                "functional-groups",
                f"{macro} in {own} of {len(frames)} frames and {'' if common else 'not '}shared; "
                "one or the other wanted",
            )
    return None


def _of_one_kind(frames: Sequence[Dataset]) -> Rejection | None:
    for macro, keyword, reason in _ALIKE:
        said = {text(group, keyword) for frame in frames for group in items(frame, macro)}
        if len(said) > 1:
            return Rejection(reason, f"{len(said)} values of {keyword} seen; one wanted")
    return None
