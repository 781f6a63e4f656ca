"""Does anything that names somebody in the source occur in the bytes that were written?

A net under the allow-list, which looks at bytes and knows nothing of how they were made. It tells
words from the closed vocabulary, which may come out, from all others, which may not. It cannot
tell apart what is shorter than the limits below: two letters are in every file.
"""

import re
from collections.abc import Iterable, Iterator, MutableSequence
from dataclasses import dataclass, field
from typing import Any

from pydicom import Dataset
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.tag import BaseTag

from mri_guard.deidentify import words
from mri_guard.deidentify.allow_list import MULTI_FRAME, AllowList, Items
from mri_guard.deidentify.rewrite import CODES, DEIDENTIFICATION_METHOD
from mri_guard.deidentify.rules import Always, Terms
from mri_guard.deidentify.uids import IMPLEMENTATION_CLASS_UID, is_registered
from mri_guard.errors import InputError
from mri_guard.readers.headers import PIXEL_TAGS
from mri_guard.readers.values import MAX_ITEMS, quietly

NAME_LETTERS = 3
"""Shortest part of a person's name that is looked for."""

WORD_LETTERS = 4
"""Shortest word of any other text that is looked for."""

NUMBER_DIGITS = 6
"""Shortest number given as text that is looked for; measurements hold shorter ones by chance."""

PIXEL_BYTES = 8
"""Shortest string that is looked for in pixels, where shorter ones occur by chance."""

_TEXT = frozenset({"AE", "CS", "DA", "DT", "LO", "LT", "PN", "SH", "ST", "UC", "UI", "UR", "UT"})
_DECODED = _TEXT | {"SQ"}
_NUMBERS = frozenset({"AT", "FD", "FL", "OD", "OF", "OL", "OV", "SL", "SS", "SV", "UL", "US", "UV"})
"""What has another VR, one that nobody knows among them, is looked at as bytes."""

_MAX_BLOB_BYTES = 2**22
_PRINTABLE = re.compile(rb"[\x20-\x7e\x80-\xff]{4,}")
_LETTERS = re.compile(rb"(?:[\x20-\x7e]\0?){4,}")
_UID = re.compile(r"(?<![\d.])\d+(?:\.\d+){5,}(?![\d.])", re.ASCII)
_NUMBER = re.compile(r"[+-]?[\d.]*([Ee][+-]?\d+)?")
_MEASURED = re.compile(r"\d+([Ee]\d*|[DWMY])?")
"""A number, one with an exponent, an age."""

_TOKEN = re.compile(rb"[a-z0-9]+")
_VRS = (
    "AE AS AT CS DA DS DT FD FL IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC UI UL UN UR "
    "US UT UV DICM"
)


@dataclass(slots=True)
class Identifying:
    """What the source says that must not be said again.

    Attributes:
        words: lower case, with a letter, looked for as whole words.
        strings: whole values, in lower case bytes of several encodings, looked for anywhere.
        numbers: digits, looked for where no digit or point touches them.
        uids: looked for where no digit or point touches them.
        dates: YYYYMMDD, looked for at the beginning of a number.
    """

    words: set[str] = field(default_factory=set)
    strings: set[bytes] = field(default_factory=set)
    numbers: set[bytes] = field(default_factory=set)
    uids: set[bytes] = field(default_factory=set)
    dates: set[bytes] = field(default_factory=set)


def identifying(source: Dataset, *beside: bytes) -> Identifying:
    """Everything of a source that could name somebody, whatever attribute it stands in.

    Args:
        source: as parsed, before anything else looked at its values.
        beside: bytes outside the dataset, such as the preamble.
    """
    found = Identifying()
    with quietly():
        for raw, text, vr in _texts(source):
            _take(found, raw, text, vr)
    for blob in beside:
        _take_blob(found, blob)
    return found


def require_clean(
    found: Identifying, header: bytes, pixels: bytes, grammatical: Iterable[str]
) -> None:
    """Nothing, if nothing identifying is left.

    Args:
        found: what is looked for.
        header: written bytes outside the pixels.
        pixels: written bytes of the pixels; only whole values are looked for there.
        grammatical: values that a pattern let through, whose words count as vocabulary.

    Raises:
        InputError: `deidentification-residue`.
    """
    known = VOCABULARY | _words_of(" ".join(grammatical))
    lower = header.lower()
    tokens = {token.decode() for token in _TOKEN.findall(lower)}
    hits = {
        "words": len(found.words & tokens - known),
        "strings": sum(
            string in lower for string in found.strings if not _words_of_bytes(string) <= known
        ),
        "numbers": sum(
            _at(number, lower, rb"(?<![\d.])%b(?![\d.])")
            for number in found.numbers
            if number.decode() not in known
        ),
        "UIDs": sum(_at(uid, lower, rb"(?<![\d.])%b(?![\d.])") for uid in found.uids),
        "dates": sum(_at(date, lower, rb"(?<![\d.])%b") for date in found.dates),
    }
    hits["strings in pixels"] = _in_pixels(found.strings | found.uids, pixels)
    if any(hits.values()):
        seen = ", ".join(f"{count} {kind}" for kind, count in hits.items() if count)
        raise InputError("deidentification-residue", f"{seen} of the source left; none wanted")


def _in_pixels(strings: set[bytes], pixels: bytes) -> int:
    """How many strings occur; those of ASCII, of one or two bytes a letter, in runs of such."""
    lower = pixels.lower()
    runs = b"\n".join(_LETTERS.findall(lower))
    long = {string.strip(b"\0") for string in strings if len(string) >= PIXEL_BYTES}
    return sum(string in (runs if string.isascii() else lower) for string in long)


