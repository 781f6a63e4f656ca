"""Volumes of series built in code, and of the same series as dcm2niix and nibabel read it."""

import subprocess
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from mri_guard.errors import SeriesError, UnreadableError
from mri_guard.readers.dicom_series import read_series
from mri_guard.records import Contrast, Scan
from tests.dicom_files import enhanced_mr, head, mr_slices, write, write_series
from tests.peers import peer

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # nibabel calls its own DICOM reader experimental
    from nibabel.nicom.dicomwrappers import wrapper_from_data


def canonical(scan: Scan) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    image = nib.as_closest_canonical(nib.Nifti1Image(scan.voxels, scan.affine))
    return np.asarray(image.dataobj), image.affine


def as_dcm2niix_reads_it(
    folder: Path, out: Path
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    out.mkdir()
    command = [peer("dcm2niix"), "-b", "n", "-z", "n", "-f", "out", "-o", str(out), str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    (path,) = out.glob("*.nii")
    image = nib.as_closest_canonical(nib.load(path))
    return np.asarray(image.dataobj), image.affine


def test_gives_every_voxel_its_place_in_the_patient(tmp_path: Path) -> None:
    scan = read_series(write_series(tmp_path))
    assert np.array_equal(scan.voxels, head().T)
    for index, single in enumerate(mr_slices()):
        corner = np.array([float(at) for at in single.ImagePositionPatient])
        seen = scan.affine @ [0, 0, index, 1]
        assert np.allclose(seen[:3], corner * [-1, -1, 1], atol=1e-6)
    assert scan.header.slice_count == 24
    assert np.allclose(scan.header.spacing_mm, (6.5, 5.5, 6.0), atol=1e-6)
    assert scan.header.contrast is Contrast.FLAIR
    assert scan.header.manufacturer == "SIEMENS"


@settings(max_examples=10, deadline=None)
@given(st.permutations(range(24)))
def test_gives_the_same_volume_whatever_order_instances_come_in(order: list[int]) -> None:
    in_order, permuted = read_series(_WRITTEN), read_series([_WRITTEN[at] for at in order])
    assert np.array_equal(in_order.voxels, permuted.voxels)
    assert np.allclose(in_order.affine, permuted.affine, atol=1e-9)


@pytest.fixture(scope="module", autouse=True)
def written(tmp_path_factory: pytest.TempPathFactory) -> None:
    _WRITTEN.extend(write_series(tmp_path_factory.mktemp("series")))


_WRITTEN: list[Path] = []


@pytest.mark.parametrize("enhanced", [False, True], ids=["single-frame", "multi-frame"])
def test_agrees_with_dcm2niix(tmp_path: Path, enhanced: bool) -> None:
    signed = head().astype(np.int16) - 1000
    datasets = [enhanced_mr(signed, order=_shuffled())] if enhanced else mr_slices(signed)
    paths = write(datasets, tmp_path / "in")
    voxels, affine = canonical(read_series(paths))
    their_voxels, their_affine = as_dcm2niix_reads_it(tmp_path / "in", tmp_path / "out")
    assert np.allclose(affine, their_affine, rtol=0, atol=1e-3)
    assert np.array_equal(voxels, their_voxels)


@pytest.mark.parametrize(
    "orientation", [(1, 0, 0, 0, 1, 0), (0, 1, 0, 0, 0, -1), (1, 0, 0, 0, 0, -1)]
)
def test_agrees_with_dcm2niix_on_straight_stacks(
    tmp_path: Path, orientation: tuple[float, ...]
) -> None:
    paths = write_series(tmp_path / "in", orientation=orientation)
    voxels, affine = canonical(read_series(paths))
    their_voxels, their_affine = as_dcm2niix_reads_it(tmp_path / "in", tmp_path / "out")
    assert np.allclose(affine, their_affine, rtol=0, atol=1e-3)
    assert np.array_equal(voxels, their_voxels)


def test_agrees_with_dcm2niix_on_a_real_series(shared_data: Path, tmp_path: Path) -> None:
    archive = shared_data / "dicom" / "series_t1.zip"
    (tmp_path / "in").mkdir()
    with zipfile.ZipFile(archive) as zipped:
        zipped.extractall(tmp_path / "in")
    voxels, affine = canonical(read_series(sorted((tmp_path / "in").rglob("*.dcm"))))
    their_voxels, their_affine = as_dcm2niix_reads_it(tmp_path / "in", tmp_path / "out")
    assert np.allclose(affine, their_affine, rtol=0, atol=1e-3)
    assert np.array_equal(voxels, their_voxels)


def test_agrees_with_dcm2niix_on_a_real_enhanced_scan(shared_data: Path, tmp_path: Path) -> None:
    (path,) = (shared_data / "dicom" / "enhanced").rglob("*acq-tfl/*.dcm")
    voxels, affine = canonical(read_series([path]))
    their_voxels, their_affine = as_dcm2niix_reads_it(path.parent, tmp_path / "out")
    assert np.allclose(affine, their_affine, rtol=0, atol=1e-3)
    assert np.array_equal(voxels, their_voxels)


def test_agrees_with_nibabel_slice_by_slice(tmp_path: Path) -> None:
    paths = write_series(tmp_path)
    scan = read_series(paths)
    for index, path in enumerate(paths):
        theirs = wrapper_from_data(dcmread(path))
        for row, column in ((0, 0), (31, 27), (5, 20)):
            lps = (theirs.affine @ [row, column, 0, 1])[:3]
            assert np.allclose(
                (scan.affine @ [column, row, index, 1])[:3], lps * [-1, -1, 1], atol=1e-3
            )
        assert np.array_equal(theirs.get_data().T, scan.voxels[:, :, index])


def test_agrees_with_nibabel_on_multi_frame(tmp_path: Path) -> None:
    enhanced = enhanced_mr()
    for at, group in enumerate(enhanced.PerFrameFunctionalGroupsSequence):
        group.FrameContentSequence[0].DimensionIndexValues = [1, at + 1]
    pointer = Dataset()
    pointer.DimensionIndexPointer, pointer.FunctionalGroupPointer = 0x00209056, 0x00209111
    second = Dataset()
    second.DimensionIndexPointer, second.FunctionalGroupPointer = 0x00209057, 0x00209111
    enhanced.DimensionIndexSequence = [pointer, second]
    path = write([enhanced], tmp_path)[0]
    scan, theirs = read_series([path]), wrapper_from_data(dcmread(path))
    assert np.array_equal(theirs.get_data().transpose(1, 0, 2)[:, :, ::-1], scan.voxels)
    for row, column, index in ((0, 0, 0), (31, 27, 23), (5, 20, 7)):
        lps = (theirs.affine @ [row, column, 23 - index, 1])[:3]  # theirs run down the normal
        ras = (scan.affine @ [column, row, index, 1])[:3]
        assert np.allclose(ras, lps * [-1, -1, 1], atol=1e-3)


def test_takes_spacing_from_positions_not_slice_thickness(tmp_path: Path) -> None:
    scan = read_series(write_series(tmp_path, SliceThickness=1.0, SpacingBetweenSlices=2.0))
    assert scan.header.spacing_mm[2] == pytest.approx(6.0, abs=1e-6)


def test_reads_single_and_multi_frame_alike(tmp_path: Path) -> None:
    one = read_series(write([enhanced_mr(order=_shuffled())], tmp_path))
    many = read_series(_WRITTEN)
    assert np.array_equal(one.voxels, many.voxels)
    assert np.allclose(one.affine, many.affine, atol=1e-9)
    assert one.header == many.header


def test_rescales_each_slice_by_its_own_slope(tmp_path: Path) -> None:
    def rescale(slices: list[Dataset]) -> None:
        for index, made in enumerate(slices):
            made.RescaleSlope, made.RescaleIntercept = 1 + index / 8, -index

    scan = read_series(write_series(tmp_path, rescale))
    index = np.arange(24, dtype=np.float32)
    assert np.array_equal(scan.voxels, head().T * (1 + index / 8) - index)


def test_rescales_each_frame_by_its_own_slope(tmp_path: Path) -> None:
    enhanced = enhanced_mr()
    del enhanced.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence
    for index, group in enumerate(enhanced.PerFrameFunctionalGroupsSequence):
        rescale = Dataset()
        rescale.RescaleSlope, rescale.RescaleIntercept = 1 + index / 8, -index
        group.PixelValueTransformationSequence = [rescale]
    scan = read_series(write([enhanced], tmp_path))
    index_of = np.arange(24, dtype=np.float32)
    assert np.array_equal(scan.voxels, head().T * (1 + index_of / 8) - index_of)


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless])
def test_decodes_what_was_compressed_without_loss(tmp_path: Path, syntax: str) -> None:
    def compress(slices: list[Dataset]) -> None:
        for made in slices:
            made.compress(syntax)

    image = head((4, 64, 64))  # JPEG 2000 halves a side five times
    assert np.array_equal(
        read_series(write_series(tmp_path, compress, pixels=image)).voxels, image.T
    )


