"""The folder of a report, and that the same inputs give the same bytes."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pyhanko.pdf_utils.generic import Reference
from pyhanko.pdf_utils.reader import PdfFileReader

import bundles
from mri_guard.errors import SettingsError
from mri_guard.reports import pdf as pdf_module
from mri_guard.reports import write as write_module
from mri_guard.reports.folder import present
from mri_guard.reports.write import write_report
from tests.reports.conftest import ISSUED, KEY
from tests.reports.toys import evidence

AGAIN = """
import datetime, sys
from pathlib import Path
import bundles
from mri_guard.reports.signature import load_private_key
from mri_guard.reports.write import write_report
*paths, key, out = map(Path, sys.argv[1:])
day = datetime.date(2026, 5, 4)
write_report(paths, bundles.DEFAULT, out, issued=day, key=load_private_key(key))
"""


def test_another_process_writes_the_same_bytes(
    signed_report: Path, evidence_paths: list[Path], tmp_path: Path
) -> None:
    key = tmp_path / "key.pem"
    key.touch(mode=0o600)
    key.write_bytes(KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    out = tmp_path / "again"
    subprocess.run(
        [sys.executable, "-c", AGAIN, *map(str, reversed(evidence_paths)), key, out],
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "12345", "TZ": "Asia/Tokyo"},
    )
    assert present(out) == present(signed_report)
    for name in present(out):
        assert (out / name).read_bytes() == (signed_report / name).read_bytes(), name


def test_pdf_is_pdf_a_3_with_the_evidence_embedded(
    weasyprint_works: None, signed_report: Path, evidence_paths: list[Path]
) -> None:
    content = (signed_report / "report.pdf").read_bytes()
    assert content.startswith(b"%PDF-1.7")
    reader = PdfFileReader(io.BytesIO(content))
    metadata = reader.root["/Metadata"].data.decode()
    assert 'pdfaid:part="3"' in metadata
    names = reader.root["/Names"]["/EmbeddedFiles"]["/Names"]
    embedded = {
        str(spec["/UF"]): spec["/EF"]["/F"].data
        for spec in (names[index] for index in range(1, len(names), 2))
    }
    for path in evidence_paths:
        assert embedded[f"evidence_{path.name}"] == path.read_bytes()
    assert embedded["report.json"] == (signed_report / "report.json").read_bytes()
    assert "/Version" not in reader.root  # signing left it PDF 1.7
    fonts = {str(one["/BaseFont"]) for one in _fonts(reader)}
    assert all("+Report-" in name for name in fonts), fonts  # ours, by the names we gave them


def _fonts(reader: PdfFileReader) -> list[dict[str, object]]:
    found = []
    for number in range(1, int(reader.trailer["/Size"])):
        try:
            one = reader.get_object(_reference(number, reader))
        except Exception:  # noqa: BLE001 - free objects
            continue
        if isinstance(one, dict) and one.get("/Type") == "/Font":
            found.append(one)
    return found


def _reference(number: int, reader: PdfFileReader) -> object:
    return Reference(number, 0, reader)


def test_without_pango_the_pdf_is_skipped_by_name(
    evidence_paths: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent() -> None:
        raise SettingsError("WeasyPrint finds no Pango")

    monkeypatch.setattr(pdf_module, "_weasyprint", absent)
    written = write_report(evidence_paths, bundles.DEFAULT, tmp_path / "out")
    assert written.skipped == ("report.pdf: WeasyPrint finds no Pango",)
    assert "report.pdf" not in present(tmp_path / "out")
    assert "report.html" in present(tmp_path / "out")


def test_earlier_report_is_replaced_and_nothing_else(
    evidence_paths: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    write_report(evidence_paths, bundles.DEFAULT, out, issued=ISSUED, key=KEY, with_pdf=False)
    assert "signature.json" in present(out)
    fewer = [path for path in evidence_paths if path.stem == "found"]
    write_report(fewer, bundles.DEFAULT, out, with_pdf=False)
    assert present(out) == {
        "report.html",
        "report.json",
        "materials.cdx.json",
        "evidence/found.json",
        "statement.json",
    }
    (out / "notes.txt").write_text("mine")
    with pytest.raises(SettingsError, match=r"holds notes\.txt"):
        write_report(fewer, bundles.DEFAULT, out, with_pdf=False)
    assert (out / "notes.txt").read_text() == "mine"


def test_measured_evidence_is_never_taken_for_a_report(
    evidence_paths: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "evidence").mkdir()
    mine = tmp_path / "evidence" / "mine.json"
    mine.write_text("{}")
    with pytest.raises(SettingsError, match=r"holds evidence/mine\.json"):
        write_report(evidence_paths, bundles.DEFAULT, tmp_path, with_pdf=False)
    assert mine.exists()


def test_report_on_nothing_of_the_bundle_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "foreign.json"
    evidence().save(path)
    with pytest.raises(SettingsError, match="none of 1 evidence files was made with the bundle"):
        write_report([path], bundles.DEFAULT, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_signature_wants_a_day(evidence_paths: list[Path], tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="wanted a date"):
        write_report(evidence_paths, bundles.DEFAULT, tmp_path / "out", key=KEY)


def test_pades_without_pyhanko_is_skipped_by_name(
    weasyprint_works: None,
    evidence_paths: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def absent(*_: object) -> bytes:
        raise SettingsError("pyHanko is not installed")

    monkeypatch.setattr(write_module, "_signed", absent)
    written = write_report(
        evidence_paths, bundles.DEFAULT, tmp_path / "out", issued=ISSUED, key=KEY
    )
    assert written.skipped == ("report.pdf: pyHanko is not installed",)
