"""Frozen values that the steps of a journey hand to one another."""

from mri_guard.records.base import Finite, Milliseconds, PValue, Record, Share
from mri_guard.records.examination import (
    Anomaly,
    CalibratedScore,
    CheckResult,
    Decision,
    DetectorResult,
    Examination,
    Journey,
    Outcome,
    Perturbation,
    Priority,
    Probability,
    SecondLook,
    StepTiming,
)
from mri_guard.records.instance import InstanceHeader, Rejection
from mri_guard.records.scan import Contrast, Format, Preprocessed, Scan, ScanHeader, Source
from mri_guard.records.structure import Element, Flaw, Pixels, Problem, Structure

__all__ = [
    "Anomaly",
    "CalibratedScore",
    "CheckResult",
    "Contrast",
    "Decision",
    "DetectorResult",
    "Element",
    "Examination",
    "Finite",
    "Flaw",
    "Format",
    "InstanceHeader",
    "Journey",
    "Milliseconds",
    "Outcome",
    "PValue",
    "Perturbation",
    "Pixels",
    "Preprocessed",
    "Priority",
    "Probability",
    "Problem",
    "Record",
    "Rejection",
    "Scan",
    "ScanHeader",
    "SecondLook",
    "Share",
    "Source",
    "StepTiming",
    "Structure",
]
