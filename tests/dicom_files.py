"""Small MR series that every check accepts, built in code; tests break them in one place each."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    UID,
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    generate_uid,
)

SHAPE = (24, 32, 28)
"""Slices, rows, columns."""

SPACING = (6.0, 5.5, 6.5)
"""Between slices, rows and columns, mm."""

OBLIQUE = (
    *(0.9986295347545738, 0.0, -0.052335956242943835),
    *(0.0045613, 0.9961947, 0.0870362),
)
"""Direction cosines of a slightly tilted axial stack, before they are made square."""


def head(shape: tuple[int, int, int] = SHAPE) -> NDArray[np.uint16]:
    """uint16, (slice, row, column): a bright ball with texture, no two slices alike."""
    rng = np.random.default_rng(7)
    grid = np.meshgrid(*(np.linspace(-1, 1, length) for length in shape), indexing="ij")
    inside = sum(axis**2 for axis in grid) < 0.9
    image = inside * (400 + 100 * grid[0]) + rng.normal(0, 20, shape)
    return np.clip(image, 0, 4095).astype(np.uint16)


def axes(orientation: Sequence[float] = OBLIQUE) -> NDArray[np.float64]:
    """float64, (3, 3): unit row direction, column direction and normal as rows, LPS."""
    row = np.array(orientation[:3]) / np.linalg.norm(orientation[:3])
    column = np.array(orientation[3:]) - row * (row @ orientation[3:])
    column /= np.linalg.norm(column)
    return np.array([row, column, np.cross(row, column)])


def mr_slices(
    pixels: NDArray[np.generic] | None = None,
    spacing: tuple[float, float, float] = SPACING,
    orientation: Sequence[float] = OBLIQUE,
    name: str = "made",
    **attributes: Any,
) -> list[Dataset]:
    """One FLAIR series of single-frame MR Image Storage, in order along the normal.

    Args:
        pixels: uint16 or int16, (slice, row, column); a head when not given.
        spacing: between slices, rows, columns, mm.
        orientation: direction cosines along a row and along a column.
        name: series of other names have other UIDs.
        attributes: DICOM keywords to set in every instance; None deletes one.
    """
    volume = head() if pixels is None else pixels
    row, column, normal = axes(orientation)
    corner = -0.5 * (
        row * spacing[2] * volume.shape[2]
        + column * spacing[1] * volume.shape[1]
        + normal * spacing[0] * volume.shape[0]
    )
    slices = []
    for index, image in enumerate(volume):
        made = _common(name, MRImageStorage, f"{name}-{index}", image)
        made.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND"]
        made.ScanningSequence, made.SequenceVariant = ["SE", "IR"], ["SK", "SP"]
        made.ScanOptions, made.MRAcquisitionType = "", "2D"
        made.RepetitionTime, made.EchoTime, made.InversionTime = 9000, 120, 2500
        made.EchoTrainLength, made.FlipAngle = 16, 150
        made.InstanceNumber = index + 1
        made.ImagePositionPatient = _decimals(corner + normal * spacing[0] * index)
        made.ImageOrientationPatient = _decimals([*row, *column])
        made.PixelSpacing = [spacing[1], spacing[2]]
        made.SliceThickness = round(
            spacing[0] * 0.8, 6
        )  # thinner than the spacing, as with a slice gap
        made.PixelData = image.tobytes()
        _set(made, attributes)
        slices.append(made)
    return slices


def enhanced_mr(
    pixels: NDArray[np.generic] | None = None,
    spacing: tuple[float, float, float] = SPACING,
    order: Sequence[int] | None = None,
    **attributes: Any,
) -> Dataset:
    """The same series as one Enhanced MR instance, its frames in any `order`."""
    singles = mr_slices(pixels, spacing)
    volume = head() if pixels is None else pixels
    order = range(len(volume)) if order is None else order
    made = _common("enhanced", EnhancedMRImageStorage, "enhanced-1", volume[0])
    made.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    made.NumberOfFrames = len(volume)
    made.InstanceNumber = 1
    made.EchoPulseSequence, made.EchoPlanarPulseSequence = "SPIN", "NO"
    shared = Dataset()
    shared.PixelMeasuresSequence = [
        _item(PixelSpacing=[spacing[1], spacing[2]], SliceThickness=spacing[0])
    ]
    shared.PlaneOrientationSequence = [
        _item(ImageOrientationPatient=singles[0].ImageOrientationPatient)
    ]
    shared.MRTimingAndRelatedParametersSequence = [_item(RepetitionTime=9000.0, FlipAngle=150.0)]
    shared.MREchoSequence = [_item(EffectiveEchoTime=120.0)]
    shared.MRModifierSequence = [_item(InversionRecovery="YES", InversionTimes=2500.0)]
    shared.MRImageFrameTypeSequence = [
        _item(
            FrameType=made.ImageType,
            AcquisitionContrast="FLUID_ATTENUATED",
            ComplexImageComponent="MAGNITUDE",
        )
    ]
    shared.PixelValueTransformationSequence = [
        _item(RescaleIntercept=0, RescaleSlope=1, RescaleType="US")
    ]
    made.SharedFunctionalGroupsSequence = [shared]
    made.PerFrameFunctionalGroupsSequence = [
        _item(
            PlanePositionSequence=[_item(ImagePositionPatient=singles[at].ImagePositionPatient)],
            FrameContentSequence=[_item(StackID="1", InStackPositionNumber=at + 1)],
        )
        for at in order
    ]
    made.PixelData = np.ascontiguousarray(volume[list(order)]).tobytes()
    _set(made, attributes)
    return made


def write(datasets: Sequence[Dataset], folder: Path, prefix: str = "IM") -> list[Path]:
    """Paths of the datasets written as DICOM files, in the order given."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{prefix}{index:04d}.dcm" for index in range(len(datasets))]
    for dataset, path in zip(datasets, paths, strict=True):
        dcmwrite(path, dataset, enforce_file_format=True)
    return paths


