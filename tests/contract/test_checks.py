"""What every check of every family owes: one file, one name, frozen, listed, its reasons told."""

import ast
import importlib
import re
from collections.abc import Iterator
from dataclasses import FrozenInstanceError, fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest

import mri_guard
from mri_guard.sanitize import (
    HEADER_CHECKS,
    NIFTI_CHECKS,
    SERIES_CHECKS,
    VOXEL_CHECKS,
    learnt_checks,
)
from tests.toys import any_heads, wide_limits

PACKAGE = Path(mri_guard.__file__).parent
REASONS = PACKAGE.parent / "docs" / "reasons.md"
FAMILIES: dict[str, tuple[Any, ...]] = {
    "header_checks": HEADER_CHECKS,
    "series_checks": SERIES_CHECKS,
    "nifti_checks": NIFTI_CHECKS,
    "voxel_checks": (*VOXEL_CHECKS, *learnt_checks(any_heads(), wide_limits())),
}
_REFUSALS = {"Rejection", "SeriesError", "UnreadableError", "LimitError"}
CHECKS = [
    pytest.param(family, check, id=f"{family}-{check.name}")
    for family, checks in FAMILIES.items()
    for check in checks
]


@pytest.mark.parametrize("family", FAMILIES)
def test_lists_each_file_of_the_folder(family: str) -> None:
    folder = PACKAGE / "sanitize" / family
    files = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    own = [
        check.name for check in FAMILIES[family] if type(check).__module__.split(".")[-2] == family
    ]
    assert sorted(own) == sorted(files)


@pytest.mark.parametrize("family", FAMILIES)
def test_runs_no_check_twice(family: str) -> None:
    names = [check.name for check in FAMILIES[family]]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(("family", "check"), CHECKS)
def test_bears_the_name_of_its_file(family: str, check: Any) -> None:
    module = type(check).__module__
    assert module.rsplit(".", 1)[-1] == check.name
    assert type(check).__name__ == "".join(part.title() for part in check.name.split("_"))
    declared = vars(importlib.import_module(module))
    checks = [thing for thing in declared.values() if getattr(thing, "__module__", "") == module]
    assert type(check) in checks


@pytest.mark.parametrize(("family", "check"), CHECKS)
def test_cannot_be_changed(family: str, check: Any) -> None:
    assert is_dataclass(check)
    with pytest.raises(FrozenInstanceError):
        setattr(check, fields(check)[0].name, None)


@pytest.mark.parametrize(("family", "check"), CHECKS)
def test_does_not_import_its_siblings(family: str, check: Any) -> None:
    path = PACKAGE / "sanitize" / family / f"{check.name}.py"
    if path.exists():
        assert f"sanitize.{family}" not in path.read_text()


def test_documents_every_reason() -> None:
    raised = {reason for path in _sources() for reason in _reasons(path)}
    assert len(raised) > 50
    assert raised - _documented() == set()


def test_documents_no_reason_that_nothing_gives() -> None:
    given = {
        constant
        for folder in (PACKAGE, PACKAGE.parent / "services")
        for path in folder.rglob("*.py")
        for constant in _constants(ast.parse(path.read_text()))
    }
    assert _documented() - given == set()


def test_says_what_can_be_done_about_each_reason() -> None:
    rows = [row.split("|") for row in _rows()]
    assert all(len(row) == 5 for row in rows)
    assert all(cell.strip() for row in rows for cell in row[1:4])
    codes = [row[1].strip() for row in rows]
    assert len(codes) == len(set(codes))


def _sources() -> Iterator[Path]:
    for part in ("sanitize", "readers"):
        yield from (PACKAGE / part).rglob("*.py")


def _reasons(path: Path) -> Iterator[str]:
    """Codes that a module gives: first arguments of rejections and errors, and kebab-case words."""
    tree = ast.parse(path.read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args]
    for call in calls:
        if isinstance(call.func, ast.Name) and call.func.id in _REFUSALS:
            yield from _constants(call.args[0])
    yield from (word for word in _constants(tree) if re.fullmatch(r"[a-z]+(-[a-z0-9]+)+", word))


def _constants(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _rows() -> list[str]:
    return [line for line in REASONS.read_text().splitlines() if line.startswith("| `")]


def _documented() -> set[str]:
    return {row.split("|")[1].strip().strip("`") for row in _rows()}
