from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mri_guard.deidentify.dates import (
    capped_age,
    shift_days,
    shifted_date,
    shifted_date_of_time,
)
from mri_guard.deidentify.key import DeidentificationKey

KEY = DeidentificationKey(b"k" * 32)
DATES = st.dates(min_value=datetime(1900, 1, 1).date(), max_value=datetime(2100, 1, 1).date())


def moved(date: object, days: int) -> datetime:
    made = shifted_date(f"{date:%Y%m%d}", days)
    assert made is not None
    return datetime.strptime(made, "%Y%m%d")


@given(st.text(max_size=20), DATES, DATES)
def test_keeps_the_interval_between_two_dates_of_a_patient(
    patient: str, first: datetime, second: datetime
) -> None:
    days = shift_days(KEY, patient)
    assert moved(second, days) - moved(first, days) == second - first


@given(st.text(max_size=20), DATES)
def test_moves_every_date_ten_to_twenty_years_back(patient: str, date: datetime) -> None:
    back = datetime(date.year, date.month, date.day) - moved(date, shift_days(KEY, patient))
    assert timedelta(days=3650) <= back <= timedelta(days=7299)


def test_moves_patients_apart() -> None:
    assert len({shift_days(KEY, f"patient {n}") for n in range(200)}) > 180
    other = DeidentificationKey(b"o" * 32)
    assert shift_days(KEY, "one") != shift_days(other, "one")


@pytest.mark.parametrize(
    "value", ["", "2025", "2025-01-02", "20251301", "20250230", "２０２５０１０２"]
)
def test_drops_what_is_no_date(value: str) -> None:
    assert shifted_date(value, 4000) is None


def test_leaves_the_date_of_a_time_alone() -> None:
    assert shifted_date_of_time("20250102101112.123456+0100", 3653) == "20150102"
    assert shifted_date_of_time("202501", 3653) is None


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("034Y", "034Y"),
        ("089Y", "089Y"),
        ("090Y", "090Y"),
        ("101Y", "090Y"),
        ("999M", "999M"),
        ("006W", "006W"),
        ("34", None),
        ("34Y", None),
        ("abcY", None),
    ],
)
def test_caps_ages_above_89_years(value: str, wanted: str | None) -> None:
    assert capped_age(value) == wanted
