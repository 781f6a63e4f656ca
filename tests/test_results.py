import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from mri_guard.records import (
    Anomaly,
    CalibratedScore,
    Contrast,
    Decision,
    Examination,
    Journey,
    Outcome,
    Preprocessed,
    Scan,
    ScanHeader,
)
from mri_guard.results import (
    EXAMINATION,
    MAP,
    PICTURE,
    SIGNED_MAP,
    _flagged,
    _slices,
    picture,
    write_results,
)

EXAMINED = Examination(
    bundle_digest="ab" * 32,
    source_digests=(),
    decision=Decision(
        outcome=Outcome.RELEASE, priority=None, reasons=("nothing-unusual",), detail="score 1"
    ),
)


def _preprocessed(marked: tuple[int, int, int] = (100, 64, 3)) -> Preprocessed:
    """A gray brain with one bright spot, on a grid whose x axis runs to the patient's right."""
    image = np.full((128, 128, 6), 0.3, dtype=np.float32)
    x, y, z = marked
    image[x - 4 : x + 4, y - 4 : y + 4, z] = 1.2
    inside = np.ones(image.shape, dtype=bool)
    affine = np.diag([2.0, 2.0, 6.0, 1.0])
    return Preprocessed(image, inside, inside.copy(), affine, 0.0, 1.0)


def _anomaly(preprocessed: Preprocessed) -> Anomaly:
    unusual = np.where(preprocessed.image > 1, 8.0, 0.0).astype(np.float32)
    return Anomaly(unusual, unusual, preprocessed.image, unusual.max(axis=(0, 1)) * 1.0, 1.0)


def _scan() -> Scan:
    header = ScanHeader(contrast=Contrast.FLAIR, slice_count=12, spacing_mm=(4.0, 4.0, 3.0))
    affine = np.diag([-4.0, 4.0, 3.0, 1.0])  # x runs to the patient's left here
    affine[0, 3] = 252.0
    return Scan(np.zeros((64, 64, 12), dtype=np.float32), affine, header)


def _bright(tile: np.ndarray) -> tuple[float, float]:
    """Row and column of the bright spot's centre in a tile."""
    rows, columns = np.nonzero(tile[..., 0] > 200)
    return float(rows.mean()), float(columns.mean())


@pytest.mark.parametrize(
    ("marked", "left", "top"),
    [((100, 64, 3), True, None), ((28, 64, 3), False, None), ((64, 100, 3), None, True)],
)
def test_shows_the_patients_right_on_the_left_and_front_on_top(
    marked: tuple[int, int, int], left: bool | None, top: bool | None
) -> None:
    shown = picture(EXAMINED, _preprocessed(marked), _anomaly(_preprocessed(marked)))
    array = np.asarray(shown)[44:]
    tile = array[: array.shape[0] // 3]
    columns = tile.shape[1] // 4
    which = int(np.argmax([tile[20:, k * columns : (k + 1) * columns, 2].max() for k in range(4)]))
    row, column = _bright(tile[20:, which * columns + 24 : (which + 1) * columns])
    if left is not None:
        assert (column < columns / 2) == left
    if top is not None:
        assert (row < tile.shape[0] / 2) == top


def test_shows_the_most_unusual_slice() -> None:
    preprocessed = _preprocessed((100, 64, 5))
    with_map = np.asarray(picture(EXAMINED, preprocessed, _anomaly(preprocessed)))
    red, blue = with_map[..., 0].astype(int), with_map[..., 2].astype(int)
    assert np.any(red - blue > 150)


def test_spreads_the_slices_it_shows() -> None:
    image = np.full((128, 128, 48), 0.3, dtype=np.float32)
    inside = np.ones(image.shape, dtype=bool)
    preprocessed = Preprocessed(image, inside, inside.copy(), np.eye(4), 0.0, 1.0)
    scores = np.exp(-np.abs(np.arange(48) - 20.0))
    shown = _slices(preprocessed, Anomaly(image, image, image, scores, 1.0))
    assert 20 in shown
    assert len(shown) == 4
    assert np.diff(shown).min() >= 4


def test_names_the_shown_slices_that_are_flagged() -> None:
    calibrated = CalibratedScore(
        score=1.0,
        p_value=0.5,
        threshold=2.0,
        alpha=0.05,
        delta=0.05,
        calibration_count=100,
        unusual=False,
        guarantee="",
        slice_threshold=3.0,
    )
    examined = EXAMINED.model_copy(update={"calibrated": calibrated})
    flat = np.zeros((4, 4, 4), dtype=np.float32)
    anomaly = Anomaly(flat, flat, flat, np.array([3.0, np.nan, 3.1, 9.0]), 1.0)
    assert anomaly.slices_above(3.0) == (2, 3)
    assert _flagged(examined, anomaly, [0, 1, 2]) == ", of these flagged: [2]"
    assert _flagged(examined, anomaly, [0, 1]) == ", of these flagged: none"
    assert _flagged(EXAMINED, anomaly, [0, 1, 2]) == ""


def test_map_lies_on_the_scans_own_grid(tmp_path: Path) -> None:
    preprocessed, scan = _preprocessed(), _scan()
    written = write_results(Journey(EXAMINED, scan, preprocessed, _anomaly(preprocessed)), tmp_path)
    assert [path.name for path in written] == [EXAMINATION, PICTURE, MAP, SIGNED_MAP]
    saved = nib.load(tmp_path / MAP)
    assert saved.shape == scan.voxels.shape
    assert np.array_equal(saved.affine, scan.affine)
    world = saved.affine @ [*np.unravel_index(np.asarray(saved.dataobj).argmax(), saved.shape), 1]
    np.testing.assert_allclose(world[:3], [200, 128, 18], atol=9)


def test_writes_the_record_alone_when_nothing_was_decoded(tmp_path: Path) -> None:
    written = write_results(Journey(EXAMINED), tmp_path)
    assert [path.name for path in written] == [EXAMINATION]
    assert Examination.model_validate(json.loads(written[0].read_text())) == EXAMINED


def test_leaves_no_half_written_file_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("nibabel.save", full)
    preprocessed = _preprocessed()
    with pytest.raises(OSError, match="disk full"):
        write_results(Journey(EXAMINED, _scan(), preprocessed, _anomaly(preprocessed)), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [EXAMINATION, PICTURE]
