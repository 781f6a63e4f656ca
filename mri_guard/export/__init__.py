"""A bundle's network for other runtimes, with the same scores or not at all."""

from mri_guard.export.comparison import TOLERANCE, Parity, parity, phantom_scans
from mri_guard.export.folder import Export, load, write
from mri_guard.export.programs import NetworkFormat

__all__ = [
    "TOLERANCE",
    "Export",
    "NetworkFormat",
    "Parity",
    "load",
    "parity",
    "phantom_scans",
    "write",
]
