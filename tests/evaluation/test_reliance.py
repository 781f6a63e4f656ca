import io
from pathlib import Path

import pytest
from rich.console import Console

from mri_guard.evaluation.evidence import Evidence
from mri_guard.evaluation.reliance import reliance_evidence, table
from mri_guard.metrics.reliance import MINIMUM, Read, figures

READS = [
    Read(reader=f"user:{n % 2}", blinded=False, advice=True, final=n % 3 > 0, seconds=float(n))
    for n in range(30)
]


@pytest.fixture
def evidence() -> Evidence:
    return reliance_evidence(READS, bundle_digest="b" * 64, seed=3, command="mri-guard reliance")


def test_tells_each_figure_or_that_it_cannot(evidence: Evidence) -> None:
    missing = {row["figure"]: row["n"] for row in evidence.tables["cannot_tell"]}
    assert set(evidence.metrics) | set(missing) == set(figures(READS))
    assert evidence.metrics["override_rate"].value == pytest.approx(1 / 3)
    assert evidence.metrics["override_rate"].unit == "reads"
    assert missing["agreement_rate_blinded"] == 0
    assert all(row["wanted"] == MINIMUM for row in evidence.tables["cannot_tell"])


def test_judges_no_reader_by_a_few_reads(evidence: Evidence) -> None:
    own = [row for row in evidence.tables["readers"] if row["figure"] == "override_rate"]
    assert [(row["reader"], row["n"], row["value"]) for row in own] == [
        ("user:0", 15, None),
        ("user:1", 15, None),
    ]
    assert own[0]["words"] == "cannot tell (n = 15, would need 20)"


def test_comes_back_from_its_file(evidence: Evidence, tmp_path: Path) -> None:
    evidence.save(tmp_path / "reliance.json")
    assert Evidence.load(tmp_path / "reliance.json") == evidence


def test_names_the_reads_by_their_digest(evidence: Evidence) -> None:
    def digest(reads: list[Read]) -> str:
        made = reliance_evidence(reads, bundle_digest="b" * 64, seed=3, command="")
        return made.manifest_digest

    assert digest(READS) == evidence.manifest_digest
    assert digest([READS[0].model_copy(update={"truth": True}), *READS[1:]]) != digest(READS)


def test_prints_what_it_cannot_tell_too(evidence: Evidence) -> None:
    console = Console(file=io.StringIO(), width=120)
    console.print(table(evidence))
    assert isinstance(console.file, io.StringIO)
    printed = console.file.getvalue()
    assert "0.333" in printed
    assert "cannot tell" in printed
