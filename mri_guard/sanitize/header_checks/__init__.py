"""Checks of one instance before any pixel is decoded, cheapest first."""

from mri_guard.ports import HeaderCheck
from mri_guard.sanitize.header_checks.file_size import FileSize
from mri_guard.sanitize.header_checks.modality import Modality
from mri_guard.sanitize.header_checks.parses import Parses
from mri_guard.sanitize.header_checks.part10 import Part10
from mri_guard.sanitize.header_checks.photometric import Photometric
from mri_guard.sanitize.header_checks.pixel_geometry import PixelGeometry
from mri_guard.sanitize.header_checks.slice_geometry import SliceGeometry
from mri_guard.sanitize.header_checks.sop_class import SopClass
from mri_guard.sanitize.header_checks.transfer_syntax import TransferSyntax

HEADER_CHECKS: tuple[HeaderCheck, ...] = (
    FileSize(),
    Part10(),
    Parses(),
    TransferSyntax(),
    SopClass(),
    Modality(),
    Photometric(),
    PixelGeometry(),
    SliceGeometry(),
)
