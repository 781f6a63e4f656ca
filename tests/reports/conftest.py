"""A whole report of toy evidence, signed, on the shipped bundle."""

import datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import bundles
from mri_guard.errors import SettingsError
from mri_guard.reports.described_bundle import described
from mri_guard.reports.pdf import pdf
from mri_guard.reports.write import write_report
from tests.peers import missing
from tests.reports.toys import files

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
ISSUED = datetime.date(2026, 5, 4)


@pytest.fixture(scope="session")
def evidence_paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("evidence")
    digest = described(bundles.DEFAULT).digest
    for file in files(digest):
        (folder / f"{file.name}.json").write_bytes(file.content)
    return sorted(folder.iterdir())


@pytest.fixture(scope="session")
def signed_report(evidence_paths: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("signed") / "report"
    write_report(evidence_paths, bundles.DEFAULT, out, issued=ISSUED, key=KEY)
    return out


@pytest.fixture(scope="session")
def weasyprint_works() -> None:
    """Skips by name where Pango or the extra is not installed."""
    try:
        pdf("<p>x</p>", {}, None)
    except SettingsError as error:
        missing(str(error))
