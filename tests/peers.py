"""Real programs that tests talk to."""

import os
import shutil

import pytest

PACKAGES = {
    "storescu": "dcmtk",
    "echoscu": "dcmtk",
    "storescp": "dcmtk",
    "dcmdump": "dcmtk",
    "dciodvfy": "dicom3tools",
    "dcm2niix": "dcm2niix",
    "initdb": "postgresql",
    "promtool": "prometheus",
}


def peer(program: str) -> str:
    """Path of a program; where it is missing the test skips by name, and fails in CI."""
    found = shutil.which(program)
    if found is None:
        missing(f"{program} (Debian package {PACKAGES.get(program, program)})")
    assert found is not None
    return found


def missing(what: str) -> None:
    """Skips by name on a user's machine; in CI nothing may be skipped for a missing peer."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"not installed: {what}")
    pytest.skip(f"not installed: {what}")
