"""Each defect of a whole series, built in code, and the reason it is refused for."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.uid import generate_uid

from mri_guard.readers import read_header
from mri_guard.records import Contrast, Rejection
from mri_guard.sanitize import SERIES_CHECKS
from mri_guard.sanitize.series_checks.contrast_known import ContrastKnown
from mri_guard.sanitize.series_checks.physics import Physics
from mri_guard.sanitize.series_checks.series_size import SeriesSize
from mri_guard.sanitize.series_checks.unique_instances import UniqueInstances
from tests.dicom_files import enhanced_mr, head, mr_slices, write, write_series

Change = Callable[[list[Dataset]], object]


def first_rejection(paths: list[Path]) -> tuple[str, Rejection] | None:
    headers = [read_header(path) for path in paths]
    for check in SERIES_CHECKS:
        if (rejection := check(headers)) is not None:
            return check.name, rejection
    return None


def one(**attributes: object) -> Change:
    """Sets attributes of the fifth instance alone."""

    def change(slices: list[Dataset]) -> None:
        for keyword, value in attributes.items():
            setattr(slices[4], keyword, value)

    return change


def every(**attributes: object) -> Change:
    def change(slices: list[Dataset]) -> None:
        for made in slices:
            for keyword, value in attributes.items():
                setattr(made, keyword, value)

    return change


def keep(*numbers: int) -> Change:
    def change(slices: list[Dataset]) -> None:
        slices[:] = [slices[number] for number in numbers]

    return change


def second_echo(slices: list[Dataset]) -> None:
    echoes = mr_slices(head() // 2, EchoTime=20)
    for made in echoes:
        made.SOPInstanceUID = generate_uid()
    slices += echoes


def copied_uid(slices: list[Dataset]) -> None:
    slices[4].SOPInstanceUID = slices[5].SOPInstanceUID


def test_accepts_whole_series(tmp_path: Path) -> None:
    assert first_rejection(write_series(tmp_path / "single")) is None
    assert first_rejection(write([enhanced_mr()], tmp_path / "enhanced")) is None


@pytest.mark.parametrize(
    ("change", "check", "reason"),
    [
        pytest.param(change, check, reason, id=f"{reason}-{number}")
        for number, (change, check, reason) in enumerate(
            [
                (one(StudyInstanceUID="1.2.3"), "one_series", "several-studies"),
                (one(SeriesInstanceUID="1.2.3"), "one_series", "several-series"),
                (one(FrameOfReferenceUID="1.2.3"), "one_series", "several-frames-of-reference"),
                (one(StudyInstanceUID=""), "one_series", "uid-missing"),
                (one(PatientID="MADE-2"), "one_patient", "several-patients"),
                (one(PatientName="Other^Name"), "one_patient", "several-patients"),
                (one(PatientBirthDate="19700102"), "one_patient", "several-patients"),
                (one(PatientSex="F"), "one_patient", "several-patients"),
                (copied_uid, "unique_instances", "uid-collision"),
                (one(BodyPartExamined="KNEE"), "body_part", "body-part"),
                (every(MagneticFieldStrength=3000), "physics", "physics-not-plausible"),
                (every(FlipAngle=1500), "physics", "physics-not-plausible"),
                (every(SliceThickness=500), "physics", "physics-not-plausible"),
                (
                    every(MagneticFieldStrength=3, ImagingFrequency=63.87),
                    "physics",
                    "physics-not-plausible",
                ),
                (one(RepetitionTime=8000), "one_acquisition", "acquisition-mixed"),
                (one(EchoTime=110), "one_acquisition", "acquisition-mixed"),
                (one(FlipAngle=90), "one_acquisition", "acquisition-mixed"),
                (one(InversionTime=None), "one_acquisition", "acquisition-mixed"),
                (one(SequenceName="other"), "one_acquisition", "acquisition-mixed"),
                (one(ContrastBolusAgent="Agent"), "one_acquisition", "acquisition-mixed"),
                (one(EchoNumbers=2), "one_acquisition", "acquisition-mixed"),
                (one(BitsStored=11, HighBit=10), "one_acquisition", "acquisition-mixed"),
                (every(BodyPartExamined="CHEST"), "body_part", "body-part"),
                (
                    every(ScanningSequence="EP"),
                    "contrast_known",
                    "contrast-not-in-bundle",
                ),
                (one(SeriesDescription="Sag T1"), "contrast_known", "contrast-unknown"),
                (
                    one(ImageOrientationPatient=[0, 1, 0, 0, 0, -1]),
                    "slice_stack",
                    "orientation-mixed",
                ),
                (one(PixelSpacing=[1, 1]), "slice_stack", "orientation-mixed"),
                (keep(*range(0, 24, 2), 1), "slice_stack", "slices-missing"),
                (keep(*range(10), *range(11, 24)), "slice_stack", "slices-missing"),
                (keep(*range(12)), "slice_stack", "stack-too-short"),
                (keep(*range(6)), "slice_stack", "too-few-slices"),
                (keep(3), "slice_stack", "too-few-slices"),
                (second_echo, "slice_stack", "several-volumes"),
            ]
        )
    ],
)
def test_refuses_by_name(tmp_path: Path, change: Change, check: str, reason: str) -> None:
    found = first_rejection(write_series(tmp_path, change))
    assert found is not None
    assert (found[0], found[1].reason) == (check, reason)


def test_takes_one_file_twice_for_no_collision(tmp_path: Path) -> None:
    headers = [read_header(path) for path in write_series(tmp_path)]
    assert UniqueInstances()([*headers, headers[0]]) is None
    nameless = headers[0].dataset
    assert nameless is not None
    del nameless.SOPInstanceUID
    assert UniqueInstances()(headers) == Rejection(
        "uid-missing", "an instance without SOPInstanceUID"
    )


@pytest.mark.parametrize(
    "same",
    [
        {"RepetitionTime": 9001},
        {"ImageType": ["ORIGINAL", "PRIMARY", "OTHER", "SLAB 2"]},
        {"SliceLocation": 7},
    ],
)
def test_lets_scanners_trim_a_slice(tmp_path: Path, same: dict[str, object]) -> None:
    paths = write_series(
        tmp_path,
        lambda slices: [
            every(ImageType=["ORIGINAL", "PRIMARY", "OTHER"])(slices),
            one(**same)(slices),
        ],
    )
    assert first_rejection(paths) is None


@pytest.mark.parametrize(
    ("field", "frequency"), [(1.5, 63.87), (3, 123.25), (2.89362, 123.21), (0.55, 23.6), (7, 297.2)]
)
def test_knows_the_frequency_of_the_proton(tmp_path: Path, field: float, frequency: float) -> None:
    paths = write_series(tmp_path, MagneticFieldStrength=field, ImagingFrequency=frequency)
    assert Physics()([read_header(path) for path in paths]) is None


def test_refuses_an_echo_after_the_next_excitation(tmp_path: Path) -> None:
    paths = write_series(tmp_path, RepetitionTime=100, EchoTime=120)
    found = Physics()([read_header(path) for path in paths])
    assert found == Rejection("physics-not-plausible", "an echo after 120 ms, repeated every 100")


def frames(made: Dataset) -> list[Dataset]:
    return list(made.PerFrameFunctionalGroupsSequence)


def twice(made: Dataset) -> None:
    made.SharedFunctionalGroupsSequence.append(Dataset())


def in_some(made: Dataset) -> None:
    frames(made)[3].PlaneOrientationSequence = made.SharedFunctionalGroupsSequence[
        0
    ].PlaneOrientationSequence


def second_stack(made: Dataset) -> None:
    frames(made)[3].FrameContentSequence[0].StackID = "2"


def thicker(made: Dataset) -> None:
    shared = made.SharedFunctionalGroupsSequence[0]
    measures = shared.PixelMeasuresSequence[0]
    del shared.PixelMeasuresSequence
    for number, frame in enumerate(frames(made)):
        own = Dataset()
        own.PixelSpacing = measures.PixelSpacing
        own.SliceThickness = 6.0 if number == 3 else 5.0
        frame.PixelMeasuresSequence = [own]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (twice, "functional-groups"),
        (in_some, "functional-groups"),
        (second_stack, "several-stacks"),
        (thicker, "frames-mixed"),
    ],
)
def test_refuses_frames_that_contradict_each_other(
    tmp_path: Path, change: Callable[[Dataset], None], reason: str
) -> None:
    made = enhanced_mr()
    change(made)
    found = first_rejection(write([made], tmp_path))
    assert found is not None
    assert (found[0], found[1].reason) == ("functional_groups", reason)


def test_refuses_a_stack_with_a_slice_out_of_place(tmp_path: Path) -> None:
    def move(slices: list[Dataset]) -> None:
        for made in slices[10:]:
            made.ImagePositionPatient = [
                *made.ImagePositionPatient[:2],
                float(made.ImagePositionPatient[2]) + 2,
            ]

    found = first_rejection(write_series(tmp_path, move))
    assert found is not None
    assert found[1].reason == "uneven-spacing"


@pytest.mark.parametrize(
    "same", [{"PatientName": "MADE UP"}, {"PatientName": "made^up "}, {"BodyPartExamined": "BRAIN"}]
)
def test_accepts_ways_of_writing_the_same(tmp_path: Path, same: dict[str, str]) -> None:
    assert first_rejection(write_series(tmp_path, one(**same))) is None


def test_says_what_it_saw_and_what_the_bundle_knows(tmp_path: Path) -> None:
    header = read_header(write_series(tmp_path, ScanningSequence="SE", InversionTime=None)[0])
    assert header.dataset is not None
    header.dataset.SeriesDescription = header.dataset.ProtocolName = "Sag T1"
    header.dataset.RepetitionTime, header.dataset.EchoTime = 500, 12
    assert ContrastKnown()([header]) == Rejection(
        "contrast-not-in-bundle", "seen T1, the bundle knows FLAIR"
    )
    assert ContrastKnown((Contrast.T1, Contrast.FLAIR))([header]) is None


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (None, "contrast-unknown"),
        (Contrast.FLAIR, None),
        (Contrast.T1, "contrast-not-in-bundle"),
        (Contrast.UNKNOWN, "contrast-unknown"),
    ],
)
def test_goes_by_what_the_caller_says_of_nifti(said: Contrast | None, reason: str | None) -> None:
    rejection = ContrastKnown(said=said)([])
    assert (rejection.reason if rejection else None) == reason


def test_does_not_let_the_caller_overrule_the_header(tmp_path: Path) -> None:
    headers = [read_header(path) for path in write_series(tmp_path)]
    rejection = ContrastKnown((Contrast.T1,), said=Contrast.T1)(headers)
    assert rejection is not None
    assert rejection.reason == "contrast-unknown"


def test_adds_up_what_all_instances_claim(tmp_path: Path) -> None:
    headers = [read_header(path) for path in write_series(tmp_path)]
    assert SeriesSize(max_bytes=4 * 24 * 32 * 28)(headers) is None
    rejection = SeriesSize(max_bytes=4 * 24 * 32 * 28 - 1)(headers)
    assert rejection is not None
    assert rejection.reason == "too-many-voxels"