@pytest.mark.parametrize("option", ["+el", "+e1"])
def test_decodes_lossless_jpeg(tmp_path: Path, option: str) -> None:
    paths = []
    for path in _WRITTEN[:4]:
        paths.append(tmp_path / path.name)
        subprocess.run([peer("dcmcjpeg"), option, str(path), str(paths[-1])], check=True)
    assert np.array_equal(read_series(paths).voxels, head()[:4].T)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_reads_every_byte_order(tmp_path: Path, syntax: UID) -> None:
    def convert(slices: list[Dataset]) -> None:
        for made in slices:
            made.file_meta.TransferSyntaxUID = syntax
            if syntax == ExplicitVRBigEndian:
                made.PixelData = np.frombuffer(made.PixelData, "<u2").astype(">u2").tobytes()

    assert np.array_equal(read_series(write_series(tmp_path, convert)).voxels, head().T)


def test_drops_and_counts_copies(tmp_path: Path) -> None:
    paths = write_series(tmp_path)
    copy = write([mr_slices()[3]], tmp_path, prefix="COPY")
    scan = read_series(copy + paths)
    assert np.array_equal(scan.voxels, head().T)
    assert scan.header.duplicates == 1


def test_leaves_missing_slices_unknown_and_counts_them(tmp_path: Path) -> None:
    paths = write_series(tmp_path)
    scan = read_series(paths[:5] + paths[7:])
    assert scan.header.gaps == 2
    assert scan.header.slice_count == 24
    assert np.isnan(scan.voxels[:, :, 5:7]).all()
    assert np.array_equal(np.delete(scan.voxels, (5, 6), 2), np.delete(head().T, (5, 6), 2))


