"""Do all instances show the same person?"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mri_guard.readers.values import text
from mri_guard.records import InstanceHeader, Rejection

_IDENTITY = ("PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate", "PatientSex")


@dataclass(frozen=True, slots=True)
class OnePatient:
    """Refuses a series of several patients (`several-patients`).

    Patient ID (0010,0020) and its issuer, Patient's Name, Birth Date and Sex: one value each, where
    spaces, carets and upper case do not count.
    """

    name: str = "one_patient"

    def __call__(self, instances: Sequence[InstanceHeader], /) -> Rejection | None:
        """Why the series is refused, or None."""
        for keyword in _IDENTITY:
            seen = {_plain(text(instance.dataset, keyword)) for instance in instances}
            if len(seen) != 1:
                return Rejection("several-patients", f"{len(seen)} values of {keyword}; one wanted")
        return None


def _plain(value: str) -> str:
    return re.sub(r"[\s^]+", " ", value).strip().upper()