def _at(string: bytes, data: bytes, pattern: bytes) -> bool:
    return string in data and re.search(pattern % re.escape(string), data) is not None


def _texts(dataset: Dataset) -> Iterator[tuple[bytes, str, str]]:
    """Bytes, decoded text and VR of every value that could hold text, at any depth."""
    meta = getattr(dataset, "file_meta", None)
    if meta is not None:
        yield from _texts(meta)
    for tag in list(dataset.keys()):
        element: Any = dataset.get_item(tag, keep_deferred=True)
        if tag in PIXEL_TAGS:
            continue
        raw = element.value if isinstance(element, RawDataElement) else None
        vr = element.VR or _vr(tag)
        if vr in _NUMBERS:
            continue
        if isinstance(raw, bytes) and ((vr not in _DECODED and raw[:4] != _ITEM) or _absurd(raw)):
            yield raw[:_MAX_BLOB_BYTES], "", ""
            continue
        try:
            value = dataset[tag].value
        except Exception:  # noqa: BLE001 - what does not decode is looked at as bytes
            yield raw if isinstance(raw, bytes) else b"", "", ""
            continue
        if isinstance(value, MutableSequence) and all(isinstance(v, Dataset) for v in value):
            for item in value:
                yield from _texts(item)
        elif isinstance(value, bytes):
            yield value[:_MAX_BLOB_BYTES], "", ""
        else:
            many = value if isinstance(value, MutableSequence) else [value]
            text = "\\".join("" if part is None else str(part) for part in many)
            yield raw if isinstance(raw, bytes) else b"", text, vr


_ITEM = b"\xfe\xff\x00\xe0"


def _absurd(raw: bytes) -> bool:
    """Whether parsing the items would take minutes; then the bytes are looked at as they are."""
    return raw.count(_ITEM) > MAX_ITEMS


def _vr(tag: BaseTag) -> str:
    return dictionary_VR(tag).split(" or ")[0] if dictionary_has_tag(tag) else ""


def _take(found: Identifying, raw: bytes, text: str, vr: str) -> None:
    if vr not in _TEXT:
        _take_blob(found, raw)
        return
    values = [value.strip(" \0") for value in text.split("\\")]
    for value in values:
        if vr == "UI":
            _take_uid(found, value)
        elif vr in ("DA", "DT"):
            if re.match(r"\d{8}", value, re.ASCII):
                found.dates.add(value[:8].encode())
        else:
            _take_text(found, value, NAME_LETTERS if vr == "PN" else WORD_LETTERS)
    if not raw.isascii():  # as the source's own character set spells it
        spelled = (part.strip(b" \0").lower() for part in re.split(rb"[\\^=]", raw))
        found.strings |= {part for part in spelled if len(part) >= WORD_LETTERS}


def _take_uid(found: Identifying, uid: str) -> None:
    if uid and not is_registered(uid) and uid != IMPLEMENTATION_CLASS_UID:
        found.uids.add(uid.encode(errors="replace"))


def _take_text(found: Identifying, text: str, shortest: int) -> None:
    for uid in _UID.findall(text):
        _take_uid(found, uid)
    for number in re.findall(r"(?<![\d.])\d+(?![\d.])", text, re.ASCII):
        if len(number) >= NUMBER_DIGITS:
            found.numbers.add(number.encode())
    for word in re.findall(r"\w+", text.lower()):
        for part in word.split("_"):
            if len(part) >= shortest and not part.isdigit():
                if part.isascii():
                    found.words.add(part)
                else:
                    found.strings |= _spellings(part)
    if len(text) >= PIXEL_BYTES and not _NUMBER.fullmatch(text):
        found.strings |= _spellings(text.lower())


def _spellings(text: str) -> set[bytes]:
    made = set()
    for encoding in ("latin-1", "utf-8", "utf-16-le", "utf-16-be"):
        spelled = text.encode(encoding, errors="ignore")
        if len(spelled) >= WORD_LETTERS:
            made.add(spelled.lower())
    return made


def _take_blob(found: Identifying, blob: bytes) -> None:
    """Words in bytes of unknown meaning; their numbers may be measurements that are kept."""
    for run in _PRINTABLE.findall(blob):
        text = run.decode("latin-1")
        for uid in _UID.findall(text):
            _take_uid(found, uid)
        for word in re.findall(r"[A-Za-z0-9]+", text):
            if len(word) >= WORD_LETTERS and not _MEASURED.fullmatch(word):
                found.words.add(word.lower())


def _words_of(text: str) -> set[str]:
    return {word.decode() for word in _TOKEN.findall(text.lower().encode())}


def _words_of_bytes(string: bytes) -> set[str]:
    return {token.decode() for token in _TOKEN.findall(string)} or {""}


def _known(allowed: AllowList) -> Iterator[str]:
    for rule in allowed.values():
        if isinstance(rule, Items):
            yield from _known(rule.allowed)
        elif isinstance(rule, Terms):
            yield from (*rule.known, rule.other)
        elif isinstance(rule, Always):
            yield rule.text


VOCABULARY = _words_of(
    " ".join(
        [
            *_known(MULTI_FRAME),
            *words.DESCRIPTION,
            *words.MAKERS.values(),
            words.UNKNOWN,
            *(f"{code} {meaning}" for code, meaning in CODES),
            DEIDENTIFICATION_METHOD,
            "YES DCM MODIFIED MRI_GUARD_DEID",
            _VRS,
        ]
    )
)
"""Every word that a rule may write of its own accord; a patient called Brain is not found by it."""
