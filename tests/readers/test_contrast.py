from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset

from mri_guard.readers.contrast import contrast_of, contrast_of_name, settle, timing_of
from mri_guard.records import Contrast
from tests.dicom_files import enhanced_mr

PROTOCOLS: list[tuple[str, dict[str, Any], Contrast]] = [
    (
        "Siemens 3D FLAIR (SPACE)",
        {
            "SeriesDescription": "t2_space_dark-fluid_sag_p2_iso",
            "ScanningSequence": ["SE", "IR"],
            "SequenceVariant": ["SK", "SP", "MP"],
            "SequenceName": "*spcir_284ns",
            "RepetitionTime": 5000,
            "EchoTime": 393,
            "InversionTime": 1800,
        },
        Contrast.FLAIR,
    ),
    (
        "Siemens MPRAGE",
        {
            "SeriesDescription": "t1_mprage_sag_p2_iso",
            "ScanningSequence": ["GR", "IR"],
            "SequenceVariant": ["SK", "SP", "MP"],
            "SequenceName": "*tfl3d1_16ns",
            "RepetitionTime": 2300,
            "EchoTime": 2.98,
            "InversionTime": 900,
            "FlipAngle": 9,
        },
        Contrast.T1,
    ),
    (
        "Siemens T2 TSE",
        {
            "SeriesDescription": "t2_tse_tra_512",
            "ScanningSequence": "SE",
            "SequenceName": "*tse2d1_15",
            "RepetitionTime": 6000,
            "EchoTime": 99,
        },
        Contrast.T2,
    ),
    (
        "GE T2 FLAIR",
        {
            "SeriesDescription": "Ax T2 FLAIR",
            "ScanningSequence": ["SE", "IR"],
            "RepetitionTime": 9002,
            "EchoTime": 127.4,
            "InversionTime": 2250,
        },
        Contrast.FLAIR,
    ),
    (
        "GE T1 FLAIR",
        {
            "SeriesDescription": "Ax T1 FLAIR",
            "ScanningSequence": ["SE", "IR"],
            "RepetitionTime": 2500,
            "EchoTime": 24,
            "InversionTime": 860,
        },
        Contrast.T1,
    ),
    (
        "GE BRAVO",
        {
            "SeriesDescription": "Sag BRAVO",
            "ScanningSequence": "GR",
            "SequenceVariant": ["SS", "SP", "SK"],
            "RepetitionTime": 8.2,
            "EchoTime": 3.2,
            "InversionTime": 450,
            "FlipAngle": 12,
        },
        Contrast.T1,
    ),
    (
        "Philips FLAIR without an inversion time",
        {
            "SeriesDescription": "FLAIR_longTR",
            "ScanningSequence": "SE",
            "RepetitionTime": 11000,
            "EchoTime": 125,
        },
        Contrast.FLAIR,
    ),
    (
        "Philips 3D TFE",
        {
            "SeriesDescription": "sT1W_3D_TFE",
            "ImageType": ["ORIGINAL", "PRIMARY", "M_FFE", "M", "FFE"],
            "ScanningSequence": "GR",
            "SequenceVariant": "MP",
            "RepetitionTime": 8.1,
            "EchoTime": 3.7,
            "FlipAngle": 8,
        },
        Contrast.T1,
    ),
    (
        "a name that says nothing, timed as T1 spin echo",
        {
            "SeriesDescription": "Series 5",
            "ScanningSequence": "SE",
            "RepetitionTime": 500,
            "EchoTime": 12,
        },
        Contrast.T1,
    ),
    ("a name alone", {"SeriesDescription": "anat-T1w"}, Contrast.T1),
    ("nothing", {}, Contrast.UNKNOWN),
    (
        "a name that the timing contradicts",
        {
            "SeriesDescription": "Ax FLAIR",
            "ScanningSequence": "SE",
            "RepetitionTime": 500,
            "EchoTime": 12,
        },
        Contrast.UNKNOWN,
    ),
    (
        "a name and a protocol that disagree",
        {"SeriesDescription": "T1", "ProtocolName": "T2"},
        Contrast.UNKNOWN,
    ),
    (
        "Siemens BOLD",
        {"SeriesDescription": "rest", "ScanningSequence": "EP", "SequenceName": "epfid2d1_64"},
        Contrast.FUNCTIONAL,
    ),
    (
        "Siemens diffusion",
        {"SeriesDescription": "b1000", "ScanningSequence": "EP", "SequenceName": "*ep_b1000#3"},
        Contrast.DIFFUSION,
    ),
    (
        "GE diffusion",
        {"SeriesDescription": "Ax DWI ASSET", "ScanningSequence": ["EP", "SE"]},
        Contrast.DIFFUSION,
    ),
    (
        "arterial spin labelling",
        {"SeriesDescription": "3D pCASL", "ScanningSequence": "SE"},
        Contrast.PERFUSION,
    ),
    ("a localizer named as T1", {"SeriesDescription": "3-plane localizer T1"}, Contrast.LOCALIZER),
    ("Siemens AutoAlign", {"SeriesDescription": "AAHead_Scout_64ch"}, Contrast.LOCALIZER),
    ("Philips survey", {"SeriesDescription": "Survey_SHC"}, Contrast.LOCALIZER),
    ("susceptibility", {"SeriesDescription": "Ax T2* GRE"}, Contrast.UNKNOWN),
    ("time of flight", {"SeriesDescription": "3D TOF T1"}, Contrast.UNKNOWN),
    ("short-tau inversion", {"SeriesDescription": "Cor T2 STIR"}, Contrast.UNKNOWN),
    (
        "a phase image",
        {"SeriesDescription": "t1_mprage", "ImageType": ["ORIGINAL", "PRIMARY", "P", "ND"]},
        Contrast.UNKNOWN,
    ),
    ("a T1 map", {"SeriesDescription": "T1 map"}, Contrast.UNKNOWN),
    (
        "time of flight by its timing alone",
        {
            "SeriesDescription": "3D",
            "ScanningSequence": "GR",
            "SequenceVariant": "SP",
            "RepetitionTime": 23,
            "EchoTime": 3.5,
            "FlipAngle": 18,
        },
        Contrast.UNKNOWN,
    ),
]


