"""What a signed report is checked for: each way in which one may be wrong."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mri_guard.errors import InputError
from mri_guard.reports.folder import Statement, present
from mri_guard.reports.pdf import pdf
from mri_guard.reports.signature import signature
from mri_guard.reports.verify import verify
from tests.reports.conftest import KEY
from tests.reports.toys import files

PUBLIC = KEY.public_key()


@pytest.fixture
def copy(signed_report: Path, tmp_path: Path) -> Path:
    return shutil.copytree(signed_report, tmp_path / "copy")


def _sign_again(folder: Path, digest: str | None = None) -> None:
    """As a signer would who vouches for whatever lies there."""
    old = Statement.model_validate_json((folder / "statement.json").read_bytes())
    names = present(folder) - {"statement.json", "signature.json"}
    contents = {name: (folder / name).read_bytes() for name in names}
    statement = Statement.of(digest or old.bundle_digest, contents).canonical()
    (folder / "statement.json").write_bytes(statement)
    (folder / "signature.json").write_bytes(signature(statement, KEY))


def _rewritten(folder: Path, source: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Changes the figures of one source in the document."""
    path = folder / "report.json"
    document = json.loads(path.read_bytes())
    (metrics,) = [one["metrics"] for one in document["sources"] if one["name"] == source]
    change(metrics)
    path.write_bytes(rfc8785.dumps(document))


def test_whole_report_is_verified(signed_report: Path) -> None:
    verified = verify(signed_report, PUBLIC)
    assert verified.files == len(present(signed_report))
    assert verified.figures == sum(len(file.evidence.metrics) for file in files())
    assert verify(signed_report, PUBLIC, verified.bundle_digest) == verified


def test_one_flipped_byte_of_any_file_is_seen(copy: Path) -> None:
    for name in sorted(present(copy)):
        path = copy / name
        whole = path.read_bytes()
        for place in (0, len(whole) // 2, len(whole) - 1):
            broken = bytearray(whole)
            broken[place] ^= 1
            path.write_bytes(bytes(broken))
            with pytest.raises(InputError, match="not-verified"):
                verify(copy, PUBLIC)
        path.write_bytes(whole)
    verify(copy, PUBLIC)


def test_missing_file_of_any_name_is_seen(copy: Path) -> None:
    for name in sorted(present(copy)):
        whole = (copy / name).read_bytes()
        (copy / name).unlink()
        with pytest.raises(InputError, match="not-verified"):
            verify(copy, PUBLIC)
        (copy / name).write_bytes(whole)


def test_further_file_is_seen(copy: Path) -> None:
    (copy / "evidence" / "more.json").write_text("{}")
    with pytest.raises(InputError, match=r"more\.json is not part of the report"):
        verify(copy, PUBLIC)


def test_another_bundle_is_refused(signed_report: Path) -> None:
    with pytest.raises(InputError, match="it is on bundle"):
        verify(signed_report, PUBLIC, "00" * 32)


def test_statement_on_another_bundle_than_the_report_is_refused(copy: Path) -> None:
    _sign_again(copy, digest="00" * 32)
    with pytest.raises(InputError, match="it is on bundle"):
        verify(copy, PUBLIC)


def test_another_key_is_refused(signed_report: Path) -> None:
    other = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key()
    with pytest.raises(InputError, match="not of this statement by this key"):
        verify(signed_report, other)


def test_figure_that_the_report_lacks_is_seen_though_it_is_signed(copy: Path) -> None:
    def drop(metrics: dict[str, Any]) -> None:
        del metrics["pixel_ap"]

    _rewritten(copy, "foreign", drop)
    _sign_again(copy)
    with pytest.raises(InputError, match="lacks pixel_ap of foreign"):
        verify(copy, PUBLIC)


def test_figure_that_the_report_tells_otherwise_is_seen(copy: Path) -> None:
    def better(metrics: dict[str, Any]) -> None:
        metrics["pixel_ap"]["value"] = 0.99

    _rewritten(copy, "found", better)
    _sign_again(copy)
    with pytest.raises(InputError, match="lacks pixel_ap of found, or changed it"):
        verify(copy, PUBLIC)


def test_figure_that_the_page_lacks_is_seen(copy: Path) -> None:
    page = (copy / "report.html").read_text()
    (copy / "report.html").write_text(page.replace('id="found-pixel_ap"', ""))
    _sign_again(copy)
    with pytest.raises(InputError, match="the page lacks pixel_ap of found"):
        verify(copy, PUBLIC)


def test_evidence_that_the_report_does_not_tell_of_is_seen(copy: Path) -> None:
    shutil.copy(copy / "evidence" / "found.json", copy / "evidence" / "second.json")
    _sign_again(copy)
    with pytest.raises(InputError, match=r"second\.json is in the evidence or in the report"):
        verify(copy, PUBLIC)


def test_pdf_signed_by_nobody_is_seen(copy: Path, weasyprint_works: None) -> None:
    (copy / "report.pdf").write_bytes(pdf("<p>x</p>", {}, None))
    _sign_again(copy)
    with pytest.raises(InputError, match=r"report\.pdf is not signed by this key"):
        verify(copy, PUBLIC)


def test_unsigned_or_absent_report_is_refused(copy: Path, tmp_path: Path) -> None:
    (copy / "signature.json").unlink()
    with pytest.raises(InputError, match="the report is not signed"):
        verify(copy, PUBLIC)
    with pytest.raises(InputError, match="the report is not signed"):
        verify(tmp_path / "nowhere", PUBLIC)
