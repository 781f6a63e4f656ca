"""Every defect of the corpus is refused, and for a reason that names it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import bundles
from mri_guard import bundle
from mri_guard.errors import InputError
from mri_guard.evaluation.hostile import ACCEPTED, DEFECTS, write_corpus
from mri_guard.evaluation.hostile.corpus import REPAIRABLE_DEFECTS, Defect
from mri_guard.journey import Kit
from mri_guard.readers import open_sources
from mri_guard.readers.manifest import ManifestRow, read_manifest
from mri_guard.sanitize.gate import sanitize

SOMETIMES_MISSED = {"contrast-inverted", "ghosting-1", "motion-1", "rician-noise-1"}
"""Defects that the limits find in some heads alone: `evaluate sanitization` counts them."""


@pytest.fixture(scope="module")
def kit() -> Iterator[Kit]:
    with bundle.load(bundles.DEFAULT) as kit:
        yield kit


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ManifestRow]:
    manifest = write_corpus(tmp_path_factory.mktemp("corpus"), seed=5)
    return {row.subject: row for row in read_manifest(manifest)}


def reasons(row: ManifestRow, kit: Kit, work: Path) -> list[str]:
    """How each series of a folder ends; a broken file may stand for itself."""
    try:
        sources = open_sources(row.scan, work)
    except InputError as error:
        return [error.reason]
    ends = [sanitize(source, kit.sanitizer, kit.decoder)[-1] for source in sources]
    return [ACCEPTED if end.passed else end.reason for end in ends]


def test_has_defects_enough_each_named_once() -> None:
    names = [defect.name for defect in (*DEFECTS, *REPAIRABLE_DEFECTS)]
    assert len(set(names)) == len(names) >= 60


@pytest.mark.parametrize(
    "defect",
    [defect for defect in DEFECTS if defect.name not in SOMETIMES_MISSED],
    ids=lambda defect: defect.name,
)
def test_is_refused_by_name(
    corpus: dict[str, ManifestRow], kit: Kit, tmp_path: Path, defect: Defect
) -> None:
    ends = reasons(corpus[defect.name], kit, tmp_path)
    assert ACCEPTED not in ends
    assert not defect.reasons or set(ends) & set(defect.reasons)


def test_accepts_what_is_in_order_in_every_encoding_or_can_be_repaired(
    corpus: dict[str, ManifestRow], kit: Kit, tmp_path: Path
) -> None:
    clean = [row for row in corpus.values() if row.attributes["expected"] == ACCEPTED]
    assert len(clean) > 8
    assert {row.subject: reasons(row, kit, tmp_path) for row in clean} == {
        row.subject: [ACCEPTED] for row in clean
    }


def test_makes_the_same_bytes_of_the_same_seed(
    corpus: dict[str, ManifestRow], tmp_path: Path
) -> None:
    for row in read_manifest(write_corpus(tmp_path, seed=5)):
        first, second = (
            sorted(folder.iterdir()) for folder in (corpus[row.subject].scan, row.scan)
        )
        assert [path.name for path in first] == [path.name for path in second]
        assert all(a.read_bytes() == b.read_bytes() for a, b in zip(first, second, strict=True))
