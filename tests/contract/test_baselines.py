"""What every baseline owes: one file, one name, the model's mask, and the same answer twice."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mri_guard.errors import SettingsError
from mri_guard.evaluation import baselines
from mri_guard.evaluation.baseline_parts.material import Baseline, Material
from mri_guard.evaluation.baselines import BASELINES, BY_SLICE, fit_baselines
from mri_guard.metrics.ranking import average_precision
from mri_guard.records import Preprocessed
from tests.evaluation.toy_material import material, toys
from tests.toys import with_lesion

NAMES = [kind.name for kind in BASELINES]
FINDS = [name for name in NAMES if name not in BY_SLICE]


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Material:
    def lesion(toy: Preprocessed) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        return with_lesion(toy, shift=4)[1]

    folder = tmp_path_factory.mktemp("baselines")
    return material(toys(6), folder, lesion=lesion, steps=8)


@pytest.fixture(scope="module")
def fitted(split: Material) -> dict[str, Baseline]:
    return {one.name: one for one in fit_baselines(split)}


@pytest.fixture(scope="module")
def ill() -> tuple[Preprocessed, np.ndarray[tuple[int, ...], np.dtype[np.bool_]]]:
    return with_lesion(toys(1, "patient")[0], amount=1.5)


def test_lists_each_file_of_the_folder_once() -> None:
    files = {path.stem for path in Path(baselines.__path__[0]).glob("*.py")} - {"__init__"}
    assert sorted(NAMES) == sorted(files)


@pytest.mark.parametrize("kind", BASELINES, ids=NAMES)
def test_is_a_frozen_dataclass_named_like_its_file(kind: type[Baseline]) -> None:
    assert vars(kind)["__dataclass_params__"].frozen
    assert kind.__module__.rsplit(".", 1)[-1] == kind.name
    assert kind.__name__ == "".join(part.title() for part in kind.name.split("_"))


@pytest.mark.parametrize("kind", BASELINES, ids=NAMES)
def test_does_not_import_its_siblings(kind: type[Baseline]) -> None:
    source = (Path(baselines.__path__[0]) / f"{kind.name}.py").read_text()
    assert "evaluation.baselines" not in source


@pytest.mark.parametrize("name", NAMES)
def test_is_finite_inside_the_brain_and_nothing_outside(
    fitted: dict[str, Baseline], ill: tuple[Preprocessed, np.ndarray], name: str
) -> None:
    patient, _ = ill
    anomaly = fitted[name](patient)
    assert anomaly.map.shape == patient.image.shape
    assert np.isfinite(anomaly.map).all()
    assert not anomaly.map[~patient.brain].any()
    assert anomaly.map[patient.brain].any()
    assert np.isfinite(anomaly.score)


@pytest.mark.parametrize("name", NAMES)
def test_gives_a_slice_score_where_there_is_enough_brain_alone(
    fitted: dict[str, Baseline], split: Material, ill: tuple[Preprocessed, np.ndarray], name: str
) -> None:
    patient, _ = ill
    brain = patient.brain.copy()
    brain[..., 3] = False
    brain[20:24, 20:24, 3] = True  # 16 pixels, 20 wanted
    thin = replace(patient, brain=brain)
    enough = brain.sum((0, 1)) >= split.config.smallest_slice_px
    assert 0 < enough.sum() < len(enough)
    assert not enough[3]
    assert np.array_equal(np.isfinite(fitted[name](thin).slice_scores), enough)


@pytest.mark.parametrize("kind", BASELINES, ids=NAMES)
def test_fits_to_the_same_and_scores_the_same_twice(
    fitted: dict[str, Baseline],
    split: Material,
    ill: tuple[Preprocessed, np.ndarray],
    kind: type[Baseline],
    tmp_path: Path,
) -> None:
    patient, _ = ill
    once, again = (fitted[kind.name](patient) for _ in range(2))
    assert np.array_equal(once.map, again.map)
    assert np.array_equal(once.slice_scores, again.slice_scores, equal_nan=True)
    assert once.score == again.score
    anew = kind.fit(replace(split, folder=tmp_path))(patient)
    assert np.array_equal(once.map, anew.map)


@pytest.mark.parametrize("name", FINDS)
def test_finds_a_bright_lesion_better_than_chance(
    fitted: dict[str, Baseline], ill: tuple[Preprocessed, np.ndarray], name: str
) -> None:
    patient, lesion = ill
    inside = patient.brain
    found = fitted[name](patient).map[inside].astype(np.float64)
    assert average_precision(lesion[inside], found) > 2 * lesion[inside].mean()


@pytest.mark.parametrize("name", BY_SLICE)
def test_points_at_no_place_in_a_slice_where_it_says_so(
    fitted: dict[str, Baseline], ill: tuple[Preprocessed, np.ndarray], name: str
) -> None:
    patient, _ = ill
    found = fitted[name](patient).map
    for z in np.flatnonzero(patient.brain.any((0, 1))):
        assert len(np.unique(found[..., z][patient.brain[..., z]])) == 1


def test_picks_rows_by_name_and_never_drops_position(split: Material) -> None:
    chosen = fit_baselines(split, only=["robust_z", "intensity"])
    assert [one.name for one in chosen] == ["position", "intensity", "robust_z"]
    with pytest.raises(SettingsError, match="no baseline is called atlass; there are position, "):
        fit_baselines(split, only=["atlass"])


def test_leaves_out_the_encoders_row_where_there_is_no_encoder(split: Material) -> None:
    without = replace(split, encoder=None)
    wanted = ["knn_encoder", "knn_untrained"]
    assert [one.name for one in fit_baselines(without, only=wanted)] == [
        "position",
        "knn_untrained",
    ]
