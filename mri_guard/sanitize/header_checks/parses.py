"""Can the header be read to its end?"""

from dataclasses import dataclass

from mri_guard.records import InstanceHeader, Rejection


@dataclass(frozen=True, slots=True)
class Parses:
    """Refuses a header that does not parse (`does-not-parse`) or holds nothing (`header-empty`)."""

    name: str = "parses"

    def __call__(self, instance: InstanceHeader, /) -> Rejection | None:
        """Why the instance is refused, or None."""
        if instance.dataset is None:
            where = "".join(
                f"; {problem.flaw} {problem}" for problem in instance.structure.problems
            )
            return Rejection(
                "does-not-parse", f"{instance.parse_error} while reading the header{where}"
            )
        if not len(instance.dataset) and not getattr(instance.dataset, "file_meta", None):
            return Rejection("header-empty", "no attribute before the pixels")
        return None
