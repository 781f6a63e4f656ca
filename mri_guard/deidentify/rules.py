"""What may become of an attribute's value: kept if a grammar knows it, replaced, or dropped.

A rule takes the decoded values of one attribute and gives what is written, or None: dropped. What
a rule does not recognise it drops, so that nothing passes that was not thought of.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydicom.datadict import dictionary_has_tag
from pydicom.tag import BaseTag
from pydicom.valuerep import format_number_as_ds

from mri_guard.deidentify import words
from mri_guard.deidentify.dates import capped_age, shifted_date, shifted_date_of_time
from mri_guard.deidentify.key import DeidentificationKey
from mri_guard.deidentify.uids import is_registered, keyed_uid


@dataclass(frozen=True, slots=True)
class Patient:
    """What the rules must know of whom the instance shows.

    Attributes:
        key: that UIDs are derived with.
        days: that dates move back.
        pseudonym: written for name and number.
    """

    key: DeidentificationKey
    days: int
    pseudonym: str


Written = str | int | float | list[str] | list[int] | list[float] | None
Rule = Callable[[Sequence[object], Patient], Written]


def _texts(values: Sequence[object]) -> list[str]:
    return [str(value).strip(" \0") for value in values]


def _one(found: list[str]) -> str | list[str] | None:
    return (found[0] if len(found) == 1 else found) if found else None


@dataclass(frozen=True, slots=True)
class Terms:
    """Known terms stay, in their order; others become `other`, or are left out."""

    known: frozenset[str]
    other: str = ""

    def __call__(self, values: Sequence[object], patient: Patient) -> Written:
        """The terms that are known."""
        found = [text if text in self.known else self.other for text in _texts(values)]
        return _one([text for text in found if text])


@dataclass(frozen=True, slots=True)
class Decimals:
    """Numbers with a fraction, all of them within a range, or nothing; VR DS, FD or FL."""

    low: float
    high: float
    counts: tuple[int, int] = (1, 1)
    as_text: bool = True

    def __call__(self, values: Sequence[object], patient: Patient) -> Written:
        """The numbers; those of a DS as they were spelled, where the spelling is one."""
        if not self.counts[0] <= len(values) <= self.counts[1]:
            return None
        numbers = [_number(value) for value in values]
        if not all(self.low <= number <= self.high for number in numbers):  # NaN is not
            return None
        if not self.as_text:
            return numbers[0] if len(numbers) == 1 else numbers
        spelled = [
            text if _DECIMAL.fullmatch(text) else format_number_as_ds(number)
            for text, number in zip(_texts(values), numbers, strict=True)
        ]
        return _one(spelled)


_DECIMAL = re.compile(r"(?=.{1,16}\Z)[+-]?(\d+(\.\d*)?|\.\d+)([Ee][+-]?\d{1,2})?", re.ASCII)


def _number(value: object) -> float:
    try:
        return float(str(value))
    except ValueError:
        return math.nan


@dataclass(frozen=True, slots=True)
class Integers:
    """Whole numbers, all of them within a range, or nothing; VR IS, US, SS, UL, SL."""

    low: int
    high: int
    counts: tuple[int, int] = (1, 1)

    def __call__(self, values: Sequence[object], patient: Patient) -> Written:
        """The numbers."""
        if not self.counts[0] <= len(values) <= self.counts[1]:
            return None
        numbers = [_number(value) for value in values]
        if not all(n.is_integer() and self.low <= n <= self.high for n in numbers):
            return None
        whole = [int(number) for number in numbers]
        return whole[0] if len(whole) == 1 else whole


@dataclass(frozen=True, slots=True)
class Matching:
    """One text that a pattern matches from end to end, or nothing."""

    pattern: re.Pattern[str]

    def __call__(self, values: Sequence[object], patient: Patient) -> Written:
        """The text."""
        found = _texts(values)
        return found[0] if len(found) == 1 and self.pattern.fullmatch(found[0]) else None


@dataclass(frozen=True, slots=True)
class Always:
    """The same text, whatever was there."""

    text: str

    def __call__(self, values: Sequence[object], patient: Patient) -> Written:
        """The text."""
        return self.text


@dataclass(frozen=True, slots=True)
class Tags:
    """Tags of attributes that the standard knows (VR AT), or nothing."""

    def __call__(self, values: Sequence[object], patient: Patient) -> Written:
        """The tags."""
        found = [value for value in values if isinstance(value, BaseTag | int)]
        known = len(found) == len(values) == 1 and dictionary_has_tag(found[0])
        return int(found[0]) if known else None


# Functions that need no `patient` or no `values` take them too: all rules are called alike.
# ruff: noqa: ARG001


def pseudonym(values: Sequence[object], patient: Patient) -> Written:
    """Who it is, to those who have the key."""
    return patient.pseudonym


def keyed(values: Sequence[object], patient: Patient) -> Written:
    """The UID that stands for this one; a registered frame of reference is nobody's and stays."""
    found = _texts(values)
    if len(found) != 1 or not found[0]:
        return None
    return found[0] if is_registered(found[0]) else keyed_uid(patient.key, found[0])


def always_keyed(values: Sequence[object], patient: Patient) -> Written:
    """The UID that stands for this one, registered or not: it names an instance."""
    found = _texts(values)
    return keyed_uid(patient.key, found[0]) if len(found) == 1 and found[0] else None


def registered(values: Sequence[object], patient: Patient) -> Written:
    """A UID that the standard registers, or nothing."""
    found = _texts(values)
    return found[0] if len(found) == 1 and is_registered(found[0]) else None


def moved_date(values: Sequence[object], patient: Patient) -> Written:
    """The date, moved; empty where there is none."""
    found = _texts(values)
    return (shifted_date(found[0], patient.days) if len(found) == 1 else None) or ""


def moved_time(values: Sequence[object], patient: Patient) -> Written:
    """The date of a date and time, moved, or nothing."""
    found = _texts(values)
    return shifted_date_of_time(found[0], patient.days) if len(found) == 1 else None


def age(values: Sequence[object], patient: Patient) -> Written:
    """The age, capped, or nothing."""
    found = _texts(values)
    return capped_age(found[0]) if len(found) == 1 else None


def description(values: Sequence[object], patient: Patient) -> Written:
    """The recognised words of a free text; nothing when it has none."""
    return words.recognised(" ".join(_texts(values))) or None


def known_maker(values: Sequence[object], patient: Patient) -> Written:
    """A known maker's name, or UNKNOWN."""
    return words.maker(" ".join(_texts(values)))
