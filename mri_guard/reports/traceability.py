"""From what rules and guidance ask to the figures that are evidence for it, or to none.

The requirements lie in `traceability.yaml`. A figure that fits is evidence for a requirement, never
its fulfilment: whether it is enough is for who reads the report.
"""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from importlib.resources import files

import yaml
from pydantic import Field

from mri_guard.records import Record

NONE = "no evidence here"


class Requirement(Record):
    """What a source asks.

    Attributes:
        source: the document, shortly.
        place: within it: article, section.
        asks: in our words.
        figures: patterns `kind:name` of the figures that are evidence for it, `*` for anything.
        parts: of this report that are evidence for it, by anchor.
    """

    source: str
    place: str
    asks: str
    figures: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()


class Traced(Record):
    """A requirement with its evidence.

    Attributes:
        requirement: what is asked.
        figures: names of the figures by evidence file; empty where there is none.
    """

    requirement: Requirement
    figures: dict[str, tuple[str, ...]]

    @property
    def count(self) -> int:
        """How many figures."""
        return sum(map(len, self.figures.values()))


class _Source(Record):
    title: str
    full: str
    requirements: tuple[dict[str, str | tuple[str, ...]], ...] = Field(min_length=1)


def requirements() -> tuple[Requirement, ...]:
    """Those of `traceability.yaml`, in its order."""
    return tuple(
        Requirement.model_validate({"source": source.title, **one})
        for source in _sources()
        for one in source.requirements
    )


def titles() -> dict[str, str]:
    """Full title of each source by its short one."""
    return {source.title: source.full for source in _sources()}


def trace(
    wanted: Iterable[Requirement], figures: Mapping[str, tuple[str, tuple[str, ...]]]
) -> tuple[Traced, ...]:
    """Each requirement with the figures that fit it.

    Args:
        wanted: the requirements.
        figures: kind and names of the figures of each evidence file.
    """
    traced = []
    for requirement in wanted:
        found = {}
        for file, (kind, names) in figures.items():
            fit = tuple(
                name
                for name in names
                if any(fnmatchcase(f"{kind}:{name}", pattern) for pattern in requirement.figures)
            )
            if fit:
                found[file] = fit
        traced.append(Traced(requirement=requirement, figures=found))
    return tuple(traced)


def _sources() -> list[_Source]:
    text = files("mri_guard.reports").joinpath("traceability.yaml").read_text()
    return [_Source.model_validate(one) for one in yaml.safe_load(text)]
