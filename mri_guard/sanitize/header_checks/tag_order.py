"""Does each attribute stand there once, in its place?"""

from dataclasses import dataclass

from mri_guard.records import Flaw, InstanceHeader, Rejection

_WANTED = {
    Flaw.TAG_TWICE: "stands there twice; which one counts is each parser's guess",
    Flaw.TAGS_OUT_OF_ORDER: "stands behind a greater tag; rising tags wanted",
    Flaw.GROUP_NOT_ALLOWED: "is of a group that no data set holds",
}


@dataclass(frozen=True, slots=True)
class TagOrder:
    """Refuses tags that do not rise within a data set or item (PS3.5 section 7.1).

    `tag-twice` and `tags-out-of-order`: one parser takes the first value, another the last, a third
    stops early. `group-not-allowed`: command, file meta and reserved groups in a data set (PS3.5
    section 7.8.1). Within private sequences makers may do as they like: nobody else reads them.
    """

    name: str = "tag_order"

    def __call__(self, instance: InstanceHeader, /) -> Rejection | None:
        """Why the instance is refused, or None."""
        if problem := instance.structure.first(*_WANTED):
            return Rejection(problem.flaw.value, f"{problem} {_WANTED[problem.flaw]}")
        return None
