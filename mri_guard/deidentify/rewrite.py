"""A new dataset of what the allow-list lets through; nothing of the old one is edited or copied."""

from collections.abc import MutableSequence

from pydicom import DataElement, Dataset
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import UID

from mri_guard.deidentify.allow_list import ALWAYS, TYPE_2, AllowList, Items
from mri_guard.deidentify.rules import Patient
from mri_guard.readers.values import items, value

DEIDENTIFICATION_METHOD = "MRI Guard allow-list 1"
CODES = (
    ("113100", "Basic Application Confidentiality Profile"),
    ("113105", "Clean Descriptors Option"),
    ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
    ("113108", "Retain Patient Characteristics Option"),
)
"""PS3.16 CID 7050; docs/deidentification.md says where we keep less than an option allows."""


def rewritten(dataset: Dataset, allowed: AllowList, patient: Patient) -> Dataset:
    """What the allow-list lets through, and what a de-identified object must say of itself."""
    made = _copy(dataset, allowed, patient)
    for keyword in ALWAYS:
        rule = allowed[keyword]
        if keyword not in made and not isinstance(rule, Items):
            _add(made, keyword, rule((), patient) or "")
    made.PatientIdentityRemoved = "YES"
    made.DeidentificationMethod = DEIDENTIFICATION_METHOD
    made.DeidentificationMethodCodeSequence = Sequence(
        _code(value, meaning) for value, meaning in CODES
    )
    made.LongitudinalTemporalInformationModified = "MODIFIED"
    return made


def _copy(dataset: Dataset, allowed: AllowList, patient: Patient) -> Dataset:
    made = Dataset()
    signed = (
        value(dataset, "PixelRepresentation") == 1 if "PixelRepresentation" in dataset else False
    )
    for keyword, rule in allowed.items():
        if keyword not in dataset:
            continue
        if isinstance(rule, Items):
            copies = [_copy(item, rule.allowed, patient) for item in items(dataset, keyword)]
            some = [copy for copy in copies if len(copy)]
            if some or keyword in TYPE_2:
                _add(made, keyword, Sequence(some))
            continue
        written = rule(_values(dataset, keyword), patient)
        if written is None and keyword in TYPE_2:
            written = ""
        if written is not None:
            _add(made, keyword, written, signed=signed)
    return made


def _values(dataset: Dataset, keyword: str) -> tuple[object, ...]:
    found = value(dataset, keyword)
    if found is None or found == "":
        return ()
    if isinstance(found, MutableSequence) and not isinstance(found, bytearray):
        return tuple(found)
    return (found,)


def _add(made: Dataset, keyword: str, written: object, *, signed: bool = False) -> None:
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise KeyError(keyword)
    vr = dictionary_VR(tag)
    if vr == "US or SS":
        vr = "SS" if signed else "US"
    made.add(DataElement(Tag(tag), vr, UID(written) if vr == "UI" else written))  # type: ignore[arg-type]


def _code(code: str, meaning: str) -> Dataset:
    made = Dataset()
    made.CodeValue = code
    made.CodingSchemeDesignator = "DCM"
    made.CodeMeaning = meaning
    return made
