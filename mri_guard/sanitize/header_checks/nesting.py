"""Is the header no deeper and no more finely divided than scanners write?"""

from dataclasses import dataclass

from mri_guard.records import Flaw, InstanceHeader, Rejection


@dataclass(frozen=True, slots=True)
class Nesting:
    """Refuses what would keep a parser busy: `nested-too-deep`, `too-many-elements`.

    The budgets are those of the walk (`readers.structure`), which stops where they end.
    """

    name: str = "nesting"

    def __call__(self, instance: InstanceHeader, /) -> Rejection | None:
        """Why the instance is refused, or None."""
        structure = instance.structure
        if problem := structure.first(Flaw.NESTED_TOO_DEEP):
            return Rejection(
                problem.flaw.value, f"{problem} begins a sequence deeper than any scanner's"
            )
        if problem := structure.first(Flaw.TOO_MANY_ELEMENTS):
            return Rejection(problem.flaw.value, f"{problem} is one more than are read")
        return None
