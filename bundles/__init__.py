"""The bundles that come with the kit."""

from pathlib import Path

DEFAULT = Path(__file__).parent / "flair"
"""Folder of the bundle used where none is named."""
