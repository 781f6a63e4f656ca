"""Unique markers planted wherever a DICOM file has room, and a search for what is left of them."""

import io
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta

from pydicom import Dataset, dcmwrite
from pydicom._dicom_dict import DicomDictionary, RepeatersDictionary
from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.dataelem import RawDataElement
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag, Tag
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from mri_guard.deidentify.allow_list import MULTI_FRAME
from tests.deidentify.table_e1_1 import TABLE_E1_1

UID_ROOT = "1.2.826.0.1.3680043.9.7."
ORIGINAL_ROOT = "1.2.826.0.1.3680043."
"""Of pydicom's generated UIDs, which the images here are made with."""

FIRST_DAY = date(2014, 1, 1)
DAYS = 3650
"""Planted dates span less than the least shift, so that no moved date is a planted one."""

READ_BY = {
    "Modality",
    "SOPClassUID",
    "BurnedInAnnotation",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelData",
    "SpecificCharacterSet",
}
"""Without these values there is no MR image to de-identify."""

NUMBERS = {"AT", "FD", "FL", "SL", "SS", "SV", "UL", "US", "UV"}
PRIVATE_GROUPS = (0x0009, 0x0011, 0x0019, 0x0029, 0x0051, 0x2001, 0x7FE1)


@dataclass
class Markers:
    """What was planted, and where.

    Attributes:
        grammatical: values that the VR allows; else text where text has no place, too.
        texts: marker and place.
        uids: original UIDs.
        dates: original dates, YYYYMMDD.
    """

    grammatical: bool
    texts: dict[str, str] = field(default_factory=dict)
    uids: set[str] = field(default_factory=set)
    dates: set[str] = field(default_factory=set)

    def text(self, where: str) -> str:
        """A new marker of 8 characters."""
        marker = f"ZQ{len(self.texts):05d}X"
        self.texts[marker] = where
        return marker

    def uid(self) -> str:
        """A new UID."""
        made = f"{UID_ROOT}{len(self.uids)}.1"
        self.uids.add(made)
        return made

    def day(self) -> str:
        """A new date."""
        if len(self.dates) >= DAYS:
            raise ValueError("no day is left")
        made = f"{FIRST_DAY + timedelta(days=len(self.dates)):%Y%m%d}"
        self.dates.add(made)
        return made

    def planted(self, source: bytes) -> int:
        """How many of them a source file really holds."""
        return len(self.left(source))

    def left(self, written: bytes) -> set[str]:
        """Markers, UIDs and dates that occur in the bytes, in one or two bytes a letter."""
        upper = written.upper()
        wide = upper.replace(b"\0", b"")
        found = {m.decode() for b in (upper, wide) for m in re.findall(rb"ZQ\d{5}X", b)}
        uids = {m.decode() for m in re.findall(rb"[\d.]+", wide)} & self.uids
        days = {m.decode() for m in re.findall(rb"(?<![\d.])(\d{8})", upper)} & self.dates
        long = {m for m in self.texts if not m.startswith("ZQ") and m.encode() in upper}
        return (found & set(self.texts)) | long | uids | days


def plant_everywhere(dataset: Dataset, markers: Markers, *, pixels: bool = True) -> None:
    """Plants in every attribute of the standard's dictionary, private ones, and what is around.

    Args:
        dataset: an image with file meta; its pixels stay as they are.
        markers: keeps what was planted.
        pixels: whether bytes are appended behind native pixels.
    """
    for item in list(_listed_items(dataset)):
        _plant(item, markers, TABLE_E1_1, "nested in a listed sequence")
        _plant_private(item, markers)
    tags = [tag for tag in DicomDictionary if tag >> 16 not in (0x0000, 0x0002, 0xFFFE)]
    _plant(dataset, markers, tags, "dictionary")
    _plant(dataset, markers, _repeated(), "repeating group")
    _plant_private(dataset, markers)
    for tag in (0x00081FFE, 0x00E00010, 0xFFFCFFFC):
        _set(dataset, Tag(tag), "OB", markers.text("unknown or padding").encode())
    if pixels:
        dataset.PixelData += markers.text("behind the pixels").encode()
    _plant_around(dataset, markers)


def as_file(dataset: Dataset) -> bytes:
    """The dataset as a DICOM file, with the preamble that it has."""
    out = io.BytesIO()
    dcmwrite(out, dataset, enforce_file_format=True)
    return out.getvalue()


