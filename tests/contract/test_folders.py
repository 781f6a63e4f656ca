"""The same expectations over every artifact, attack, defence and detector."""

import dataclasses
from pathlib import Path

import pytest

from mri_guard import artifacts, attacks, perturbation
from mri_guard.artifacts import ARTIFACTS
from mri_guard.attacks import ATTACKS
from mri_guard.defences import TRANSFORMATIONS, transformations
from mri_guard.perturbation.detectors import DETECTORS

FOLDERS: dict[str, tuple[Path, tuple[type, ...]]] = {
    "artifacts": (Path(artifacts.__path__[0]), ARTIFACTS),
    "attacks": (Path(attacks.__path__[0]), ATTACKS),
    "transformations": (Path(transformations.__path__[0]), tuple(map(type, TRANSFORMATIONS))),
    "detectors": (Path(perturbation.__path__[0]) / "detectors", DETECTORS),
}


@pytest.mark.parametrize("folder", FOLDERS)
def test_folder_lists_each_of_its_files_once(folder: str) -> None:
    path, listed = FOLDERS[folder]
    files = {file.stem for file in path.glob("*.py")} - {"__init__"}
    assert sorted(kind.__module__.rsplit(".", 1)[-1] for kind in listed) == sorted(files)


@pytest.mark.parametrize(
    "kind",
    [kind for _, kinds in FOLDERS.values() for kind in kinds],
    ids=lambda kind: kind.__name__,
)
def test_is_a_frozen_dataclass_named_like_its_file(kind: type) -> None:
    assert dataclasses.is_dataclass(kind)
    assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]  # set by @dataclass
    assert _name(kind) == kind.__module__.rsplit(".", 1)[-1]
    assert callable(kind)


def _name(kind: type) -> object:
    """The class's `name`: a class variable, or the default of a field."""
    fields = {field.name: field.default for field in dataclasses.fields(kind)}
    return fields.get("name", getattr(kind, "name", None))