VENDORS: list[tuple[str, dict[str, Any], Contrast]] = [
    (
        "Siemens TIRM dark fluid",
        {
            "SeriesDescription": "t2_tirm_tra_dark-fluid_4mm",
            "ScanningSequence": ["SE", "IR"],
            "SequenceVariant": ["SK", "SP", "MP", "OSP"],
            "SequenceName": "*tir2d1_16",
            "RepetitionTime": 9000,
            "EchoTime": 81,
            "InversionTime": 2500,
        },
        Contrast.FLAIR,
    ),
    (
        "Siemens TIRM that nulls fat",
        {
            "SeriesDescription": "t2_tirm_cor",
            "ScanningSequence": ["SE", "IR"],
            "SequenceName": "*tir2d1_11",
            "RepetitionTime": 5000,
            "EchoTime": 70,
            "InversionTime": 220,
        },
        Contrast.UNKNOWN,
    ),
    (
        "Siemens T2* FLASH for haemorrhage",
        {
            "SeriesDescription": "t2_fl2d_tra",
            "ScanningSequence": "GR",
            "SequenceVariant": "SP",
            "SequenceName": "*fl2d1",
            "RepetitionTime": 620,
            "EchoTime": 19.9,
            "FlipAngle": 20,
        },
        Contrast.UNKNOWN,
    ),
    (
        "Siemens T1 SE",
        {
            "SeriesDescription": "t1_se_tra",
            "ScanningSequence": "SE",
            "SequenceName": "*se2d1",
            "RepetitionTime": 550,
            "EchoTime": 8.4,
        },
        Contrast.T1,
    ),
    ("Siemens MEDIC", {"SeriesDescription": "t2_me2d_medic"}, Contrast.UNKNOWN),
    (
        "Siemens Dixon fat image",
        {"SeriesDescription": "t1_tse_dixon", "ImageType": ["DERIVED", "PRIMARY", "M", "F"]},
        Contrast.UNKNOWN,
    ),
    (
        "GE CUBE FLAIR",
        {
            "SeriesDescription": "Sag CUBE T2 FLAIR",
            "ScanningSequence": ["SE", "IR"],
            "SequenceVariant": "SK",
            "RepetitionTime": 6302,
            "EchoTime": 117.3,
            "InversionTime": 1770,
        },
        Contrast.FLAIR,
    ),
    (
        "GE FLAIR coded as research mode",
        {
            "SeriesDescription": "Ax T2 FLAIR PROPELLER",
            "ScanningSequence": ["RM", "IR"],
            "RepetitionTime": 8500,
            "EchoTime": 94,
            "InversionTime": 2300,
        },
        Contrast.FLAIR,
    ),
    (
        "GE FSPGR with preparation",
        {
            "SeriesDescription": "Ax 3D FSPGR IR PREP",
            "ScanningSequence": "GR",
            "SequenceVariant": ["SS", "SP", "SK"],
            "RepetitionTime": 7.4,
            "EchoTime": 3.1,
            "InversionTime": 400,
            "FlipAngle": 11,
        },
        Contrast.T1,
    ),
    ("GE MERGE", {"SeriesDescription": "Ax T2 MERGE", "ScanningSequence": "GR"}, Contrast.UNKNOWN),
    (
        "GE ASSET calibration",
        {"SeriesDescription": "ASSET calibration", "ScanningSequence": "GR"},
        Contrast.LOCALIZER,
    ),
    ("GE 3-plane", {"SeriesDescription": "3-Plane Loc SSFSE"}, Contrast.LOCALIZER),
    (
        "GE T1 spin echo",
        {
            "SeriesDescription": "Ax T1 SE",
            "ScanningSequence": "SE",
            "RepetitionTime": 600,
            "EchoTime": 14,
        },
        Contrast.T1,
    ),
    (
        "Philips 3D Brain VIEW FLAIR",
        {
            "SeriesDescription": "3D_Brain_VIEW_FLAIR_SHC",
            "ImageType": ["ORIGINAL", "PRIMARY", "M_IR", "M", "IR"],
            "ScanningSequence": "IR",
            "RepetitionTime": 4800,
            "EchoTime": 340,
            "InversionTime": 1650,
        },
        Contrast.FLAIR,
    ),
    (
        "Philips T2* FFE",
        {
            "SeriesDescription": "T2W_FFE",
            "ImageType": ["ORIGINAL", "PRIMARY", "M_FFE", "M", "FFE"],
            "ScanningSequence": "GR",
            "RepetitionTime": 650,
            "EchoTime": 16,
        },
        Contrast.UNKNOWN,
    ),
    (
        "Philips turbo spin echo",
        {
            "SeriesDescription": "sT2W_TSE",
            "ImageType": ["ORIGINAL", "PRIMARY", "M_SE", "M", "SE"],
            "ScanningSequence": "SE",
            "RepetitionTime": 3000,
            "EchoTime": 80,
        },
        Contrast.T2,
    ),
    (
        "Philips phase map",
        {
            "SeriesDescription": "T1W_3D_FFE",
            "ImageType": ["ORIGINAL", "PRIMARY", "PHASE MAP", "P", "FFE"],
        },
        Contrast.UNKNOWN,
    ),
    ("Philips inflow angiography", {"SeriesDescription": "s3DI_MC_HR"}, Contrast.UNKNOWN),
    ("Philips susceptibility", {"SeriesDescription": "VEN_BOLD"}, Contrast.UNKNOWN),
    ("Philips SmartBrain", {"SeriesDescription": "SmartBrain_T1"}, Contrast.LOCALIZER),
    ("Philips reference scan", {"SeriesDescription": "Ref_Scan"}, Contrast.LOCALIZER),
    (
        "Canon FLAIR",
        {
            "SeriesDescription": "AX FLAIR",
            "Manufacturer": "TOSHIBA",
            "ScanningSequence": "IR",
            "SequenceVariant": "SK",
            "SequenceName": "FIR2D",
            "RepetitionTime": 10000,
            "EchoTime": 105,
            "InversionTime": 2700,
        },
        Contrast.FLAIR,
    ),
    (
        "Canon fast advanced spin echo",
        {
            "SeriesDescription": "T2 FSE+5 AX",
            "ScanningSequence": "SE",
            "RepetitionTime": 4300,
            "EchoTime": 105,
        },
        Contrast.T2,
    ),
    ("Canon FSBB", {"SeriesDescription": "FSBB T1", "ScanningSequence": "GR"}, Contrast.UNKNOWN),
    ("Canon locator", {"SeriesDescription": "Locator"}, Contrast.LOCALIZER),
    (
        "United Imaging FLAIR",
        {
            "SeriesDescription": "t2_fse_flair_tra_fs",
            "ScanningSequence": ["SE", "IR"],
            "RepetitionTime": 8000,
            "EchoTime": 119,
            "InversionTime": 2200,
        },
        Contrast.FLAIR,
    ),
    (
        "United Imaging MATRIX FLAIR",
        {
            "SeriesDescription": "t2_matrix_flair_3d_sag",
            "ScanningSequence": ["SE", "IR"],
            "RepetitionTime": 6000,
            "EchoTime": 410,
            "InversionTime": 1900,
        },
        Contrast.FLAIR,
    ),
    (
        "United Imaging T1",
        {
            "SeriesDescription": "t1_gre_fsp_3d_sag_iso",
            "ScanningSequence": ["GR", "IR"],
            "SequenceVariant": "SP",
            "RepetitionTime": 7.9,
            "EchoTime": 3.4,
            "InversionTime": 860,
            "FlipAngle": 10,
        },
        Contrast.T1,
    ),
    (
        "United Imaging flow quantification",
        {"SeriesDescription": "t1_gre_fq", "ScanningSequence": "GR"},
        Contrast.UNKNOWN,
    ),
]


