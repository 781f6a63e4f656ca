"""The gate before a release."""

from pathlib import Path

import pytest
import rfc8785

from mri_guard.errors import UnreadableError
from mri_guard.evaluation.evidence import Metric
from mri_guard.reports.compare import Change, compare, load, refused
from mri_guard.reports.document import Report
from tests.reports.toys import OTHER, evidence, file, metric, toy_report


def _report(metrics: dict[str, Metric], manifest_digest: str = "12" * 32) -> Report:
    return toy_report(file("one", evidence("x", metrics, manifest_digest=manifest_digest)))


def _change(name: str, old: Metric, new: Metric) -> Change:
    (row,) = compare(_report({name: old}), _report({name: new}))
    return row.change


@pytest.mark.parametrize(
    ("name", "value", "change"),
    [
        ("slice_auroc", 0.69, Change.WORSE),
        ("slice_auroc", 0.70, Change.WITHIN),
        ("slice_auroc", 0.90, Change.WITHIN),
        ("slice_auroc", 0.91, Change.BETTER),
        ("false_positive_rate", 0.91, Change.WORSE),
        ("false_positive_rate", 0.69, Change.BETTER),
        ("success_evade_4_255", 0.91, Change.WORSE),
        ("queries_to_success_evade_4_255", 0.69, Change.WORSE),
        ("novel_figure", 0.0, Change.UNKNOWN),
    ],
)
def test_judges_by_the_old_interval_and_the_way_that_is_better(
    name: str, value: float, change: Change
) -> None:
    assert _change(name, metric(0.8, 0.7, 0.9), metric(value, 0, 1)) is change


def test_figure_that_is_gone_gates_and_a_new_one_does_not() -> None:
    compared = compare(
        _report({"a": metric(), "b": metric()}), _report({"b": metric(), "c": metric()})
    )
    assert {row.name: row.change for row in compared} == {
        "a": Change.MISSING,
        "b": Change.UNKNOWN,
        "c": Change.NEW,
    }
    assert [row.name for row in refused(compared)] == ["a"]


def test_evidence_that_is_gone_gates_with_all_its_figures() -> None:
    old = toy_report(file("one", evidence("x")), file("two", evidence("y")))
    assert [row.file for row in refused(compare(old, _report({"pixel_ap": metric()})))] == ["two"]


def test_a_report_is_not_worse_than_itself() -> None:
    report = toy_report()
    assert refused(compare(report, report)) == []


def test_evidence_of_another_bundle_does_not_count() -> None:
    old = toy_report(file("one", evidence("x")), file("two", evidence("y", digest=OTHER)))
    assert {row.file for row in compare(old, old)} == {"one"}


def test_other_data_is_said_and_gates_all_the_same() -> None:
    old, new = metric(0.8, 0.7, 0.9), metric(0.1, 0, 0.2)
    (row,) = compare(_report({"best_dice": old}), _report({"best_dice": new}, "34" * 32))
    assert not row.same_data
    assert row.change is Change.WORSE


def test_what_gates_comes_first() -> None:
    old = {"a": metric(), "auroc": metric(0.8, 0.7, 0.9), "z": metric()}
    compared = compare(_report(old), _report({"a": metric(), "auroc": metric(0.5), "n": metric()}))
    assert [row.name for row in compared] == ["auroc", "z", "n", "a"]


def test_reads_a_folder_or_its_document_and_refuses_else(tmp_path: Path) -> None:
    report = toy_report()
    (tmp_path / "report.json").write_bytes(rfc8785.dumps(report.document()))
    assert load(tmp_path) == load(tmp_path / "report.json") == report
    (tmp_path / "report.json").write_text('{"name": "Smith"}')
    with pytest.raises(UnreadableError, match="not-a-report") as error:
        load(tmp_path)
    assert "Smith" not in str(error.value)
    with pytest.raises(UnreadableError, match="No such file"):
        load(tmp_path / "absent")
