"""De-identifies one MR instance: an allow-list, then a scan of what was written."""

import io
from dataclasses import dataclass, field
from pathlib import Path

from pydicom import Dataset, FileDataset, dcmread, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, EnhancedMRImageStorage, MRImageStorage

from mri_guard.deidentify.allow_list import MULTI_FRAME, SINGLE_FRAME, AllowList
from mri_guard.deidentify.dates import shift_days
from mri_guard.deidentify.identity import Identity, attributes_of
from mri_guard.deidentify.key import DeidentificationKey
from mri_guard.deidentify.pixels import set_pixels
from mri_guard.deidentify.residue import identifying, require_clean
from mri_guard.deidentify.rewrite import rewritten
from mri_guard.deidentify.rules import Patient
from mri_guard.deidentify.uids import IMPLEMENTATION_CLASS_UID, is_registered, keyed_uid
from mri_guard.errors import InputError, LimitError, UnreadableError
from mri_guard.readers.headers import MAX_HEADER_READS, has_part10_prefix
from mri_guard.readers.transfer_syntaxes import ALLOWED, NATIVE
from mri_guard.readers.values import quietly, text, uid_name

IMPLEMENTATION_VERSION_NAME = "MRI_GUARD_DEID"
ALLOW_LISTS: dict[str, AllowList] = {
    MRImageStorage: SINGLE_FRAME,
    EnhancedMRImageStorage: MULTI_FRAME,
}
_INSTANCE_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")


@dataclass(frozen=True, slots=True)
class Deidentified:
    """One instance without its patient, and the patient apart.

    Attributes:
        content: a DICOM file (PS3.10).
        sop_instance_uid: the new one.
        identity: what was taken out; seal it before it is stored.
    """

    content: bytes
    sop_instance_uid: str
    identity: Identity = field(repr=False)


def deidentify(source: Path | bytes, key: DeidentificationKey) -> Deidentified:
    """The instance as PS3.15 annex E asks for it; docs/deidentification.md says how far.

    Raises:
        UnreadableError: `not-dicom`, `does-not-parse`, `transfer-syntax`, `uid-missing`, or its
            pixels cannot be rewritten (see `pixels.set_pixels`).
        LimitError: `header-too-long`, `decoder-memory`.
        InputError: `sop-class`, `modality`, `burned-in-annotation`, `deidentification-residue`.
        OSError: the file cannot be read.
    """
    content = source if isinstance(source, bytes) else source.read_bytes()
    with quietly():  # what pydicom warns and logs of may quote values
        return _deidentified(content, key)


def identity_of(dataset: Dataset, key: DeidentificationKey) -> Identity:
    """What `deidentify` would take out of an instance and keep apart; no pixels needed."""
    return _patient(dataset, key)[1]


def _deidentified(content: bytes, key: DeidentificationKey) -> Deidentified:
    # 1. Parse, inflating nothing, and gather what must not come out again.
    dataset = _parse(content)
    try:
        names = identifying(dataset, content[:128])
    except RecursionError as failure:
        raise UnreadableError("does-not-parse", "sequences nested too deeply") from failure

    # 2. Is it an object that the allow-list was made for?
    allowed, syntax = _kind(dataset)

    # 3. Write what the list lets through, under other UIDs, on other days.
    patient, identity = _patient(dataset, key)
    made = rewritten(dataset, allowed, patient)
    try:
        set_pixels(dataset, made, syntax)
        written = _written(made, syntax)
    except MemoryError as failure:
        raise LimitError("decoder-memory", "more memory needed than there is") from failure

    # 4. Look whether any of it is there nevertheless.
    split = len(written) - len(made.PixelData) - (0 if syntax in NATIVE else 8)
    grammatical = [text(made, "SequenceName")]
    require_clean(names, written[:split], written[split:], grammatical)
    return Deidentified(written, str(made.SOPInstanceUID), identity)


class _Bytes(io.BytesIO):
    """Bytes that refuse to be read to the end, as pydicom does to inflate them, or on and on."""

    _reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            raise UnreadableError("transfer-syntax", "a deflated dataset; it is not inflated")
        self._reads += 1
        if self._reads > MAX_HEADER_READS:
            raise LimitError("header-too-long", f"more than {MAX_HEADER_READS} reads")
        return super().read(size)


def _parse(content: bytes) -> FileDataset:
    if not has_part10_prefix(content[:132]):
        raise UnreadableError("not-dicom", "no DICM behind the preamble")
    try:
        return dcmread(_Bytes(content))
    except InputError:
        raise
    except Exception as failure:
        raise UnreadableError("does-not-parse", type(failure).__name__) from failure


def _kind(dataset: FileDataset) -> tuple[AllowList, UID]:
    syntax = text(dataset.file_meta, "TransferSyntaxUID")
    if syntax not in ALLOWED:
        raise UnreadableError("transfer-syntax", uid_name(dataset.file_meta, "TransferSyntaxUID"))
    sop_class = text(dataset, "SOPClassUID")
    if sop_class not in ALLOW_LISTS:
        seen = uid_name(dataset, "SOPClassUID")
        raise InputError("sop-class", f"{seen} seen; MR or Enhanced MR wanted")
    if text(dataset, "Modality") != "MR":
        raise InputError("modality", "another modality than MR")
    if text(dataset, "BurnedInAnnotation").upper() not in {"", "NO"}:
        raise InputError("burned-in-annotation", "text in the pixels, which is not removed")
    return ALLOW_LISTS[sop_class], UID(syntax)


def _patient(dataset: Dataset, key: DeidentificationKey) -> tuple[Patient, Identity]:
    for keyword in _INSTANCE_UIDS:
        uid = text(dataset, keyword)
        if not uid or "\\" in uid:
            raise UnreadableError("uid-missing", f"{keyword}: one value wanted")
    who = next(
        found
        for keyword in ("PatientID", "PatientName", "StudyInstanceUID")
        if (found := text(dataset, keyword))
    )
    days = shift_days(key, who)
    pseudonym = f"P-{key.digest('pseudonym', who)[:8].hex()}"
    uids = {uid: keyed_uid(key, uid) for uid in (text(dataset, name) for name in _INSTANCE_UIDS)}
    frame = text(dataset, "FrameOfReferenceUID")
    if frame and not is_registered(frame):
        uids[frame] = keyed_uid(key, frame)
    identity = Identity(
        attributes=attributes_of(dataset), uids=uids, shift_days=days, key_name=key.name
    )
    return Patient(key, days, pseudonym), identity


def _written(made: Dataset, syntax: UID) -> bytes:
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = syntax
    made.file_meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    made.file_meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    out = io.BytesIO()
    dcmwrite(out, made, enforce_file_format=True)
    return out.getvalue()