def header(**attributes: Any) -> Dataset:
    made = Dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        pytest.param(attributes, expected, id=name)
        for name, attributes, expected in PROTOCOLS + VENDORS
    ],
)
def test_tells_what_scanners_write(attributes: dict[str, Any], expected: Contrast) -> None:
    assert contrast_of(header(**attributes)) is expected


@given(st.sampled_from([attributes for _, attributes, _ in PROTOCOLS + VENDORS]))
def test_takes_no_echo_planar_image_for_an_anatomical_one(attributes: dict[str, Any]) -> None:
    seen = contrast_of(header(**{**attributes, "ScanningSequence": ["EP", "SE"]}))
    assert seen not in {Contrast.T1, Contrast.T2, Contrast.FLAIR, Contrast.PD}


@given(st.text(max_size=64), st.text(max_size=64))
def test_never_raises_over_what_somebody_typed(description: str, protocol: str) -> None:
    assert contrast_of(header(SeriesDescription=description, ProtocolName=protocol)) in Contrast


def test_reads_the_functional_groups_of_enhanced_mr() -> None:
    enhanced = enhanced_mr(SeriesDescription="s4", ProtocolName="p4")
    assert contrast_of(enhanced) is Contrast.FLAIR
    assert timing_of(enhanced) == (9000, 120, 2500)


