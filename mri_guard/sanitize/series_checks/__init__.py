"""Checks of all headers of a series together, cheapest first."""

from mri_guard.ports import SeriesCheck
from mri_guard.sanitize.series_checks.body_part import BodyPart
from mri_guard.sanitize.series_checks.contrast_known import ContrastKnown
from mri_guard.sanitize.series_checks.functional_groups import FunctionalGroups
from mri_guard.sanitize.series_checks.one_acquisition import OneAcquisition
from mri_guard.sanitize.series_checks.one_patient import OnePatient
from mri_guard.sanitize.series_checks.one_series import OneSeries
from mri_guard.sanitize.series_checks.physics import Physics
from mri_guard.sanitize.series_checks.series_size import SeriesSize
from mri_guard.sanitize.series_checks.slice_stack import SliceStack
from mri_guard.sanitize.series_checks.unique_instances import UniqueInstances

SERIES_CHECKS: tuple[SeriesCheck, ...] = (
    OneSeries(),
    OnePatient(),
    UniqueInstances(),
    BodyPart(),
    ContrastKnown(),
    SeriesSize(),
    Physics(),
    FunctionalGroups(),
    SliceStack(),
    OneAcquisition(),  # last: several echoes at one place have a name of their own
)
