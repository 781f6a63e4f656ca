"""`mri-guard report` and the commands below it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import bundles
from mri_guard import cli
from mri_guard.reports.evidence_files import schema
from tests.reports.toys import evidence, metric

runner = CliRunner()


def _run(*arguments: object, status: int = 0) -> dict[str, object]:
    ran = runner.invoke(cli.app, ["report", *map(str, arguments)])
    assert ran.exit_code == status, ran.output
    return dict(json.loads(ran.stdout)) if "--json" in arguments else {}


def test_makes_signs_and_verifies(evidence_paths: list[Path], tmp_path: Path) -> None:
    key, out = tmp_path / "key", tmp_path / "report"
    made = _run("key", "--out", key, "--json")
    assert made == {"private": str(key), "public": f"{key}.pub"}
    say = _run(
        *evidence_paths, "--out", out, "--key", key, "--date", "2026-05-04", "--no-pdf", "--json"
    )
    assert say["not_of_this_bundle"] == ["foreign"]
    assert str(out / "report.html") in list(say["files"])  # type: ignore[call-overload]
    checked = ("verify", out, "--key", f"{key}.pub", "--bundle", bundles.DEFAULT)
    assert _run(*checked, "--json")["bundle_digest"] == say["bundle_digest"]
    page = (out / "report.html").read_bytes()
    (out / "report.html").write_bytes(page[:-1] + b" ")
    _run(*checked, status=1)


def test_options_may_come_first_and_make_may_be_said(
    evidence_paths: list[Path], tmp_path: Path
) -> None:
    _run("--out", tmp_path / "a", "--no-pdf", *evidence_paths)
    _run("make", *evidence_paths, "--out", tmp_path / "b", "--no-pdf")
    assert (tmp_path / "a" / "report.json").read_bytes() == (
        tmp_path / "b" / "report.json"
    ).read_bytes()


def test_key_without_a_day_is_called_wrongly(evidence_paths: list[Path], tmp_path: Path) -> None:
    _run(*evidence_paths, "--out", tmp_path / "a", "--key", tmp_path / "key", status=2)


def test_broken_set_up_and_unreadable_evidence_say_so(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    evidence().save(path)
    _run(path, "--out", tmp_path / "a", "--bundle", tmp_path / "none", status=3)
    path.write_text("{}")
    _run(path, "--out", tmp_path / "a", status=1)


@pytest.mark.parametrize(("value", "status"), [(0.69, 1), (0.8, 0)])
def test_compare_refuses_what_is_worse(
    value: float, status: int, evidence_paths: list[Path], tmp_path: Path
) -> None:
    digest = json.loads(evidence_paths[0].read_text())["bundle_digest"]
    for name, of in (("old", metric()), ("new", metric(value))):
        (tmp_path / name).mkdir()
        path = tmp_path / name / "found.json"
        evidence(metrics={"pixel_ap": of}, digest=digest).save(path)
        _run(path, "--out", tmp_path / name / "report", "--no-pdf")
    folders = [tmp_path / name / "report" for name in ("old", "new")]
    compared = _run("compare", *folders, "--json", status=status)
    assert compared["refused"] is (status == 1)
    assert _run("compare", *folders, status=status) == {}


def test_prints_the_schema() -> None:
    ran = runner.invoke(cli.app, ["report", "schema"])
    assert json.loads(ran.stdout) == schema()
