"""What was taken out of a header and is needed to put results back where they belong."""

from collections.abc import Mapping

from pydicom import Dataset

from mri_guard.readers.values import text
from mri_guard.records.base import Record

ATTRIBUTES = (
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "StudyDescription",
    "ReferringPhysicianName",
    "SeriesDescription",
    "SeriesNumber",
)
"""Patient and study as a result in the same study must name them (PS3.3 C.7.1.1, C.7.2.1)."""


class Identity(Record):
    """The identified header of one or more instances, kept apart from them.

    Attributes:
        attributes: keyword and original value as text, of `ATTRIBUTES` those that were there.
        uids: each original UID and the one that stands for it.
        shift_days: dates were moved back by so many days.
        key_name: which key the UIDs and the shift were derived from.
    """

    attributes: Mapping[str, str]
    uids: Mapping[str, str]
    shift_days: int
    key_name: str

    def original(self, uid: str) -> str | None:
        """The original of a UID in a de-identified instance; None if it stands for none here."""
        return next((old for old, new in self.uids.items() if new == uid), None)

    def merged(self, other: "Identity") -> "Identity":
        """This identity with the other's UIDs too; for instances of one series."""
        return self.model_copy(update={"uids": {**self.uids, **other.uids}})


def attributes_of(dataset: Dataset) -> dict[str, str]:
    """Values of `ATTRIBUTES` as text, without those that are absent or empty."""
    found = {keyword: text(dataset, keyword) for keyword in ATTRIBUTES}
    return {keyword: value for keyword, value in found.items() if value}
