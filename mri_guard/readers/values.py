"""Attribute values of a dataset that nobody has vouched for: absent, odd or broken reads as None.

pydicom decodes values when they are first asked for, and a hostile value may raise or warn then.
Its warnings and log lines quote the value, which may be a patient's name, so they are silenced
here.
"""

import logging
import math
import threading
import warnings
from collections.abc import Iterator, MutableSequence
from contextlib import contextmanager
from functools import cache
from typing import Any, cast

from pydicom import DataElement, Dataset, config
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag, Tag
from pydicom.uid import UID

MAX_VALUE_BYTES = 16_384
MAX_ITEMS = 100_000
"""In one sequence and all below it; an Enhanced MR of 2000 frames has about 30 a frame."""

_GLOBALS = threading.RLock()
_QUIET = threading.local()
_LOGGER = logging.getLogger("pydicom")


@contextmanager
def quietly() -> Iterator[None]:
    """Keeps pydicom from judging, warning and logging; one thread at a time, as that is global.

    Within itself it costs next to nothing: who reads many values does so in one quiet block.
    """
    if getattr(_QUIET, "already", False):
        yield
        return
    with _GLOBALS, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mode, muted = config.settings.reading_validation_mode, _LOGGER.disabled
        config.settings.reading_validation_mode, _LOGGER.disabled = config.IGNORE, True
        _QUIET.already = True
        try:
            yield
        finally:
            _QUIET.already = False
            config.settings.reading_validation_mode, _LOGGER.disabled = mode, muted


def value(dataset: Dataset | None, keyword: str) -> Any:
    """The decoded value of an attribute; None when absent, empty, broken or absurdly long."""
    if dataset is None:
        return None
    tag = _tag(keyword)
    try:
        element = cast(DataElement | RawDataElement | None, dataset.get_item(tag))
        if isinstance(element, RawDataElement) and not _absurd(element):
            with quietly():
                element = dataset[tag]
        return element.value if isinstance(element, DataElement) else None
    except Exception:  # noqa: BLE001 - pydicom raises whatever its converters do
        return None


@cache
def _tag(keyword: str) -> BaseTag:
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise KeyError(f"{keyword} is no keyword of the standard's dictionary")
    return Tag(tag)


def _absurd(element: RawDataElement) -> bool:
    """Whether decoding the bytes would take minutes or gigabytes, as 50 MB of empty items do."""
    if not element.value:
        return False
    if dictionary_VR(element.tag) != "SQ":
        return len(element.value) > MAX_VALUE_BYTES
    item = b"\xfe\xff\x00\xe0" if element.is_little_endian else b"\xff\xfe\xe0\x00"
    return element.value.count(item) > MAX_ITEMS


def text(dataset: Dataset | None, keyword: str) -> str:
    """The value as text, several values joined by a backslash; empty when there is none."""
    found = value(dataset, keyword)
    if found is None:
        return ""
    if isinstance(found, (str, int, float)):  # already text or a number: nothing left to decode
        return str(found).strip()
    with quietly():
        try:
            parts = found if isinstance(found, MutableSequence) else [found]
            return "\\".join(str(part).strip() for part in parts)
        except Exception:  # noqa: BLE001 - decoding a person name can fail late
            return ""


def numbers(dataset: Dataset | None, keyword: str) -> tuple[float, ...]:
    """The values as finite numbers; empty when absent, or when any of them is not one."""
    found = value(dataset, keyword)
    if found is None or isinstance(found, (str, bytes)):
        return ()
    try:
        parts = tuple(map(float, found if isinstance(found, MutableSequence) else [found]))
    except (TypeError, ValueError, OverflowError):
        return ()
    return parts if all(math.isfinite(part) for part in parts) else ()


def number(dataset: Dataset | None, keyword: str) -> float | None:
    """The value when there is exactly one and it is a finite number, else None."""
    found = numbers(dataset, keyword)
    return found[0] if len(found) == 1 else None


def integer(dataset: Dataset | None, keyword: str) -> int | None:
    """The value when there is exactly one and it is a whole number, else None."""
    found = number(dataset, keyword)
    return int(found) if found is not None and found == int(found) else None


def items(dataset: Dataset | None, keyword: str) -> tuple[Dataset, ...]:
    """The items of a sequence; empty when it is absent or is no sequence."""
    found = value(dataset, keyword)
    return tuple(found) if isinstance(found, Sequence) else ()


def uid_name(dataset: Dataset | None, keyword: str) -> str:
    """The registered name of a UID (PS3.6 annex A); `none`, or `an unregistered one`."""
    found = text(dataset, keyword)
    name = UID(found, config.IGNORE).name
    return (name if name != found else "an unregistered one") if found else "none"
