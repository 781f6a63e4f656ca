"""From bytes to volumes."""

from mri_guard.readers.decoder import Decoder
from mri_guard.readers.headers import read_header
from mri_guard.readers.sources import open_sources

__all__ = ["Decoder", "open_sources", "read_header"]
