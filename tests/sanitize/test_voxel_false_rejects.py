"""The shipped voxel checks on honest scans of scanners: how many are held, by name."""

from collections import Counter
from pathlib import Path

import pytest

import bundles
from mri_guard import bundle
from mri_guard.evaluation.voxel_checks import evaluate_voxel_checks
from mri_guard.readers.manifest import read_manifest
from mri_guard.records import Contrast


@pytest.mark.parametrize(("folder", "n"), [("elderly", 15), ("lgg", 71)])
def test_holds_at_most_one_in_fifty_scans(shared_data: Path, folder: str, n: int) -> None:
    rows = read_manifest(shared_data / folder / "manifest.csv")
    some = rows if folder == "elderly" else rows[::6]
    with bundle.load(bundles.DEFAULT) as kit:
        found = evaluate_voxel_checks(
            some, kit.sanitizer, kit.decoder, Contrast.FLAIR, 0, wanted=[]
        )
    assert len(rows) == n
    assert Counter(found[0].reasons) == Counter()
