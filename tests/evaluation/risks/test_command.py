"""All checks on files of toys, with a network that has learnt nothing."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from mri_guard.errors import SettingsError
from mri_guard.evaluation.evidence import Evidence
from mri_guard.evaluation.risks import evaluate_risks, table
from mri_guard.journey import Kit
from tests.evaluation.risks.toys import untrained
from tests.evaluation.toy_kit import attackable, write_manifest

PEOPLE = [("abnormal", "F", "40"), ("abnormal", "M", "50"), ("healthy", "F", "60")] * 2


def risks(path: Path, kit: Kit, **settings: object) -> Evidence:
    asked = {"saliency_scans": 1} | settings
    return evaluate_risks(
        path,
        ["test"],
        kit,
        command="as tested",
        work=path.parent,
        **asked,  # type: ignore[arg-type]
    )


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The last two people are of the train split."""
    path = write_manifest(tmp_path_factory.mktemp("risks"), PEOPLE, slices=10)
    lines = path.read_text().splitlines()
    lines[-2:] = [line.replace(",test,", ",train,") for line in lines[-2:]]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def evidence(path: Path) -> Evidence:
    return risks(path, attackable())


def test_measures_every_risk(evidence: Evidence) -> None:
    assert evidence.kind == "risks"
    for name in (
        "active_units_level_0",
        "kl_level_1_nats_a_unit",
        "memorisation_pull",
        "membership_inference_auroc_score",
        "map_rank_correlation_all_weights_anew",
        "residual_ssim_all_weights_anew",
    ):
        assert name in evidence.metrics, name
    assert evidence.metrics["memorisation_pull"].n == 4
    assert evidence.metrics["map_rank_correlation_all_weights_anew"].n == 1
    (scans,) = evidence.tables["scans"]
    assert (scans["assessed"], scans["trained_on"], scans["refused"]) == (4, 2, 0)
    (missing,) = evidence.tables["not_measured"]
    assert "real lesions" in missing["check"]  # of fewer than five patients


def test_is_written_and_read_as_it_is_and_comes_out_the_same_again(
    path: Path, evidence: Evidence
) -> None:
    evidence.save(path.with_name("risks.json"))
    assert Evidence.load(path.with_name("risks.json")) == evidence
    assert risks(path, attackable()) == evidence


def test_without_members_it_says_so_and_tells_the_rest(path: Path, evidence: Evidence) -> None:
    alone = path.with_name("alone.csv")
    lines = [line for line in path.read_text().splitlines() if ",train," not in line]
    alone.write_text("\n".join(lines) + "\n")
    found = risks(alone, attackable())
    assert not any("memor" in name or "membership" in name for name in found.metrics)
    name = "active_share_level_0"
    assert found.metrics[name] == evidence.metrics[name]
    said = Console(width=300, file=io.StringIO())
    said.print(table(found))
    assert "membership inference" in said.file.getvalue()  # type: ignore[attr-defined]
    elsewhere = risks(alone, attackable(), trained_on=path)
    assert elsewhere.metrics == evidence.metrics


def test_refuses_patients_who_were_trained_on(path: Path) -> None:
    both = path.with_name("both.csv")
    lines = path.read_text().splitlines()
    both.write_text("\n".join([*lines, lines[1].replace(",test,", ",train,")]) + "\n")
    with pytest.raises(SettingsError, match="1 of those"):
        risks(both, attackable())
    train = path.with_name("train.csv")
    train.write_text(path.read_text().replace(",test,", ",train,"))
    with pytest.raises(SettingsError, match="4 of those"):
        risks(path, attackable(), trained_on=train)


def test_refuses_what_is_no_bundle_of_ours_and_what_holds_no_scan(path: Path) -> None:
    kit = attackable()
    with pytest.raises(SettingsError, match="whole"):
        risks(path, replace(kit, scorer=replace(untrained(), model=object())))  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="none of 0 scans"):
        evaluate_risks(path, ["validation"], kit, command="", work=path.parent)