def _second_echo(slices: list[Dataset]) -> None:
    slices += mr_slices(head() // 2, EchoTime=20)


def _second_time_point(slices: list[Dataset]) -> None:
    slices += mr_slices(head() // 2)


def _other_pixels_at_one_place(slices: list[Dataset]) -> None:
    slices.append(mr_slices(head() // 2)[7])


def _other_matrix(slices: list[Dataset]) -> None:
    slices[3] = mr_slices(head((24, 30, 28)))[3]
    slices[3].ImagePositionPatient = mr_slices()[3].ImagePositionPatient


def _crooked(slices: list[Dataset]) -> None:
    slices[3].ImageOrientationPatient = [0, 1, 0, 0, 0, -1]


def _mosaic(slices: list[Dataset]) -> None:
    for made in slices:
        made.ImageType = ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_second_echo, "several-volumes"),
        (_second_time_point, "several-volumes"),
        (_other_pixels_at_one_place, "slices-conflict"),
        (_other_matrix, "matrix-mixed"),
        (_crooked, "orientation-mixed"),
        (_mosaic, "mosaic"),
        (lambda slices: slices.__delitem__(slice(1, None)), "too-few-slices"),
    ],
)
def test_refuses_what_is_not_one_volume(
    tmp_path: Path, change: Callable[[list[Dataset]], None], reason: str
) -> None:
    with pytest.raises(SeriesError) as caught:
        read_series(write_series(tmp_path, change))
    assert caught.value.reason == reason


def test_refuses_time_points_of_an_enhanced_series(tmp_path: Path) -> None:
    points = []
    for point in (1, 2):
        enhanced = enhanced_mr(head() // point, SOPInstanceUID=f"1.2.{point}")
        for group in enhanced.PerFrameFunctionalGroupsSequence:
            group.FrameContentSequence[0].TemporalPositionIndex = point
        points.append(enhanced)
    with pytest.raises(SeriesError, match="several-volumes"):
        read_series(write(points, tmp_path))


def test_refuses_pixels_that_end_early(tmp_path: Path) -> None:
    paths = write_series(tmp_path)
    paths[2].write_bytes(paths[2].read_bytes()[:-50])
    with pytest.raises(UnreadableError, match="pixels-do-not-decode"):
        read_series(paths)


def test_says_nothing_of_whom_it_shows(tmp_path: Path) -> None:
    scan = read_series(write_series(tmp_path, Manufacturer="Made^Up Inc."))
    assert scan.header.manufacturer == "other"
    assert "Made" not in scan.header.model_dump_json()


def _shuffled() -> list[int]:
    return [int(at) for at in np.random.default_rng(3).permutation(24)]
