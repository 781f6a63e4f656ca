"""What is worse in a new report than in an old one: the gate before a release.

A figure is worse where the new value lies beyond the old one's interval on its worse side. Both
mostly come from the same patients, so that values move together and far less than intervals are
wide: what crosses is more than noise, and a change within the interval is not seen. Of many figures
some cross by chance where the data differ; those are named as from other data, and gate too.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pydantic import ValidationError

from mri_guard.errors import UnreadableError
from mri_guard.evaluation.evidence import Metric
from mri_guard.reports.directions import Better, better
from mri_guard.reports.document import Report, Source
from mri_guard.reports.folder import DOCUMENT


class Change(StrEnum):
    """What became of a figure."""

    WORSE = "worse"
    MISSING = "missing"
    BETTER = "better"
    WITHIN = "within"
    NEW = "new"
    UNKNOWN = "unknown"
    """Which way it is better is not known (`directions.py`)."""


GATES = (Change.WORSE, Change.MISSING)
"""What a release is refused for."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One figure in both reports.

    Attributes:
        file: name of the evidence.
        name: of the figure.
        change: what became of it.
        old: in the old report; None where it is new.
        new: in the new report; None where it is missing.
        same_data: whether both were measured on the same manifest.
    """

    file: str
    name: str
    change: Change
    old: Metric | None
    new: Metric | None
    same_data: bool


def load(path: Path) -> Report:
    """The report of a folder, or of its `report.json`.

    Raises:
        UnreadableError: there is none.
    """
    file = path / DOCUMENT if path.is_dir() else path
    try:
        return Report.model_validate_json(file.read_bytes())
    except OSError as error:
        raise UnreadableError("not-a-report", f"{path.name}: {error.strerror}") from error
    except ValidationError as error:
        raise UnreadableError(
            "not-a-report", f"{path.name}: {error.error_count()} fields do not fit"
        ) from error


def compare(old: Report, new: Report) -> list[Compared]:
    """Every figure of either report, each bundle's own alone; what gates comes first."""
    before, after = _by_file(old), _by_file(new)
    compared = []
    for file in dict.fromkeys([*before, *after]):
        one, other = before.get(file), after.get(file)
        same = one is None or other is None or one.manifest_digest == other.manifest_digest
        ours, theirs = one.metrics if one else {}, other.metrics if other else {}
        for name in dict.fromkeys([*ours, *theirs]):
            was, now = ours.get(name), theirs.get(name)
            compared.append(Compared(file, name, _change(name, was, now), was, now, same))
    order = list(Change)
    return sorted(compared, key=lambda row: order.index(row.change))


def refused(compared: Iterable[Compared]) -> list[Compared]:
    """What a release is refused for."""
    return [row for row in compared if row.change in GATES]


def _by_file(report: Report) -> Mapping[str, Source]:
    return {source.name: source for source in report.own}


def _change(name: str, old: Metric | None, new: Metric | None) -> Change:
    if new is None:
        return Change.MISSING
    if old is None:
        return Change.NEW
    match better(name):
        case Better.HIGHER:
            worse, improved = new.value < old.low, new.value > old.high
        case Better.LOWER:
            worse, improved = new.value > old.high, new.value < old.low
        case Better.UNKNOWN:
            return Change.UNKNOWN
    return Change.WORSE if worse else Change.BETTER if improved else Change.WITHIN
