import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from typer.testing import CliRunner

from mri_guard.cli import app
from mri_guard.determinism import generator
from mri_guard.errors import SettingsError
from mri_guard.evaluation.evidence import Evidence
from mri_guard.evaluation.poisoning import (
    evaluate_poisoning,
    hidden_scans,
    lesioned_share,
    name_of,
    table,
)
from mri_guard.evaluation.trained_rows import FIGURES
from mri_guard.preprocess import Preprocess
from mri_guard.training import kept
from mri_guard.training.data import subject_of
from tests.evaluation.test_ablation import SHORT
from tests.evaluation.test_detection import HeadIsBrain, manifest
from tests.toys import TINY, toy_brain, with_lesion

SEEDS = (1, 2)
ROWS = ("0_percent_poison", "50_percent_poison")


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Two threads beside a busy one are many times slower than one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("poisoning")


def evaluated(folder: Path, **settings: Any) -> Evidence:
    return evaluate_poisoning(
        [folder / "manifest.csv"],
        folder / "manifest.csv",
        ["test"],
        preprocess=Preprocess(HeadIsBrain()),
        work=folder / "work",
        command="as tested",
        draws=50,
        **{"config": SHORT, "shares": (0.5,), "seeds": SEEDS, **settings},
    )


@pytest.fixture(scope="module")
def evidence(folder: Path, one_thread: None) -> Evidence:
    manifest(folder, ["train", "train", "validation", "test", "test"])
    return evaluated(folder)


def test_measures_every_share_and_what_it_loses_paired_by_patient_and_by_seed(
    evidence: Evidence,
) -> None:
    metrics, runs = evidence.metrics, evidence.tables["runs"]
    assert evidence.kind == "poisoning"
    assert [(run["row"], run["seed"]) for run in runs] == [(r, s) for r in ROWS for s in SEEDS]
    for figure in set(FIGURES) - {"matched_slice_auroc"}:  # the toys match nowhere
        values = {row: [run[figure] for run in runs if run["row"] == row] for row in ROWS}
        for row in ROWS:
            first = metrics[f"{figure}_at_{row}"]
            assert (first.n, first.unit) == (2, "patients")
            assert first.value == pytest.approx(values[row][0], abs=1e-4)
        lost = metrics[f"{figure}_lost_at_50_percent_poison"]
        assert lost.low <= lost.value <= lost.high
        each = np.subtract(values[ROWS[0]], values[ROWS[1]])
        assert lost.value == pytest.approx(each[0], abs=2e-4)
        over = metrics[f"{figure}_lost_at_50_percent_poison_over_seeds"]
        assert (over.n, over.unit) == (2, "seeds")
        assert (over.low, over.value, over.high) == pytest.approx(
            (each.min(), each.mean(), each.max()), abs=2e-4
        )
    assert not any("lost_at_0" in name for name in metrics)


def test_poisoned_trainings_differ_from_those_without_and_say_how_much_lesion_they_saw(
    evidence: Evidence,
) -> None:
    clean, poisoned = (
        [run for run in evidence.tables["runs"] if run["row"] == row] for row in ROWS
    )
    assert [run["poisoned_scans"] for run in (*clean, *poisoned)] == [0, 0, 1, 1]
    assert all(set(run["lesioned_windows"].values()) == {0.0} for run in clean)
    for run in poisoned:
        assert 0 < run["lesioned_windows"]["train"] < 0.5
        assert run["lesioned_windows"]["validation"] == 0
    assert all(run["fitness"] != of["fitness"] for run, of in zip(poisoned, clean, strict=True))


def test_without_poison_it_is_the_ablations_full_row(evidence: Evidence, folder: Path) -> None:
    assert {path.name for path in (folder / "work").iterdir()} == {
        "cache",
        *(f"full-seed-{seed}" for seed in SEEDS),
        *(f"50_percent_poison-train-seed-{seed}" for seed in SEEDS),
    }


