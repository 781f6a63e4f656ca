from pathlib import Path

import pytest

from mri_guard.attacks import Pgd
from mri_guard.errors import SettingsError
from mri_guard.evaluation.evidence import Evidence
from mri_guard.evaluation.fairness import evaluate_fairness
from mri_guard.evaluation.robustness.plan import suite
from mri_guard.journey import Kit
from tests.evaluation.toy_kit import attackable, write_manifest


@pytest.fixture(scope="module")
def kit() -> Kit:
    return attackable()


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    people = [("abnormal", "F", "31"), ("healthy", "M", "67")]
    return write_manifest(tmp_path_factory.mktemp("scans"), people, slices=4)


def evaluate(manifest: Path, kit: Kit, work: Path, of_255: float, attack: Pgd) -> Evidence:
    return evaluate_fairness(
        manifest,
        ["test"],
        kit,
        command="x",
        work=work,
        attacks=[attack],
        of_255=[of_255],
        draws=20,
    )


def test_counts_the_furthest_that_attacks_took_each_score(
    manifest: Path, kit: Kit, tmp_path: Path
) -> None:
    evidence = evaluate(manifest, kit, tmp_path, 16.0, Pgd(steps=3))
    ill, well = evidence.tables["scans"]
    moved, clean = ill["attacked"]["16"], ill["clean"]
    assert moved["scan"] < clean["scan"]
    pairs = zip(moved["slices"], clean["slices"], ill["lesion"], strict=True)
    assert all(after <= before if lesion else after >= before for after, before, lesion in pairs)
    assert well["attacked"]["16"]["scan"] > well["clean"]["scan"]
    assert {row["of_255"] for row in evidence.tables["figures"]} == {None, 16.0}
    assert "slice_sensitivity_16_255" in evidence.metrics
    # Answers lie where evaluate robustness looks for them, and are not asked for again.
    answers = {path: path.stat().st_mtime_ns for path in (tmp_path / "robustness").iterdir()}
    again = evaluate(manifest, kit, tmp_path, 16.0, Pgd(steps=3))
    assert again.tables == evidence.tables
    assert answers == {path: path.stat().st_mtime_ns for path in answers}


def test_refuses_an_attack_that_is_not_on_every_voxel(
    manifest: Path, kit: Kit, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match="pgd_l2: not an attack on every voxel"):
        evaluate_fairness(
            manifest, ["test"], kit, command="x", work=tmp_path, attacks=suite(["pgd_l2"]),
            of_255=[4.0],
        )  # fmt: skip
