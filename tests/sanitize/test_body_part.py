"""Where a header says which part of the body it shows."""

from pathlib import Path

import pytest
from pydicom import Dataset

from mri_guard.records import InstanceHeader
from mri_guard.sanitize.series_checks.body_part import BodyPart


def judge(**attributes: object) -> str:
    made = Dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    rejection = BodyPart()([InstanceHeader(Path("unread"), 1, "0" * 64, made)])
    return rejection.detail if rejection else ""


def region(meaning: str) -> list[Dataset]:
    made = Dataset()
    made.CodeMeaning = meaning
    return [made]


@pytest.mark.parametrize("name", ["", "Ax FLAIR", "t2_tse head/neck", "FLAIR hand knob", "Arms T2"])
def test_accepts_a_series_that_does_not_say(name: str) -> None:
    assert judge(SeriesDescription=name) == ""


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("t2_tse_sag_l-spine", "L SPINE"),
        ("Sag T1 C SPINE", "C SPINE"),
        ("KNEE_PD_FS", "KNEE"),
        ("WHOLE BODY STIR", "WHOLE BODY"),
    ],
)
def test_refuses_a_series_named_after_another_part(name: str, part: str) -> None:
    assert judge(SeriesDescription=name) == f"{part} seen; brain or head wanted"
    assert judge(ProtocolName=name, SeriesDescription="T2") != ""


def test_believes_the_attribute_before_the_name() -> None:
    assert judge(BodyPartExamined="BRAIN", SeriesDescription="from spine coil") == ""
    assert judge(SeriesDescription="Brain and C Spine") == ""
    assert judge(BodyPartExamined="KNEE", SeriesDescription="Brain") != ""


def test_reads_the_anatomic_region_of_enhanced_mr() -> None:
    assert judge(AnatomicRegionSequence=region("Brain")) == ""
    assert judge(AnatomicRegionSequence=region("Knee")) != ""
    anatomy, shared = Dataset(), Dataset()
    anatomy.AnatomicRegionSequence = region("Pelvis")
    shared.FrameAnatomySequence = [anatomy]
    assert judge(SharedFunctionalGroupsSequence=[shared]) != ""