def test_trains_nothing_again_that_is_done(
    evidence: Evidence, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fit(*_: object, **__: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(kept, "fit", fit)
    assert evaluated(folder).metrics == evidence.metrics
    with pytest.raises(AssertionError, match="trained again"):
        evaluated(folder, poisoned=["validation"], shares=[1.0], seeds=[1])


def test_prints_what_is_lost_and_no_slice_auroc(evidence: Evidence) -> None:
    file = io.StringIO()
    Console(file=file, width=250).print(table(evidence))
    printed = file.getvalue()
    lost = evidence.metrics["pixel_ap_lost_at_50_percent_poison"]
    assert f"lost {lost.value:.3f} [{lost.low:.3f}, {lost.high:.3f}]" in printed
    assert "3 steps each, train poisoned" in printed
    assert "slice auroc" not in {str(column.header) for column in table(evidence).columns}


def people(folder: Path, lesioned: int, healthy: int, split: str = "train") -> Path:
    """Rows of so many patients, two scans each; nobody opens the files."""
    folder.mkdir(exist_ok=True)
    (folder / "mask.nii").touch()
    lines = ["scan,mask,subject,label,split"]
    for number in range(lesioned + healthy):
        kind = "mask.nii,p{},abnormal" if number < lesioned else ",p{},healthy"
        for visit in "ab":
            (folder / f"{number}{visit}.nii").touch()
            lines.append(f"{number}{visit}.nii,{kind.format(number)},{split}")
    path = folder / "manifest.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def of(scans: frozenset[Path]) -> list[str]:
    return sorted(scan.stem for scan in scans)


def test_poisons_so_many_patients_with_all_their_scans_and_no_other_split(tmp_path: Path) -> None:
    path = people(tmp_path, lesioned=20, healthy=20)
    for share, wanted in ((0.0, 0), (0.01, 1), (0.05, 2), (0.2, 8), (0.5, 20)):
        scans = of(hidden_scans([path], ["train"], share, 0))
        assert len(scans) == 2 * wanted
        assert len({scan[:-1] for scan in scans}) == wanted
        assert all(int(scan[:-1]) < 20 for scan in scans)
        assert not hidden_scans([path], ["validation"], share, 0)


def test_a_larger_share_poisons_the_same_patients_and_more(tmp_path: Path) -> None:
    path = people(tmp_path, lesioned=30, healthy=0)
    for seed in range(5):
        chosen = [hidden_scans([path], ["train"], share, seed) for share in (0.05, 0.2, 1.0)]
        assert chosen[0] < chosen[1] < chosen[2]
    assert len({hidden_scans([path], ["train"], 0.2, seed) for seed in range(5)}) > 1


def test_hides_nothing_in_a_manifest_without_masks_beside_one_with(tmp_path: Path) -> None:
    ill, well = people(tmp_path / "ill", 10, 0), people(tmp_path / "well", 0, 10)
    hidden = hidden_scans([well, ill], ["train"], 0.2, 0)
    assert len(hidden) == 4
    assert {scan.parent.name for scan in hidden} == {"ill"}


def test_refuses_more_poison_than_there_are_lesions(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"50% of 4 patients .* are 2, and 1 have a lesion"):
        hidden_scans([people(tmp_path, 1, 3)], ["train"], 0.5, 0)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"shares": []}, "shares none; wanted at least one"),
        ({"shares": [0.0, 0.1]}, "shares 0, 0.1; wanted"),
        ({"shares": [0.1, 0.1]}, "each once"),
        ({"shares": [float("nan")]}, "above 0 and at most 1"),
        ({"poisoned": ["test"]}, "wanted any of"),
        ({"poisoned": []}, "wanted any of"),
        ({"seeds": []}, "at least one"),
    ],
)
def test_refuses_what_makes_no_table(folder: Path, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        evaluated(folder, **settings)


def test_counts_windows_as_they_are_drawn() -> None:
    """A manifest first, then one of its subjects, then one of its windows."""
    toys = [toy_brain(generator(0, "share", i), slices=20) for i in range(3)]
    lesioned = [with_lesion(toy) for toy in toys]
    believed = [subject_of(toy, lesion, TINY) for toy, lesion in lesioned]
    hidden = [subject_of(toy, None, TINY) for toy, _ in lesioned]

    def windows(subjects: Sequence[Any]) -> list[int]:
        return [len(subject.centres) for subject in subjects]

    assert lesioned_share([believed], [believed]) == 0
    shown = 1 - windows(believed)[0] / windows(hidden)[0]
    assert shown > 0
    poisoned = [hidden[0], believed[1]]
    assert lesioned_share([believed[:2]], [poisoned]) == pytest.approx(shown / 2)
    assert lesioned_share([believed[:2], believed[2:]], [poisoned, believed[2:]]) == pytest.approx(
        shown / 4
    )
    # A scan with lesion in every slice is learnt from only when it is poisoned.
    assert lesioned_share([believed[1:2]], [poisoned]) == pytest.approx(0.5)


def test_names_a_share_in_percent_without_a_point() -> None:
    assert [name_of(share) for share in (0, 0.05, 0.2, 0.025)] == [
        "0_percent_poison",
        "5_percent_poison",
        "20_percent_poison",
        "2_5_percent_poison",
    ]


def test_is_a_command_that_says_what_it_poisons(tmp_path: Path) -> None:
    manifest(tmp_path, ["train"])
    path = str(tmp_path / "manifest.csv")
    arguments = ["--manifest", path, "--evaluate-manifest", path, "--poison", "test"]
    ran = CliRunner().invoke(
        app, ["evaluate", "poisoning", *arguments, "--out", str(tmp_path / "evidence.json")]
    )
    assert ran.exit_code == 3
    assert "wanted any of" in ran.stderr