def originals(dataset: Dataset, markers: Markers) -> None:
    """Adds the UIDs and dates that an image had before."""
    for element in dataset.iterall():
        if element.VR == "UI" and element.value and str(element.value).startswith(ORIGINAL_ROOT):
            markers.uids.add(str(element.value))
        if element.VR == "DA" and element.value:
            markers.dates.add(str(element.value))


def _listed_items(dataset: Dataset) -> Iterable[Dataset]:
    """Items of sequences that are there and that the allow-list lets through."""
    for element in list(dataset):
        if element.VR == "SQ":
            for item in element.value[:1]:
                yield item
                yield from _listed_items(item)


def _repeated() -> list[int]:
    return [
        int(mask.replace("xx", number).replace("x", "0"), 16)
        for mask in RepeatersDictionary
        for number in ("00", "02")
        if not mask.startswith(("7F", "00"))
    ]


def _plant(dataset: Dataset, markers: Markers, tags: Iterable[int], where: str) -> None:
    for number in tags:
        tag = Tag(number)
        keyword = keyword_for_tag(tag)
        if keyword in READ_BY or tag.group == 0x0002:
            continue
        vr = dictionary_VR(tag).split(" or ")[0]
        if vr == "SQ":
            if tag not in dataset:
                dataset.add_new(tag, "SQ", Sequence([_item(markers, keyword)]))
        elif vr != "NONE" and (value := _value(tag, vr, markers, f"{where}: {keyword}")):
            _set(dataset, tag, vr, value)


def _value(tag: BaseTag, vr: str, markers: Markers, where: str) -> bytes:
    if not markers.grammatical:
        return markers.text(f"{where} ({vr})").encode()
    if vr == "UI":
        value = markers.uid()
    elif vr == "DA":
        value = markers.day()
    elif vr == "DT":
        value = f"{markers.day()}031415.926535"
    elif vr == "TM":
        value = f"031415.{len(markers.texts):06d}"
        markers.texts[value] = where
    elif vr in ("DS", "IS"):
        if keyword_for_tag(tag) in MULTI_FRAME:  # a measurement, which stays
            return b""
        value = f"77{len(markers.texts):06d}" + (".25" if vr == "DS" else "")
        markers.texts[value] = where
    elif vr == "PN":
        value = f"{markers.text(where)}^{markers.text(where)}"
    elif vr == "UR":
        value = f"http://{markers.text(where)}.example"
    elif vr in NUMBERS or vr == "AS":
        return b""
    else:
        value = markers.text(where)
    return value.encode()


def _item(markers: Markers, keyword: str) -> Dataset:
    item = Dataset()
    where = f"in {keyword}"
    for name in ("PatientName", "CodeMeaning", "TextValue", "ReferencedSOPInstanceUID"):
        tag = Tag(name)
        vr = dictionary_VR(tag)
        _set(item, tag, vr, _value(tag, vr, markers, where))
    _plant_private(item, markers)
    return item


def _plant_private(dataset: Dataset, markers: Markers) -> None:
    for group in PRIVATE_GROUPS[:2] if len(dataset) < 30 else PRIVATE_GROUPS:
        _set(dataset, Tag(group, 0x10), "LO", markers.text("private creator").encode())
        for element, vr in ((0x1001, "LO"), (0x1002, "OB"), (0x1003, "UN")):
            _set(dataset, Tag(group, element), vr, markers.text(f"private {vr}").encode())


def _plant_around(dataset: Dataset, markers: Markers) -> None:
    dataset.preamble = markers.text("preamble").encode().ljust(128, b"\0")
    meta = dataset.file_meta
    meta.ImplementationClassUID = UID(markers.uid())
    meta.ImplementationVersionName = markers.text("implementation version")
    for name in ("Source", "Sending", "Receiving"):
        setattr(meta, f"{name}ApplicationEntityTitle", markers.text(f"{name} AE title"))
    meta.PrivateInformationCreatorUID = UID(markers.uid())
    meta.PrivateInformation = markers.text("private information").encode()


def _set(dataset: Dataset, tag: BaseTag, vr: str, value: bytes) -> None:
    padded = value + (b"\0" if vr in ("UI", "OB", "UN") else b" ") * (len(value) % 2)
    implicit = _syntax(dataset) == ImplicitVRLittleEndian
    dataset[tag] = RawDataElement(tag, vr, len(padded), padded, 0, implicit, True)


def _syntax(dataset: Dataset) -> str:
    meta = getattr(dataset, "file_meta", None)
    return meta.TransferSyntaxUID if meta is not None else ExplicitVRLittleEndian
