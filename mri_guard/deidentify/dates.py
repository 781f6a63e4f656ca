"""Dates moved by one keyed number of days a patient: intervals stay, the calendar does not."""

import re
from datetime import datetime, timedelta

from mri_guard.deidentify.key import DeidentificationKey

NEAREST_DAYS, SPREAD_DAYS = 3650, 3650
"""Dates move 10 to 20 years back: further than the dates of one examination lie apart, so that no
moved date is another original one."""

OLDEST_TOLD_YEARS = 89
_AGE = re.compile(r"\d{3}[DWMY]")


def shift_days(key: DeidentificationKey, patient: str) -> int:
    """By how many days this patient's dates move back, 3650 to 7299."""
    return NEAREST_DAYS + int.from_bytes(key.digest("days", patient)[:8]) % SPREAD_DAYS


def shifted_date(value: str, days: int) -> str | None:
    """A DA (PS3.5 section 6.2: YYYYMMDD) moved back; None if it is no date."""
    if not re.fullmatch(r"\d{8}", value, re.ASCII):
        return None
    try:
        moved = datetime.strptime(value, "%Y%m%d") - timedelta(days=days)
    except (ValueError, OverflowError):
        return None
    return f"{moved.year:04d}{moved:%m%d}"


def shifted_date_of_time(value: str, days: int) -> str | None:
    """The date of a DT moved back, without its time of day (PS3.5: trailing parts may lack)."""
    return shifted_date(value[:8], days)


def capped_age(value: str) -> str | None:
    """An AS (nnnD, nnnW, nnnM, nnnY), 90 years where it is more than 89; None if it is no age.

    Ages above 89 are rare enough to name somebody (45 CFR 164.514(b)(2)(i)(C)).
    """
    if not _AGE.fullmatch(value):
        return None
    years = int(value[:3]) / {"D": 365.25, "W": 52.18, "M": 12, "Y": 1}[value[3]]
    return "090Y" if years > OLDEST_TOLD_YEARS else value
