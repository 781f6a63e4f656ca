from dataclasses import replace
from pathlib import Path

import pytest

from mri_guard.bundle import Calibration
from mri_guard.calibration import LabelledScores
from mri_guard.calibration.label_consistency import Known, Labelled
from mri_guard.readers.manifest import lesion_on_grid, read_manifest
from mri_guard.readers.sources import open_sources
from mri_guard.training.calibrate import healthy_part
from mri_guard.training.labels import REST, SCAN, Said, known_from, said_of
from tests.evaluation.test_calibration import _manifest, _Nifti, _score
from tests.evaluation.toy_kit import attackable, write_manifest
from tests.test_journey import KIT


def test_says_of_each_scan_its_label_its_score_and_who_sent_it(tmp_path: Path) -> None:
    path = _manifest(tmp_path, [("healthy", 0.5), ("abnormal", 2.0), ("healthy", float("nan"))])
    lines = path.read_text().splitlines()
    readers = ["reader", "r1", "", "r2"]
    path.write_text("\n".join(f"{line},{own}" for line, own in zip(lines, readers, strict=True)))
    kit = replace(KIT, decoder=_Nifti(), scorer=_score)
    done: list[None] = []
    said, unscored = said_of(
        kit, read_manifest(path), tmp_path, by="reader", progress=lambda: done.append(None)
    )
    assert [(one.scan.name, one.part) for one in said] == [("0.nii", SCAN), ("1.nii", SCAN)]
    assert [one.labelled for one in said] == [
        Labelled(label="healthy", score=0.5, sender="r1"),
        Labelled(label="abnormal", score=2.0, sender="not stated"),
    ]
    assert [one.scan.name for one in unscored] == ["2.nii"]
    assert unscored[0].reasons != ()
    assert len(done) == 3


def test_says_of_an_abnormal_scan_that_what_its_mask_leaves_out_is_healthy(tmp_path: Path) -> None:
    people = [("abnormal", "F", "50"), ("healthy", "M", "60")]
    rows = read_manifest(write_manifest(tmp_path, people, slices=8))
    kit = attackable()
    said, unscored = said_of(kit, rows, tmp_path)
    assert unscored == []
    assert [(one.scan.name, one.part, one.labelled.label) for one in said] == [
        ("0.nii.gz", SCAN, "abnormal"),
        ("0.nii.gz", REST, "healthy"),
        ("1.nii.gz", SCAN, "healthy"),
    ]
    scan = kit.preprocess(kit.decoder(open_sources(rows[0].scan, tmp_path, rows[0].contrast)[0]))
    assert rows[0].mask is not None
    x, y, z = scan.image.shape
    part = healthy_part(rows[0], scan, lesion_on_grid(rows[0].mask, scan.affine, (x, y, z)), ())
    assert part is not None
    assert said[1].labelled.score == pytest.approx(kit.scorer(part[1]).score)
    assert said[0].labelled.score != said[1].labelled.score


def test_holds_labels_against_the_bundles_scores_unless_others_are_trusted() -> None:
    own = Calibration(healthy_scores={"a": (1.0, 2.0), "b": (3.0,)}, detectors={})
    assert known_from(own) == Known(healthy=(1.0, 2.0, 3.0))
    labelled = own.model_copy(update={"labelled": LabelledScores(healthy=(1.0,), abnormal=(9.0,))})
    assert known_from(labelled) == Known(healthy=(1.0, 2.0, 3.0), abnormal=(9.0,))
    ill, well = (
        Said(Path("x"), SCAN, Labelled(label=label, score=score))
        for label, score in (("abnormal", 7.0), ("healthy", 4.0))
    )
    assert known_from(labelled, [ill]) == Known(healthy=(1.0, 2.0, 3.0), abnormal=(7.0,))
    assert known_from(labelled, [ill, well]) == Known(healthy=(4.0,), abnormal=(7.0,))