@pytest.mark.parametrize(
    ("coded", "expected"),
    [
        ("FLUID_ATTENUATED", Contrast.FLAIR),
        ("T2", Contrast.FLAIR),
        ("UNKNOWN", Contrast.FLAIR),
        ("T1", Contrast.UNKNOWN),
        ("T2_STAR", Contrast.UNKNOWN),
    ],
)
def test_weighs_acquisition_contrast_against_the_timing(coded: str, expected: Contrast) -> None:
    enhanced = enhanced_mr(SeriesDescription="s4", ProtocolName="p4")
    group = enhanced.SharedFunctionalGroupsSequence[0].MRImageFrameTypeSequence[0]
    group.AcquisitionContrast = coded
    assert contrast_of(enhanced) is expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sub-01_ses-2_FLAIR.nii.gz", Contrast.FLAIR),
        ("CS_4941_flair.nii.gz", Contrast.FLAIR),
        ("IXI002_t1.nii", Contrast.T1),
        ("sub-01_T1w.nii.gz", Contrast.T1),
        ("sub-01_T2w.nii.gz", Contrast.T2),
        ("sub-01_dwi.nii.gz", Contrast.DIFFUSION),
        ("brain.nii.gz", None),
        ("flair_mask.nii.gz", None),
    ],
)
def test_reads_the_suffix_of_a_file_name(name: str, expected: Contrast | None) -> None:
    assert contrast_of_name(name) is expected


def test_believes_the_caller_only_where_the_header_does_not_object() -> None:
    assert settle(None, Contrast.T1) is Contrast.T1
    assert settle(Contrast.FLAIR, Contrast.UNKNOWN) is Contrast.FLAIR
    assert settle(Contrast.FLAIR, Contrast.FLAIR) is Contrast.FLAIR
    assert settle(Contrast.FLAIR, Contrast.FUNCTIONAL) is Contrast.UNKNOWN