def write_series(
    folder: Path,
    change: Callable[[list[Dataset]], object] | None = None,
    **options: Any,
) -> list[Path]:
    """Paths of a whole series (`mr_slices`), after `change` had its way with it."""
    slices = mr_slices(**options)
    if change is not None:
        change(slices)
    return write(slices, folder)


def _common(name: str, sop_class: UID, instance: str, image: NDArray[np.generic]) -> Dataset:
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID = sop_class
    made.SOPInstanceUID = uid("instance", instance)
    made.StudyInstanceUID = uid("study", "made")
    made.SeriesInstanceUID = uid("series", name)
    made.FrameOfReferenceUID = uid("frame of reference", "made")
    made.PatientName, made.PatientID = "Made^Up", "MADE-1"
    made.PatientBirthDate, made.PatientSex = "19700101", "O"
    made.StudyDate = made.SeriesDate = made.ContentDate = "20250102"
    made.StudyTime = made.SeriesTime = made.ContentTime = "101112"
    made.AccessionNumber = made.StudyID = made.ReferringPhysicianName = ""
    made.Modality, made.Manufacturer = "MR", "SIEMENS"
    made.SeriesDescription, made.ProtocolName = "Ax T2 FLAIR", "Ax T2 FLAIR"
    made.SeriesNumber, made.MagneticFieldStrength = 4, 3.0
    made.BodyPartExamined, made.PositionReferenceIndicator = "HEAD", ""
    made.PatientPosition = "HFS"
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.Rows, made.Columns = image.shape
    made.BitsAllocated = 8 * image.dtype.itemsize
    made.BitsStored = 8 * image.dtype.itemsize
    made.HighBit = 8 * image.dtype.itemsize - 1
    made.PixelRepresentation = int(image.dtype.kind == "i")
    return made


def uid(*words: str) -> UID:
    """The same UID for the same words."""
    return generate_uid(entropy_srcs=list(words))


def _item(**attributes: Any) -> Dataset:
    made = Dataset()
    _set(made, attributes)
    return made


def _set(dataset: Dataset, attributes: dict[str, Any]) -> None:
    for keyword, value in attributes.items():
        if value is None:
            del dataset[keyword]
        else:
            setattr(dataset, keyword, value)


def _decimals(values: Sequence[float] | NDArray[np.float64]) -> list[str]:
    """Decimal Strings of at most 16 characters (PS3.5 section 6.2)."""
    return [f"{value:.9f}"[:16] for value in values]
