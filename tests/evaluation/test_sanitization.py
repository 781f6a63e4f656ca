"""The table of catches and costs, over a corpus small enough to count by hand."""

import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mri_guard.errors import SettingsError
from mri_guard.evaluation.evidence import Evidence
from mri_guard.evaluation.sanitization import evaluate_sanitization, table
from mri_guard.journey import Kit
from mri_guard.readers import Decoder
from mri_guard.records import Contrast
from mri_guard.sanitize import Sanitizer
from tests.dicom_files import write_series
from tests.test_journey import KIT


@pytest.fixture(scope="module")
def kit() -> Iterator[Kit]:
    sanitizer = Sanitizer.for_contrasts([Contrast.FLAIR])
    with replace(KIT, sanitizer=sanitizer, decoder=Decoder()) as kit:
        yield kit


def manifest(folder: Path, expected: dict[str, str]) -> Path:
    """Four series: in order, of a knee, one slice cut off, in order again."""
    write_series(folder / "clean")
    write_series(folder / "knee", BodyPartExamined="KNEE")
    cut = write_series(folder / "cut")[7]
    cut.write_bytes(cut.read_bytes()[:-1000])
    write_series(folder / "other")
    path = folder / "manifest.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["scan", "mask", "subject", "label", "split", "site", "expected"])
        for name, reason in expected.items():
            writer.writerow([name, "", name, "healthy", "test", "", reason])
    return path


def assess(path: Path, kit: Kit) -> Evidence:
    return evaluate_sanitization(path, ["test"], kit, command="test")


def test_counts_what_is_caught_named_and_refused_wrongly(tmp_path: Path, kit: Kit) -> None:
    path = manifest(
        tmp_path, {"clean": "accepted", "knee": "body-part", "cut": "modality", "other": "mosaic"}
    )
    found = assess(path, kit)
    assert {name: metric.value for name, metric in found.metrics.items() if metric.n > 1} == {
        "caught": pytest.approx(2 / 3),  # what is in order gets through, whatever is expected
        "named": pytest.approx(1 / 3),  # the cut one is refused, but not for its modality
    }
    assert found.metrics["false_rejects"].value == 0
    by_check = {row["check"]: row for row in found.tables["checks"]}
    assert by_check["body_part"]["caught"] == 1
    assert sum(row["caught"] for row in by_check.values()) == 2
    costs = [row["cumulative_ms"] for row in found.tables["checks"] if row["cumulative_ms"]]
    assert costs == sorted(costs)
    saved = {row["defect"]: row["saved_ms"] for row in found.tables["defects"]}
    assert saved["knee"] > 0
    assert "body_part" in {str(cell) for cell in table(found).columns[0].cells}


def test_takes_any_reason_where_none_is_named_and_counts_false_rejects(
    tmp_path: Path, kit: Kit
) -> None:
    found = assess(manifest(tmp_path, {"knee": "", "cut": "accepted", "clean": "accepted"}), kit)
    assert found.metrics["named"].value == 1
    assert found.metrics["false_rejects"].value == 0.5
    assert [row["defect"] for row in found.tables["false_rejects"]] == ["cut"]


def test_wants_scans(tmp_path: Path, kit: Kit) -> None:
    with pytest.raises(SettingsError, match="no scan"):
        evaluate_sanitization(manifest(tmp_path, {"clean": ""}), ["train"], kit, command="test")
