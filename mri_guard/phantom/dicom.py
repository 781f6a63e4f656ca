"""A volume as a series of single-frame MR images, as a scanner would send it.

MR Image IOD: PS3.3 A.4 and C.8.3.1. Whoever reads the header must see that nobody was scanned.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

from mri_guard.records import Contrast

SEQUENCES: dict[Contrast, dict[str, object]] = {
    Contrast.FLAIR: {
        "SeriesDescription": "AX FLAIR",
        "ProtocolName": "AX FLAIR",
        "ScanningSequence": ["SE", "IR"],
        "SequenceVariant": ["SK", "SP"],
        "RepetitionTime": 9000,
        "EchoTime": 120,
        "InversionTime": 2500,
        "FlipAngle": 150,
        "EchoTrainLength": 16,
    },
    Contrast.T1: {
        "SeriesDescription": "AX T1 MPRAGE",
        "ProtocolName": "AX T1 MPRAGE",
        "ScanningSequence": ["GR", "IR"],
        "SequenceVariant": ["SP", "MP"],
        "RepetitionTime": 2300,
        "EchoTime": 2.98,
        "InversionTime": 900,
        "FlipAngle": 9,
        "EchoTrainLength": 1,
    },
}

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0])


def write_dicom_series(
    voxels: NDArray[np.integer] | NDArray[np.floating],
    affine: NDArray[np.float64],
    out: Path,
    contrast: Contrast,
    seed: int | str,
) -> list[Path]:
    """The instances written, one for each slice, explicit little endian, 12 of 16 bits.

    Args:
        voxels: (x, y, z), 0..4095; fractions are rounded to the nearest integer.
        affine: (4, 4), voxel index to RAS+ mm; x, y and z orthogonal.
        out: folder, made when missing.
        contrast: FLAIR or T1.
        seed: UIDs are derived from it, so that the same study can be sent twice.

    Raises:
        ValueError: voxels outside 0..4095 or not finite, or no sequence for this contrast.
    """
    if contrast not in SEQUENCES:
        raise ValueError(f"no sequence for {contrast}; wanted {' or '.join(SEQUENCES)}")
    if not (voxels.min() >= 0 and voxels.max() <= 4095):  # not a number fails both comparisons
        raise ValueError(f"voxels {voxels.min()}..{voxels.max()}; wanted 0..4095")
    out.mkdir(parents=True, exist_ok=True)
    paths = []
    for z in range(voxels.shape[2]):
        image = _common(seed, contrast)
        _place(image, affine, seed, z)
        _set_pixels(image, np.rint(voxels[..., z]).astype(np.uint16))
        image.file_meta = FileMetaDataset()
        image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        paths.append(out / f"{z + 1:04d}.dcm")
        image.save_as(paths[-1], enforce_file_format=True)
    return paths


def _uid(seed: int | str, *use: str | int) -> str:
    return str(generate_uid(entropy_srcs=["mri-guard phantom", str(seed), *map(str, use)]))


def _common(seed: int | str, contrast: Contrast) -> Dataset:
    """What all instances of the series share."""
    image = Dataset()
    # Patient and study: PS3.3 C.7.1.1, C.7.2.1
    image.PatientName = "PHANTOM^SYNTHETIC"
    image.PatientID = f"PHANTOM-{seed}"
    image.PatientBirthDate = ""
    image.PatientSex = "O"
    image.StudyInstanceUID = _uid(seed, "study")
    image.StudyDate = image.SeriesDate = image.AcquisitionDate = image.ContentDate = "20260101"
    image.StudyTime = image.SeriesTime = image.AcquisitionTime = image.ContentTime = "120000"
    image.ReferringPhysicianName = ""
    image.StudyID = "1"
    image.AccessionNumber = ""
    image.StudyDescription = "SYNTHETIC HEAD"
    # Series, frame of reference, equipment: C.7.3.1, C.7.4.1, C.7.5.1
    image.Modality = "MR"
    image.SeriesInstanceUID = _uid(seed, "series")
    image.SeriesNumber = 1
    image.BodyPartExamined = "BRAIN"
    image.PatientPosition = "HFS"
    image.FrameOfReferenceUID = _uid(seed, "frame of reference")
    image.PositionReferenceIndicator = ""
    image.Manufacturer = "MRI Guard"
    image.ManufacturerModelName = "Phantom"
    image.DeviceSerialNumber = "0"
    image.SoftwareVersions = "0"
    # MR image: C.8.3.1
    image.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
    image.MRAcquisitionType = "2D"
    image.SequenceName = "phantom"
    image.ScanOptions = ""
    image.MagneticFieldStrength = 3
    for keyword, value in SEQUENCES[contrast].items():
        setattr(image, keyword, value)
    return image


def _place(image: Dataset, affine: NDArray[np.float64], seed: int | str, z: int) -> None:
    """General image and image plane: C.7.6.1, C.7.6.2."""
    lps = RAS_TO_LPS @ affine[:3]
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    position = lps @ [0, 0, z, 1]
    along_row, along_column = lps[:, 0] / spacing[0], lps[:, 1] / spacing[1]
    image.SOPClassUID = MRImageStorage
    image.SOPInstanceUID = _uid(seed, "instance", z)
    image.InstanceNumber = z + 1
    image.AcquisitionNumber = 1
    image.ImagePositionPatient = [_decimal(value) for value in position]
    image.ImageOrientationPatient = [_decimal(value) for value in (*along_row, *along_column)]
    image.SliceLocation = _decimal(position[2])
    image.SpacingBetweenSlices = image.SliceThickness = _decimal(spacing[2])
    image.PixelSpacing = [_decimal(spacing[1]), _decimal(spacing[0])]


def _set_pixels(image: Dataset, plane: NDArray[np.uint16]) -> None:
    """Image pixel: C.7.6.3; the array's x runs along a row."""
    rows = np.ascontiguousarray(plane.T, dtype="<u2")
    image.SamplesPerPixel = 1
    image.PhotometricInterpretation = "MONOCHROME2"
    image.Rows, image.Columns = rows.shape
    image.BitsAllocated, image.BitsStored, image.HighBit = 16, 12, 11
    image.PixelRepresentation = 0
    image.WindowCenter, image.WindowWidth = 1024, 2048
    image.PixelData = rows.tobytes()


def _decimal(value: float) -> str:
    """A DS of at most 16 characters (PS3.5 6.2), without a negative zero."""
    return f"{round(float(value), 6) + 0.0:.10g}"
